"""`/v1/providers`: what is known about providers' relays."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import listed, show_provider
from pillarbox.inlets.http.openapi import problems
from pillarbox.relays import presets
from pillarbox.relays.presets import Preset

router = APIRouter(prefix="/v1/providers", tags=["relays"])


class Filter(BaseModel):
    """Which providers."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = Field(
        None, min_length=1, max_length=320, description="A name, a mail domain or a mail address."
    )


@router.get(
    "", response_class=Response, responses={200: {"model": schemas.ProviderList}, **problems(422)}
)
async def providers(request: Request, wanted: Annotated[Filter, Query()]) -> Response:
    """Known providers by name; with q, those that it means."""
    found = presets.every() if wanted.q is None else _meant(wanted.q)
    return listed([show_provider(preset) for preset in found])


def _meant(text: str) -> tuple[Preset, ...]:
    if exact := presets.find(text):
        return (exact,)
    if regional := presets.regions_of(text):
        return regional
    part = text.strip().casefold()
    within = tuple(each for each in presets.every() if part in each.name.casefold())
    close = presets.find(presets.nearest(text) or "")
    return within or ((close,) if close else ())
