"""
Log lines: text for people, JSON for machines, and no secret in either.

What other libraries say goes the same way, so every line has the same form.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, cast

import structlog

_SECRET_NAMES = re.compile(r"password|passwd|secret|token|authorization|api_?key", re.IGNORECASE)
_SECRET_VALUES = re.compile(r"(\bAUTH\s+[\w-]+\s+)\S+|\bpb_\w+|\bBearer\s+\S+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_CONTROL_IN_TRACES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_KEPT = frozenset({"timestamp", "level", "part"})

Logger = structlog.stdlib.BoundLogger

_heard = logging.getLogger("pillarbox")
_heard.addHandler(logging.NullHandler())


class _Form:
    """What start_logging was told; nothing is said before."""

    def __init__(self) -> None:
        self.form: str | None = None
        self.level = logging.INFO


_form = _Form()


def start_logging(form: str, level: int = logging.INFO) -> None:
    """Set up once, at the start of the program. form is `text` or `json`, level of `logging`."""
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if form == "text":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _form.form, _form.level = form, level
    logging.captureWarnings(True)
    others = level if level < logging.INFO else logging.WARNING
    logging.basicConfig(handlers=[_Forwarding()], level=others, force=True)


def logger(name: str) -> Logger:
    """A logger whose lines say which part of pillarbox speaks."""
    return cast("Logger", _Late(name))


class _Late:
    """
    Asks where lines go when there is one: modules make their loggers before a program starts.

    Inside another program nobody has started anything. Then warnings go to whoever listens to
    the logger `pillarbox` of `logging`, and how that program uses structlog is left alone.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._started: Any = None

    def __getattr__(self, method: str) -> Any:
        if _form.form is None:
            return getattr(_as_library(self._name), method)
        if self._started is None:
            self._started = structlog.get_logger(part=self._name)
        return getattr(self._started, method)


def _as_library(name: str) -> Any:
    words = structlog.processors.KeyValueRenderer(key_order=["event"])
    return structlog.wrap_logger(
        _heard,
        processors=[_in_short, redact, words],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        part=name,
    )


def _in_short(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception by its name and words: its traceback is not ours to show there."""
    if line.pop("exc_info", None) and (raised := sys.exc_info()[1]) is not None:
        line["cause"] = f"{type(raised).__name__}: {raised}"
    return line


def frequent(part: str, event: str, names: tuple[str, ...]) -> Callable[..., None]:
    """
    For a line that is written for every message: the same form as all others, prepared once.

    What is returned takes the moment (aware) and one text for each name, in order. It costs a
    fifth of a line of `logger`.
    """
    head = f',"level":"info","part":{quoted(part)},"event":{quoted(event)}'
    heads = [f",{quoted(name)}:" for name in names]

    def say(at: datetime, *values: str) -> None:
        if _form.form is None or _form.level > logging.INFO:
            return
        if not _is_plain(" ".join(values)):
            values = tuple(map(_cleaned, values))
        stamp = at.astimezone(UTC).isoformat()[:26]
        if _form.form == "json":
            pairs = "".join([h + quoted(v) for h, v in zip(heads, values, strict=True)])
            sys.stderr.write(f'{{"timestamp":"{stamp}Z"{head}{pairs}}}\n')
        else:
            shown = " ".join([f"{n}={v!r}" for n, v in zip(names, values, strict=True)])
            sys.stderr.write(f"{stamp}Z [info     ] {event:28} {shown} part={part}\n")

    return say


def _is_plain(text: str) -> bool:
    """Whether redacting and escaping would change nothing for sure, as of most lines."""
    small = text.lower()
    may_hold_secret = "auth" in small or "pb_" in small or "bearer" in small
    return text.isprintable() and not may_hold_secret


def redact(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out by name and by shape; escape what could start a second line."""
    for name, value in line.items():
        if name == "exception" and isinstance(value, str):
            line[name] = _CONTROL_IN_TRACES.sub(_escaped, _without_secrets(value))
        elif name not in _KEPT:
            line[name] = _safe(name, value)
    return line


def _safe(name: str, value: Any) -> Any:
    if _SECRET_NAMES.search(name):
        return "(redacted)"
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): _safe(str(key), each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_safe("", each) for each in value]
    return _cleaned(value if isinstance(value, str) else repr(value))


def _cleaned(text: str) -> str:
    return _CONTROL.sub(_escaped, _without_secrets(text))


def _without_secrets(text: str) -> str:
    return _SECRET_VALUES.sub(r"\1(redacted)", text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


class _Forwarding(logging.Handler):
    """Lines of other libraries, as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        said = logger(record.name)
        about = {"exc_info": record.exc_info} if record.exc_info else {}
        said.log(record.levelno, record.getMessage(), **about)
