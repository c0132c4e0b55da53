"""`/v1/relays/{relay}/versions`: what a relay was, who changed it, and how to take it back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from pillarbox.base.errors import Invalid
from pillarbox.inlets.http import relay_schemas
from pillarbox.inlets.http.answers import (
    answer,
    desk_of,
    intake_of,
    listed,
    moment,
    principal_of,
    shown_relay,
)
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.relay import UNDO_SCHEMA, read_undo
from pillarbox.relays import history
from pillarbox.relays.history import Edition

router = APIRouter(prefix="/v1/relays/{relay}/versions", tags=["relays"])


class DifferenceShown(TypedDict):
    """One field, before and after. A certificate is shown by name, end and SHA-256."""

    field: str
    before: Any
    after: Any


class VersionBrief(TypedDict):
    """
    One version: who made it, when, and what it changed.

    secrets says `given`, `removed` or `dropped` for each secret that it touched. undoes is
    the version that it took back.
    """

    version: int
    current: bool
    changed_at: str
    principal: str
    undoes: int | None
    differences: list[DifferenceShown]
    secrets: dict[str, str]


class VersionShown(VersionBrief):
    """The same, with the name and the settings as they were. Defaults are left out."""

    name: str
    settings: dict[str, Any]


class VersionList(TypedDict):
    object: str
    has_more: bool
    next_cursor: str | None
    data: list[VersionBrief]


"""Every version, newest first."""


@router.get(
    "", response_class=Response, responses={200: {"model": VersionList}, **problems(404, 422)}
)
async def versions(request: Request, relay: str) -> Response:
    """Every version of a relay, newest first, with what it changed."""
    known = await desk_of(request).registry.history(relay)
    return listed([_brief(each, known[-1]) for each in reversed(known)])


@router.get(
    "/{version}",
    response_class=Response,
    responses={200: {"model": VersionShown}, **problems(404, 422)},
)
async def version(request: Request, relay: str, version: str) -> Response:
    """One version, with the settings as they were."""
    known = await desk_of(request).registry.history(relay)
    edition = history.one(known, _number(version))
    shown = {"name": edition.name, "settings": edition.settings.to_json()}
    return answer(_brief(edition, known[-1]) | shown)


@router.post(
    "/{version}/undo",
    response_class=Response,
    openapi_extra=takes(UNDO_SCHEMA, required=False),
    responses={200: {"model": relay_schemas.RelayShown}, **problems(404, 409, body=True)},
)
async def undo(request: Request, relay: str, version: str) -> Response:
    """
    Take back what one version changed, and nothing else. That is a new version.

    A secret comes back where it was sealed for that destination and never replaced there;
    otherwise it is asked for. What a later version changed again is refused.
    """
    parsed = await intake_of(request).json(request, may_be_empty=True)
    decision = read_undo(parsed, str(principal_of(request)), request.headers.get("if-match"))
    registry = desk_of(request).registry
    return shown_relay(request, await registry.undo(relay, _number(version), decision))


def _number(text: str) -> int:
    """Raises Invalid for a path that names no version."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise Invalid("a version is a whole number", field="version")
    return int(text)


def _brief(edition: Edition, current: Edition) -> VersionBrief:
    return {
        "version": edition.version,
        "current": edition is current,
        "changed_at": moment(edition.changed_at),
        "principal": edition.principal,
        "undoes": edition.undoes,
        "differences": [
            {"field": each.field, "before": each.before, "after": each.after}
            for each in edition.differences
        ],
        "secrets": dict(edition.secret_changes),
    }
