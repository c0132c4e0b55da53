"""How a command ends: our errors as exit codes and as lines for people, from one table."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import Any

from pillarbox.base.errors import Invalid, PillarboxError, Refused, Rejected, Unavailable


class Exit(IntEnum):
    """Scripts depend on these."""

    DONE = 0
    NOT_WELL = 1  # the thing asked about: a relay, a message, the installation
    USAGE = 2  # the command line cannot be read
    REFUSED = 3  # sending it again changes nothing
    UNAVAILABLE = 4  # the same command may work later
    INTERRUPTED = 130  # as shells have it


_EXITS: dict[type[PillarboxError], Exit] = {
    Unavailable: Exit.UNAVAILABLE,
    Refused: Exit.REFUSED,
}

_FLAGS = {
    "attachments": "--attach",
    "client_secret": "--client-secret-env NAME",
    "headers": "--header",
    "password": "--password-stdin or --password-env NAME",
    "tags": "--tag",
}
_OWN_FLAGS = frozenset(
    [
        "to",
        "cc",
        "bcc",
        "from",
        "reply_to",
        "subject",
        "text",
        "html",
        "relay",
        "stream",
        "send_at",
        "idempotency_key",
        "host",
        "port",
        "tls",
        "auth",
        "username",
        "preset",
        "inherits",
        "default",
        "state",
        "limit",
        "after",
        "before",
    ]
)


class Usage(Exception):  # not a PillarboxError: only the command line has these
    """The command line asks for something that it cannot mean."""


def code_of(error: PillarboxError) -> Exit:
    return next(_EXITS[kind] for kind in type(error).__mro__ if kind in _EXITS)


def explain(error: PillarboxError, *, as_json: bool) -> Exit:
    """Say on stderr everything that stands against the command; its exit code."""
    print(
        json.dumps(_as_json(error), ensure_ascii=False) if as_json else _as_text(error),
        file=sys.stderr,
    )
    return code_of(error)


def complain(text: str, *, as_json: bool = False) -> Exit:
    """Say why the command line could not be read."""
    if as_json:
        text = json.dumps({"code": "usage", "detail": text}, ensure_ascii=False)
        print(text, file=sys.stderr)
    else:
        print(f"pillarbox: {text}", file=sys.stderr)
    return Exit.USAGE


def flag_of(field: str) -> str:
    """What a person types for this field: `from` is --from, `pin` is --set pin=…"""
    name = field.partition("/")[0]
    if name.startswith(("PILLARBOX_", "-")) or name == "name":
        return name
    if name in _FLAGS:
        return _FLAGS[name]
    return f"--{name.replace('_', '-')}" if name in _OWN_FLAGS else f"--set {name}=…"


def _as_text(error: PillarboxError) -> str:
    if not isinstance(error, Rejected):
        return f"pillarbox: {_problem(error, 0) if isinstance(error, Invalid) else error}"
    if len(error.problems) == 1:
        return f"pillarbox: {_problem(error.problems[0], 0)}"
    width = max(len(flag_of(each.field or "")) for each in error.problems)
    lines = [f"  {_problem(each, width)}" for each in error.problems]
    return "\n".join([f"pillarbox: refused, for {len(lines)} reasons", *lines])


def _problem(problem: Invalid, width: int) -> str:
    if not problem.field or str(problem).startswith(problem.field):
        return str(problem)
    return f"{flag_of(problem.field) + ':':{width + 1}} {problem}"


def _as_json(error: PillarboxError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "detail": str(error)}
    faults = error.problems if isinstance(error, Rejected) else ()
    if faults:
        told["errors"] = [
            {"pointer": f"/{each.field}" if each.field else "", "detail": str(each)}
            for each in faults
        ]
    return told
