"""`/v1/relays/import` and `…/export`: settings as a text to keep, from here or from elsewhere."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.inlets.http.answers import answer, desk_of, intake_of, principal_of, show_relay
from pillarbox.inlets.http.body import Parsed
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.relay import RELAY_SCHEMA, read_decision
from pillarbox.inlets.http.relay_schemas import RelayShown
from pillarbox.relays.import_.formats import FORMATS, imported, places_to_confirm

router = APIRouter(prefix="/v1/relays", tags=["relays"])

_SCHEMA: dict[str, Any] = RELAY_SCHEMA | {
    "required": ["settings"],
    "properties": RELAY_SCHEMA["properties"]
    | {
        "format": {"enum": list(FORMATS), "description": "Whose settings; left out: our own."},
        "settings": {"type": ["object", "string"], "description": "As the other system has them."},
        "asks_for": {"type": "array", "items": {"type": "string"}, "description": "Not read."},
    },
}


class Exported(TypedDict):
    """
    A relay to keep or to import elsewhere. It holds no secret: asks_for names those to give.

    A secret that is kept elsewhere is there as its place.
    """

    format: str
    name: str
    settings: dict[str, Any]
    asks_for: list[str]


class ImportedShown(TypedDict):
    """The relay that was made, and what behaves differently here."""

    relay: RelayShown
    notes: list[str]


@router.get(
    "/{relay}/export",
    response_class=Response,
    responses={200: {"model": Exported}, **problems(404, 422)},
)
async def export(request: Request, relay: str) -> Response:
    """A relay's settings without its secrets, as import takes them."""
    known = desk_of(request).registry.get(relay)
    places = {slot.value: each.reference for slot, each in known.sealed.items() if each.reference}
    held = {*known.sealed, *known.lent}
    body: Exported = {
        "format": "pillarbox",
        "name": known.name,
        "settings": known.settings.to_json() | places,
        "asks_for": sorted(slot.value for slot in held if slot.value not in places),
    }
    return answer(body)


@router.post(
    "/import",
    status_code=201,
    response_class=Response,
    openapi_extra=takes(_SCHEMA),
    responses={201: {"model": ImportedShown}, **problems(409, body=True)},
)
async def import_relay(request: Request) -> Response:
    """
    A new relay from settings of another system, or of an export.

    Fields beside `settings` win over what stands in it: the name, and secrets. The place of a
    secret (env:…, file:…) counts only when it is given beside them too.
    """
    parsed = await intake_of(request).json(request)
    typed = dict(parsed.fields)
    typed.pop("asks_for", None)
    settings, name = typed.pop("settings", None), typed.pop("format", None) or "pillarbox"
    try:
        found = imported(str(name), settings)
    except Invalid as fault:
        raise Rejected([*parsed.faults, fault]) from None
    faults = [*parsed.faults, *places_to_confirm(found, typed)]
    if len(faults) > len(parsed.faults):
        raise Rejected(faults)
    whole = Parsed(found.fields | typed, parsed.faults)
    desk = desk_of(request)
    relay = await desk.registry.add(read_decision(whole, str(principal_of(request))))
    body: ImportedShown = {
        "relay": show_relay(relay, desk.clock.now()),
        "notes": list(found.notes),
    }
    return answer(body, 201, {"Location": f"/v1/relays/{relay.id}"})
