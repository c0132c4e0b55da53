"""`/v1/tenants`: organisations that share this installation, and what each may use of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.access.tenants import Permission, Tenant, TenantChange
from pillarbox.base.errors import Invalid, Rejected
from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import (
    answer,
    desk_of,
    intake_of,
    listed,
    moment,
    principal_of,
)
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.fields import Field, object_of, read_object, read_text
from pillarbox.relays.addresses import MAX_ENTRIES, read_places

router = APIRouter(prefix="/v1/tenants", tags=["tenants"])


def _permission(raw: object) -> Permission:
    try:
        return Permission(raw)
    except ValueError:
        raise Invalid("this is allowed or forbidden") from None


_FIELDS: Mapping[str, Field] = {
    "name": Field(
        read=read_text,
        schema={"type": "string", "minLength": 1, "maxLength": 80},
        about="What it is called, here and in commands.",
    ),
    "system_relays": Field(
        read=_permission,
        schema={"enum": [each.value for each in Permission]},
        about="Whether its mail may go by the system's default relay.",
    ),
    "senders": Field(
        read=read_places,
        schema={
            "anyOf": [
                {"type": "array", "maxItems": MAX_ENTRIES, "items": {"type": "string"}},
                {"type": "string"},
            ]
        },
        about="Addresses and domains that it sends from; none: any, and nothing is signed.",
    ),
}


@router.get(
    "", response_class=Response, responses={200: {"model": schemas.TenantList}, **problems()}
)
async def tenants(request: Request) -> Response:
    """All tenants, by name."""
    return listed([_shown(each) for each in desk_of(request).tenants.all()])


@router.post(
    "",
    status_code=201,
    response_class=Response,
    openapi_extra=takes(object_of(_FIELDS, ("name",))),
    responses={201: {"model": schemas.TenantShown}, **problems(409, body=True)},
)
async def add_tenant(request: Request) -> Response:
    """A new tenant. Make a key for it with `POST /v1/keys`."""
    change = await _change(request, ("name",))
    new = await desk_of(request).tenants.add(change, principal_of(request))
    return answer(_shown(new), 201, {"Location": f"/v1/tenants/{new.id}"})


@router.get(
    "/{tenant}",
    response_class=Response,
    responses={200: {"model": schemas.TenantShown}, **problems(404, 422)},
)
async def tenant(request: Request, tenant: str) -> Response:
    """One tenant, by id or name."""
    return answer(_shown(desk_of(request).tenants.get(tenant)))


@router.patch(
    "/{tenant}",
    response_class=Response,
    openapi_extra=takes(object_of(_FIELDS)),
    responses={200: {"model": schemas.TenantShown}, **problems(404, 409, body=True)},
)
async def change_tenant(request: Request, tenant: str) -> Response:
    """Change what is named, keep the rest. Mail that was accepted before is carried."""
    change = await _change(request)
    return answer(
        _shown(await desk_of(request).tenants.change(tenant, change, principal_of(request)))
    )


@router.delete(
    "/{tenant}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422),
)
async def remove_tenant(request: Request, tenant: str) -> Response:
    """Remove a tenant that has no keys any more. Its mail is carried."""
    await desk_of(request).tenants.remove(tenant, principal_of(request))
    return Response(status_code=204)


async def _change(request: Request, required: tuple[str, ...] = ()) -> TenantChange:
    parsed = await intake_of(request).json(request)
    if parsed.faults:
        raise Rejected(parsed.faults)
    found: dict[str, Any] = read_object(parsed.fields, _FIELDS, required)
    return TenantChange(**found)


def _shown(tenant: Tenant) -> schemas.TenantShown:
    return {
        "id": tenant.id,
        "name": tenant.name,
        "system_relays": tenant.system_relays.value,
        "senders": list(tenant.senders),
        "created_at": moment(tenant.created_at),
    }
