"""What a server refuses, turned back into the errors of base/errors.py (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pillarbox.base import errors
from pillarbox.base.errors import Invalid, PillarboxError, Refused, Rejected, Unavailable
from pillarbox.base.http import HttpAnswer
from pillarbox.client.answers import Message, read

_BY_STATUS: dict[int, type[PillarboxError]] = {
    401: errors.Unauthenticated,
    403: errors.Denied,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
}
_BY_CODE = {
    kind.code: kind
    for kind in (
        errors.Unauthenticated,
        errors.Denied,
        errors.NotFound,
        errors.Conflict,
        errors.Mismatch,
        errors.TooLarge,
        errors.DiskFull,
        errors.QueueFull,
        errors.TooOften,
        errors.Unusable,
        Unavailable,
    )
}
_DEFAULT_WAIT = timedelta(seconds=5)


def problem(answer: HttpAnswer, asked: str) -> PillarboxError:
    """The error that this answer stands for. `asked` names who answered, for people."""
    told = answer.json if isinstance(answer.json, dict) else {}
    return _problem(told, answer.status, f"{asked} answered {answer.status}", retry_after(answer))


def read_result(told: Mapping[str, Any]) -> Message | PillarboxError:
    """What became of one message of a batch."""
    found = told.get("message")
    if found is not None:
        return read(Message, found)
    refused = told.get("problem") or {}
    return _problem(refused, int(told.get("status", 500)), "it was not stored", _DEFAULT_WAIT)


def _problem(
    told: Mapping[str, Any], status: int, otherwise: str, wait: timedelta
) -> PillarboxError:
    text = str(told.get("detail") or told.get("title") or otherwise)
    faults = tuple(_faults(told.get("errors")))
    known = _BY_CODE.get(str(told.get("code")))
    if faults and known is None:
        return Rejected(faults)
    kind = known or _BY_STATUS.get(status) or _by_class(status)
    if issubclass(kind, Unavailable):
        return kind(text, retry_after=wait)
    return kind(text, field=faults[0].field if faults else None)


def _by_class(status: int) -> type[PillarboxError]:
    return Refused if 400 <= status < 500 and status != 429 else Unavailable


def retry_after(answer: HttpAnswer) -> timedelta:
    """RFC 9110 §10.2.3, in seconds; the date form is not used by pillarbox."""
    text = answer.headers.get("retry-after", "")
    return timedelta(seconds=int(text)) if text.isdecimal() else _DEFAULT_WAIT


def _faults(listed: Any) -> Iterator[Invalid]:
    """Each problem with its field: a JSON Pointer (RFC 6901) without its first slash."""
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, Mapping):
            pointer = str(each.get("pointer") or "").lstrip("#").removeprefix("/")
            text = str(each.get("detail") or each.get("message") or "this cannot be used")
            yield Invalid(text, field=pointer or None)
