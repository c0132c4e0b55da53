"""`/v1/providers`: what is known about providers' relays."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from pillarbox.inlets.http.answers import listed
from pillarbox.inlets.http.openapi import problems
from pillarbox.oauth import providers as tokens
from pillarbox.relays import presets
from pillarbox.relays.presets import Preset

router = APIRouter(prefix="/v1/providers", tags=["relays"])


class TokensShown(TypedDict):
    """How a relay of this provider gets access tokens: what auth oauth2 needs there."""

    provider: str
    name: str
    grants: list[str]
    scopes: str | None
    needs_tenant: bool
    docs_url: str | None


class Alternative(TypedDict):
    """Another way in to the same relay."""

    port: int
    tls: str


class ProviderShown(TypedDict):
    """What is known of a provider's relay."""

    id: str
    provider: str
    name: str
    host: str
    port: int
    tls: str
    login: str
    username: str | None
    mechanism: str | None
    secret_name: str
    alternatives: list[Alternative]
    aliases: list[str]
    domains: list[str]
    max_connections: int | None
    messages_per_minute: int | None
    oauth2: TokensShown | None
    limits: str | None
    notes: str | None
    docs_url: str | None


class ProviderList(TypedDict):
    """Providers by name."""

    object: str
    has_more: bool
    next_cursor: str | None
    data: list[ProviderShown]


class Filter(BaseModel):
    """Which providers."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = Field(
        None, min_length=1, max_length=320, description="A name, a mail domain or a mail address."
    )


@router.get("", response_class=Response, responses={200: {"model": ProviderList}, **problems(422)})
async def providers(request: Request, wanted: Annotated[Filter, Query()]) -> Response:
    """Known providers by name; with q, those that it means."""
    found = presets.every() if wanted.q is None else _meant(wanted.q)
    return listed([_show(preset) for preset in found])


def _meant(text: str) -> tuple[Preset, ...]:
    if exact := presets.find(text):
        return (exact,)
    if regional := presets.regions_of(text):
        return regional
    part = text.strip().casefold()
    within = tuple(each for each in presets.every() if part in each.name.casefold())
    close = presets.find(presets.nearest(text) or "")
    return within or ((close,) if close else ())


def _tokens(preset: Preset) -> TokensShown | None:
    provider = tokens.of_preset(preset.id)
    if provider is None:
        return None
    return {
        "provider": provider.id,
        "name": provider.name,
        "grants": [grant.value for grant in provider.grants],
        "scopes": provider.scopes,
        "needs_tenant": provider.needs_tenant,
        "docs_url": provider.docs_url,
    }


def _show(preset: Preset) -> ProviderShown:
    return {
        "id": preset.id,
        "provider": preset.provider,
        "name": preset.name,
        "host": preset.host,
        "port": preset.port,
        "tls": preset.tls.value,
        "login": preset.login.value,
        "username": preset.username,
        "mechanism": preset.mechanism.value if preset.mechanism else None,
        "secret_name": preset.secret_name,
        "alternatives": [{"port": port, "tls": tls.value} for port, tls in preset.alternatives],
        "aliases": list(preset.aliases),
        "domains": list(preset.domains),
        "max_connections": preset.max_connections,
        "messages_per_minute": preset.messages_per_minute,
        "oauth2": _tokens(preset),
        "limits": preset.limits,
        "notes": preset.notes,
        "docs_url": preset.docs_url,
    }
