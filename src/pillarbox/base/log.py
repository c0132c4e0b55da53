"""Log lines: text for people, JSON for machines, and no secret in either."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_NAMES = re.compile(r"password|passwd|secret|token|authorization|api_?key", re.IGNORECASE)
_SECRET_VALUES = re.compile(r"(\bAUTH\s+[\w-]+\s+)\S+|\bpb_\w+|\bBearer\s+\S+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

Logger = structlog.stdlib.BoundLogger


def start_logging(form: str, level: int = logging.INFO) -> None:
    """Set up once, at the start of the program. form is `text` or `json`, level of `logging`."""
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if form == "text":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> Logger:
    """A logger whose lines say which part of pillarbox speaks."""
    bound: Logger = structlog.get_logger(part=name)
    return bound


def redact(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out by name and by shape; escape what could start a second line."""
    for name, value in line.items():
        if _SECRET_NAMES.search(name):
            line[name] = "(redacted)"
        elif isinstance(value, str) and name != "timestamp":
            line[name] = _CONTROL.sub(_escaped, _SECRET_VALUES.sub(r"\1(redacted)", value))
    return line


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"
