"""`/v1/sender-domains`: domains whose mail we sign, and whether senders will be believed."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.inlets.http.answers import (
    answer,
    desk_of,
    intake_of,
    listed,
    moment,
    principal_of,
)
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.fields import (
    NAME,
    Field,
    Json,
    object_of,
    read_object,
    read_text,
)
from pillarbox.inlets.http.reading.message import read_mailbox
from pillarbox.mail.dkim_record import KeyKind, strings
from pillarbox.senders.domain import KeyState, SenderDomain, SenderKey

router = APIRouter(prefix="/v1/sender-domains", tags=["sender domains"])

_KINDS = {
    "rsa": (KeyKind.RSA,),
    "ed25519": (KeyKind.ED25519,),
    "both": (KeyKind.ED25519, KeyKind.RSA),
}


class RecordShown(TypedDict):
    """A DNS record to publish. strings are its value in pieces of 255 octets, for forms."""

    name: str
    type: str
    value: str
    strings: list[str]


class SenderKeyShown(TypedDict):
    """A signing key. state is waiting, signing or retired; its private half is never shown."""

    selector: str
    kind: str
    state: str
    record: RecordShown
    created_at: str
    changed_at: str


class SenderDomainShown(TypedDict):
    """A domain whose mail is signed, its keys those that wait first."""

    object: str
    id: str
    domain: str
    is_signing: bool
    created_at: str
    keys: list[SenderKeyShown]


class SenderDomainList(TypedDict):
    """All of them, by name."""

    object: str
    has_more: bool
    next_cursor: str | None
    data: list[SenderDomainShown]


class FindingShown(TypedDict):
    """One thing that was looked at: topic is login, mx, spf, dkim or dmarc."""

    topic: str
    status: str
    evidence: str
    cause: str | None
    fix: str | None
    publish: RecordShown | None


class ReadinessShown(TypedDict):
    """Whether mail from an address will be believed. signs: selectors that sign as of now."""

    object: str
    ok: bool
    domain: str
    findings: list[FindingShown]
    signs: list[str]


def _read_kind(raw: Any) -> tuple[KeyKind, ...]:
    if raw not in _KINDS:
        raise Invalid(f"a kind of key is one of {', '.join(_KINDS)}")
    return _KINDS[raw]


def _read_selectors(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(each, str) for each in raw):
        raise Invalid("selectors are a list of words")
    if len(raw) > _MOST_SELECTORS:
        raise Invalid(f"at most {_MOST_SELECTORS} selectors are looked up at once")
    return tuple(raw)


_MOST_SELECTORS = 10
_TEXT = {"type": "string", "minLength": 1, "maxLength": 253}
_SELECTOR = Field(
    read=read_text, schema=_TEXT, about="Where the key is to stand; left out: by the day."
)
_KIND = Field(
    read=_read_kind, schema={"enum": list(_KINDS)}, about="rsa if left out; both signs twice."
)
_ADD = {
    "domain": Field(read=read_text, schema=_TEXT, about="The domain in From."),
    "kind": _KIND,
    "selector": _SELECTOR,
}
_ADD_REQUIRED = ("domain",)
_ROTATE = {"selector": _SELECTOR}
_CHECK = {
    "from": Field(read=read_mailbox, schema=NAME, about="The address that mail is to come from."),
    "relay": Field(read=read_text, schema=_TEXT, about="The relay it is to go by, by name or id."),
    "selectors": Field(
        read=_read_selectors,
        schema={"type": "array", "items": {"type": "string"}, "maxItems": _MOST_SELECTORS},
        about="Where the provider's DKIM keys stand.",
    ),
}
_CHECK_REQUIRED = ("from",)


@router.get("", response_class=Response, responses={200: {"model": SenderDomainList}, **problems()})
async def sender_domains(request: Request) -> Response:
    """All domains whose mail is signed."""
    return listed([_shown(each) for each in desk_of(request).senders.all()])


@router.post(
    "",
    status_code=201,
    response_class=Response,
    openapi_extra=takes(object_of(_ADD, _ADD_REQUIRED)),
    responses={201: {"model": SenderDomainShown}, **problems(409, body=True)},
)
async def add_sender_domain(request: Request) -> Response:
    """
    A domain with a new key. Publish its record, then check: it signs from then on.

    The key is made here, sealed, and never shown.
    """
    wanted = await _fields(request, _ADD, _ADD_REQUIRED)
    added = await desk_of(request).senders.add(
        wanted["domain"],
        wanted.get("kind") or _KINDS["rsa"],
        wanted.get("selector"),
        str(principal_of(request)),
    )
    return answer(_shown(added), 201, {"Location": f"/v1/sender-domains/{added.domain}"})


@router.post(
    "/check",
    response_class=Response,
    openapi_extra=takes(object_of(_CHECK, _CHECK_REQUIRED)),
    responses={200: {"model": ReadinessShown}, **problems(404, 429, body=True)},
)
async def check_sender(request: Request) -> Response:
    """
    Whether mail from an address will be believed: SPF, DKIM, DMARC, MX, From and login.

    Each finding that a record would mend has the record. A key of ours whose record is seen
    signs from then on.
    """
    wanted = await _fields(request, _CHECK, _CHECK_REQUIRED)
    desk = desk_of(request)
    known = desk.registry.get(wanted["relay"]) if wanted.get("relay") else None
    desk.trials.take(principal_of(request))
    address = wanted["from"].address
    own = desk.senders.find(address.domain)
    found = await desk.diagnosis.of_sender(
        address,
        relay=known,
        selectors=wanted.get("selectors") or (),
        ours={key.selector: key.record for key in own.in_use} if own else {},
    )
    if own:
        own = await desk.senders.note_published(
            own.domain, found.published, str(principal_of(request))
        )
    signing = [key.selector for key in own.keys if key.state is KeyState.SIGNING] if own else []
    return answer({"object": "readiness", **found.to_json(), "signs": signing})


@router.get(
    "/{domain}",
    response_class=Response,
    responses={200: {"model": SenderDomainShown}, **problems(404, 422)},
)
async def sender_domain(request: Request, domain: str) -> Response:
    """One domain, by name or id, with the records to publish."""
    return answer(_shown(desk_of(request).senders.get(domain)))


@router.post(
    "/{domain}/rotate",
    response_class=Response,
    openapi_extra=takes(object_of(_ROTATE), required=False),
    responses={200: {"model": SenderDomainShown}, **problems(404, 409, body=True)},
)
async def rotate_sender_domain(request: Request, domain: str) -> Response:
    """
    A new key under a new selector. The old one signs until the new record has been seen.

    Leave the old record published for a week after that: signed mail may still be on its way.
    """
    wanted = await _fields(request, _ROTATE)
    senders = desk_of(request).senders
    rotated = await senders.rotate(domain, wanted.get("selector"), str(principal_of(request)))
    return answer(_shown(rotated))


@router.delete("/{domain}", status_code=204, response_class=Response, responses=problems(404, 422))
async def remove_sender_domain(request: Request, domain: str) -> Response:
    """Mail of this domain is signed no more. Its keys are gone for good."""
    await desk_of(request).senders.remove(domain, str(principal_of(request)))
    return Response(status_code=204)


async def _fields(
    request: Request, fields: dict[str, Field], required: tuple[str, ...] = ()
) -> Json:
    parsed = await intake_of(request).json(request, may_be_empty=not required)
    if parsed.faults:
        raise Rejected(parsed.faults)
    return read_object(parsed.fields, fields, required)


def _shown(domain: SenderDomain) -> SenderDomainShown:
    return {
        "object": "sender_domain",
        "id": domain.id,
        "domain": domain.domain,
        "is_signing": any(key.state is KeyState.SIGNING for key in domain.keys),
        "created_at": moment(domain.created_at),
        "keys": [_shown_key(key) for key in domain.keys],
    }


def _shown_key(key: SenderKey) -> SenderKeyShown:
    return {
        "selector": key.selector,
        "kind": key.kind.value,
        "state": key.state.value,
        "record": {
            "name": key.name,
            "type": "TXT",
            "value": key.record,
            "strings": list(strings(key.record)),
        },
        "created_at": moment(key.created_at),
        "changed_at": moment(key.changed_at),
    }
