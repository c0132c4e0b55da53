"""`/v1/relays/…/certificates`: what certificates are, in words, before and after saving."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from pillarbox.base.errors import Rejected
from pillarbox.inlets.http.answers import answer, desk_of, intake_of, moment
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.relay import PEM_FIELDS, PEM_SCHEMA, read_pem_fields
from pillarbox.relays.certificates import View, views
from pillarbox.relays.change import RelayChange, Replace
from pillarbox.relays.relay import Slot

router = APIRouter(prefix="/v1/relays", tags=["relays"])


class CertificateShown(TypedDict):
    """
    One certificate. days_left is negative when it has ended; sha256 is its fingerprint.

    key is such as `RSA 2048`; names are those that it is for.
    """

    subject: str
    issuer: str
    names: list[str]
    not_before: str
    not_after: str
    days_left: int
    key: str
    sha256: str
    is_authority: bool
    is_self_signed: bool


class CertificatesShown(TypedDict):
    """
    The authorities that are believed, and our own certificate with its chain.

    key_matches is null where there is no key to compare.
    """

    authorities: list[CertificateShown]
    client_certificate: list[CertificateShown]
    key_matches: bool | None


@router.post(
    "/certificates",
    response_class=Response,
    openapi_extra=takes(PEM_SCHEMA),
    responses={200: {"model": CertificatesShown}, **problems(body=True)},
)
async def certificates_unsaved(request: Request) -> Response:
    """
    Read certificates without saving them.

    What could not be saved is refused here with the same words: a key of another
    certificate, an authority that is none, what has ended.
    """
    change = read_pem_fields(await intake_of(request).json(request))
    now = desk_of(request).clock.now()
    if faults := change.certificate_faults(now):
        raise Rejected(faults)
    given = {name: change.values.get(name) for name in PEM_FIELDS}
    return answer(_shown(given, now, key_matches=_brings_key(change)))


@router.get(
    "/{relay}/certificates",
    response_class=Response,
    responses={200: {"model": CertificatesShown}, **problems(404, 422)},
)
async def certificates(request: Request, relay: str) -> Response:
    """The certificates of a relay. A key that does not fit is never saved."""
    desk = desk_of(request)
    known = desk.registry.get(relay)
    given = {name: getattr(known.settings, name) for name in PEM_FIELDS}
    has_key = True if Slot.CLIENT_KEY in known.sealed else None
    return answer(_shown(given, desk.clock.now(), key_matches=has_key))


def _brings_key(change: RelayChange) -> bool | None:
    return True if isinstance(change.secrets.get(Slot.CLIENT_KEY), Replace) else None


def _shown(given: dict[str, Any], now: datetime, *, key_matches: bool | None) -> CertificatesShown:
    return {
        "authorities": _each(given["authorities"], now),
        "client_certificate": _each(given["client_certificate"], now),
        "key_matches": key_matches,
    }


def _each(pem: str | None, now: datetime) -> list[CertificateShown]:
    return [_one(view, now) for view in views(pem)] if pem else []


def _one(view: View, now: datetime) -> CertificateShown:
    return {
        "subject": view.subject,
        "issuer": view.issuer,
        "names": list(view.names),
        "not_before": moment(view.not_before),
        "not_after": moment(view.not_after),
        "days_left": view.days_left(now),
        "key": view.key,
        "sha256": view.sha256,
        "is_authority": view.is_authority,
        "is_self_signed": view.is_self_signed,
    }
