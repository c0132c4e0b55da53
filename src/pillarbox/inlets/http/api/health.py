"""`/livez` and `/readyz`: whether this process lives, and whether it does its work."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import PillarboxError
from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import answer, desk_of
from pillarbox.inlets.http.desk import Desk

router = APIRouter(tags=["health"])

_PATIENCE_SECONDS = 5.0
_FRESH_SECONDS = 1.0  # anybody may ask; the disk is asked once a second at most
_HEALTH: dict[int | str, Any] = {200: {"model": schemas.Health}, 503: {"model": schemas.Health}}


class Probe:
    """Whether the database can be written, tried at most once a second."""

    def __init__(self) -> None:
        self._check: schemas.Check | None = None
        self._checked_at = 0.0
        self._trying = asyncio.Lock()

    async def look(self, desk: Desk) -> schemas.Check:
        async with self._trying:
            now = desk.clock.monotonic()
            if self._check is None or now - self._checked_at >= _FRESH_SECONDS:
                self._check = await _written(desk)
                self._checked_at = now
            return self._check


@router.get("/livez", response_class=Response, responses={200: {"model": schemas.Health}})
async def livez(request: Request) -> Response:
    """The process answers. A database that is away is no reason to start it again."""
    body: schemas.Health = {"ok": True, "checks": []}
    return answer(body)


@router.get("/readyz", response_class=Response, responses=_HEALTH)
async def readyz(request: Request) -> Response:
    """
    The database can be written and mail is being carried; 503 when not.

    How relays are is told with it and decides nothing: mail is taken and waits for them.
    """
    desk, probe = desk_of(request), request.app.state.probe
    checks = [await probe.look(desk), _carrying(desk)]
    is_well = all(check["ok"] for check in checks)
    body: schemas.Health = {"ok": is_well, "checks": [*checks, _relays(desk)]}
    return answer(body, 200 if is_well else 503)


async def _written(desk: Desk) -> schemas.Check:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await desk.database.write(_touch)
    except (SQLAlchemyError, PillarboxError) as error:
        return {"name": "database", "ok": False, "detail": type(error).__name__}
    except TimeoutError:
        return {"name": "database", "ok": False, "detail": "it did not answer in time"}
    return {"name": "database", "ok": True, "detail": "it can be written"}


def _touch(connection: Connection) -> None:
    """The least that reaches the disk. It changes nothing."""
    connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")


def _carrying(desk: Desk) -> schemas.Check:
    is_ready = desk.is_ready()
    detail = "mail is being carried" if is_ready else "mail is not being carried at the moment"
    return {"name": "worker", "ok": is_ready, "detail": detail}


def _relays(desk: Desk) -> schemas.Check:
    """By the last diagnosis, check or delivery. Anybody may ask, so no relay is named."""
    relays = desk.registry.all()
    ill = sum(bool(each.rest) or each.checked_well is False for each in relays)
    detail = f"{ill} of {len(relays)} cannot be used now" if ill else "none is known not to work"
    return {"name": "relays", "ok": not ill, "detail": detail}
