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

_PATIENCE_SECONDS = 2.0
_HEALTH: dict[int | str, Any] = {200: {"model": schemas.Health}, 503: {"model": schemas.Health}}


@router.get("/livez", response_class=Response, responses={200: {"model": schemas.Health}})
async def livez(request: Request) -> Response:
    """The process answers."""
    body: schemas.Health = {"ok": True, "checks": []}
    return answer(body)


@router.get("/readyz", response_class=Response, responses=_HEALTH)
async def readyz(request: Request) -> Response:
    """The database can be read and mail is being carried; 503 when not."""
    desk = desk_of(request)
    checks = [await _database(desk), _carrying(desk)]
    is_well = all(check["ok"] for check in checks)
    body: schemas.Health = {"ok": is_well, "checks": checks}
    return answer(body, 200 if is_well else 503)


async def _database(desk: Desk) -> schemas.Check:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await desk.database.read(_look)
    except (SQLAlchemyError, PillarboxError) as error:
        return {"name": "database", "ok": False, "detail": type(error).__name__}
    except TimeoutError:
        return {"name": "database", "ok": False, "detail": "it did not answer in time"}
    return {"name": "database", "ok": True, "detail": "it can be read"}


def _look(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT 1")


def _carrying(desk: Desk) -> schemas.Check:
    is_ready = desk.is_ready()
    detail = "mail is being carried" if is_ready else "mail is not being carried at the moment"
    return {"name": "worker", "ok": is_ready, "detail": detail}
