"""`/v1/restored`: mail that is held because its database was put back from a backup."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import answer, desk_of, intake_of, principal_of
from pillarbox.inlets.http.body import require_empty
from pillarbox.inlets.http.openapi import problems
from pillarbox.queue import restore

router = APIRouter(prefix="/v1/restored", tags=["messages"])


@router.get("", response_class=Response, responses={200: {"model": schemas.Restored}, **problems()})
async def restored(request: Request) -> Response:
    """How many deliveries wait because a restore holds them."""
    count = await desk_of(request).database.read(restore.restored)
    return answer({"held": count, "released": 0})


@router.post(
    "/release",
    response_class=Response,
    responses={200: {"model": schemas.Restored}, **problems(body=True)},
)
async def release(request: Request) -> Response:
    """Let go everything that a restore holds. What was sent since the backup is sent again."""
    desk = desk_of(request)
    require_empty(await intake_of(request).json(request, may_be_empty=True))
    now, principal, released = desk.clock.now(), str(principal_of(request)), 0
    while count := await desk.database.write(
        lambda connection: restore.release_restored(connection, now, principal)
    ):
        released += count
    desk.database.bell.ring()
    return answer({"held": 0, "released": released})
