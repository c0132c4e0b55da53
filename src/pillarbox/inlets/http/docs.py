"""`/docs`: the API on one page, made from its description and served from here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.inlets.http.answers import desk_of
from pillarbox.inlets.http.openapi import description_of
from pillarbox.inlets.http.pages import page

router = APIRouter(include_in_schema=False)

Json = dict[str, Any]

_METHODS = ("get", "post", "patch", "delete")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Every route with what it takes and what it answers."""
    described = description_of(request.app)
    routes = [
        _shown(path, method, operations[method])
        for path, operations in described["paths"].items()
        for method in _METHODS
        if method in operations
    ]
    fields = described["components"]["schemas"]["MessageRequest"]["properties"]
    url = desk_of(request).config.public_url
    return page(request, "docs.html", {"routes": routes, "fields": fields, "url": url})


def _shown(path: str, method: str, operation: Json) -> Json:
    return {
        "path": path,
        "method": method.upper(),
        "about": operation.get("description") or operation.get("summary", ""),
        "parameters": operation.get("parameters", []),
        "responses": operation["responses"],
    }
