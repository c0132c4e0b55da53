"""`/v1/keys`: who may use this API. A key is shown once and never again."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import Invalid, NotFound, Rejected
from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import (
    answer,
    desk_of,
    intake_of,
    listed,
    principal_of,
    show_key,
)
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.fields import Field, object_of, read_name, read_object, read_text

router = APIRouter(prefix="/v1/keys", tags=["keys"])

_KEY = {
    "name": Field(
        read=read_text,
        schema={"type": "string", "minLength": 1, "maxLength": 80},
        about="What uses it, for people.",
    ),
    "tenant": Field(
        read=read_name,
        schema={"type": "string", "minLength": 1, "maxLength": 80},
        about="Name or id of the tenant that it acts for; left out: the system, with all rights.",
    ),
}
_REQUIRED = ("name",)


@router.get("", response_class=Response, responses={200: {"model": schemas.KeyList}, **problems()})
async def keys(request: Request) -> Response:
    """All keys, revoked ones too, newest first."""
    return listed([show_key(key) for key in await desk_of(request).keys.all()])


@router.post(
    "",
    status_code=201,
    response_class=Response,
    openapi_extra=takes(object_of(_KEY, _REQUIRED)),
    responses={201: {"model": schemas.KeyCreated}, **problems(body=True)},
)
async def create_key(request: Request) -> Response:
    """A new key. `key` in the answer is the only time that it is shown."""
    parsed = await intake_of(request).json(request)
    if parsed.faults:
        raise Rejected(parsed.faults)
    wanted = read_object(parsed.fields, _KEY, _REQUIRED)
    desk, by = desk_of(request), principal_of(request)
    tenant = _tenant(desk, wanted["tenant"]) if "tenant" in wanted else None
    key, text = await desk.keys.create(wanted["name"], by, tenant=tenant)
    body: schemas.KeyCreated = {**show_key(key), "key": text}
    return answer(body, 201)


@router.delete("/{key_id}", status_code=204, response_class=Response, responses=problems(404, 422))
async def revoke_key(request: Request, key_id: str) -> Response:
    """From now on this key opens nothing."""
    await desk_of(request).keys.revoke(key_id, principal_of(request))
    return Response(status_code=204)


def _tenant(desk: Desk, reference: str) -> str:
    """The id of a tenant. Raises Rejected."""
    try:
        return desk.tenants.get(reference).id
    except NotFound as error:
        raise Rejected([Invalid(str(error), field="tenant")]) from None
