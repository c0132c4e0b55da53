"""Many messages in one request: each is read as if it had come alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pillarbox.accept.submission import Submission
from pillarbox.access.principal import Principal
from pillarbox.base.errors import Invalid, Rejected
from pillarbox.base.json_type import type_name
from pillarbox.inlets.http.body import Parsed, without_faulty
from pillarbox.inlets.http.reading.fields import (
    NAME,
    Field,
    Json,
    object_of,
    read_fields,
    read_name,
    unknown,
)
from pillarbox.inlets.http.reading.message import (
    MESSAGE,
    SCOPE,
    GivenKey,
    read_key,
    submission_of,
)

MAX_MESSAGES = 100

_KEY = "idempotency_key"
ITEM: dict[str, Field] = {name: each for name, each in MESSAGE.items() if name != "dry_run"} | {
    _KEY: Field(
        read=read_name,
        schema=NAME,
        about="As the header Idempotency-Key of a message that is sent alone.",
    )
}
ITEM_SCHEMA = object_of(ITEM)
BATCH_SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["messages"],
    "properties": {
        "messages": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_MESSAGES,
            "items": {"$ref": "#/components/schemas/BatchItem"},
            "description": "Each like the body of POST /v1/messages.",
        }
    },
}


def read_batch(parsed: Parsed, principal: Principal, batch_key: str | None) -> list[Submission]:
    """
    Every message, its faults in it. Raises Rejected when the batch itself is none.

    batch_key covers what has no key of its own: the item at the same place of a batch with
    the same key is the same request.
    """
    items = _items(parsed)
    if batch_key is not None:
        batch_key = read_key(batch_key)
    is_clean = not parsed.faults
    return [
        read_item(
            item if is_clean else _faultless(item),
            principal,
            place=_place(batch_key, number),
        )
        for number, item in enumerate(items)
    ]


def _items(parsed: Parsed) -> list[Any]:
    whole = parsed.fields if parsed.whole is None else parsed.whole
    problems = list(_problems(whole, parsed))
    if problems:
        raise Rejected(problems)
    items: list[Any] = whole["messages"]
    return items


def _problems(whole: Json, parsed: Parsed) -> Iterator[Invalid]:
    inside = "messages/"
    yield from (each for each in parsed.faults if not (each.field or "").startswith(inside))
    yield from (unknown(name, {"messages": None}) for name in whole if name != "messages")
    match whole.get("messages"):
        case None | []:
            yield Invalid("a batch has at least one message", field="messages")
        case list() as items if len(items) > MAX_MESSAGES:
            yield Invalid(
                f"a batch has at most {MAX_MESSAGES} messages; this one has {len(items):,}",
                field="messages",
            )
        case list():
            return
        case other:
            yield Invalid(f"this is a list, not {type_name(other)}", field="messages")


def _faultless(item: Any) -> Any:
    return without_faulty(item) if isinstance(item, dict) else item


def _place(batch_key: str | None, number: int) -> tuple[str, str] | None:
    """The scope after the principal, and the key, of what has no key of its own."""
    return None if batch_key is None else (f"{SCOPE}/batch {number}", batch_key)


def read_item(
    item: Any,
    principal: Principal,
    *,
    inlet: str = "http",
    place: tuple[str, str] | None = None,
) -> Submission:
    """One message; its key is among its fields. place is for a message without one."""
    if not isinstance(item, Parsed):
        if not isinstance(item, dict):
            fault = Invalid(f"a message is an object, not {type_name(item)}")
            return Submission(principal=principal, inlet=inlet, draft={}, faults=(fault,))
        item = Parsed(item)
    fields = dict(item.fields)
    given = None if place is None else GivenKey(f"{principal} {place[0]}", place[1], _KEY)
    found = read_fields(fields, ITEM)
    fields.pop(_KEY, None)
    if _KEY in found.values:
        # The same request as that message alone: one key, whichever way it comes.
        given = GivenKey(f"{principal} {SCOPE}", found.values[_KEY], _KEY)
    submission = submission_of(Parsed(fields, item.faults), found, principal, given)
    return submission._replace(inlet=inlet)
