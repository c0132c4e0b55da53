"""Files that pages need, from memory: nothing on disk can be reached by a name."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import NotFound

router = APIRouter(include_in_schema=False)

_FILES = {
    "site.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "vendor/tabler-1.6.1.min.css": "text/css; charset=utf-8",
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    octets: bytes
    packed: bytes
    mark: str


@router.get("/static/{name:path}")
async def static(request: Request, name: str) -> Response:
    """A file of ours by its name."""
    if name not in _FILES:
        raise NotFound("There is nothing at this address.")
    found = _file(name)
    headers = {"Content-Type": _FILES[name], "Vary": "Accept-Encoding"}
    headers["Cache-Control"] = _FOREVER if request.url.query == found.mark else "no-cache"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.octets, headers=headers)


def address_of(name: str) -> str:
    """Where a page finds it: another address when its content changes."""
    return f"/static/{name}?{_file(name).mark}"


@cache
def _file(name: str) -> _File:
    octets = resources.files("pillarbox.inlets.http").joinpath("static", name).read_bytes()
    return _File(octets, gzip.compress(octets, 9, mtime=0), hashlib.sha256(octets).hexdigest()[:12])
