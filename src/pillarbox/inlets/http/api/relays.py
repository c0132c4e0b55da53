"""`/v1/relays`: where mail goes. Settings are read and changed here; secrets only go in."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.accept.submission import Submission
from pillarbox.base.errors import Rejected
from pillarbox.inlets.http import relay_schemas, report_schemas, schemas
from pillarbox.inlets.http.answers import (
    answer,
    desk_of,
    intake_of,
    listed,
    principal_of,
    show_relay,
    show_report,
    shown_relay,
)
from pillarbox.inlets.http.api.messages import accepted
from pillarbox.inlets.http.consent_answers import with_consent
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.fields import Field, Json, read_object
from pillarbox.inlets.http.reading.relay import (
    ADDRESS_FIELDS,
    ADDRESS_REQUIRED,
    ADDRESS_SCHEMA,
    LETTER_FIELDS,
    LETTER_REQUIRED,
    LETTER_SCHEMA,
    PATCH_SCHEMA,
    RELAY_SCHEMA,
    SAVED_FIELDS,
    SAVED_SCHEMA,
    UNSAVED_SCHEMA,
    read_decision,
    read_probe,
)
from pillarbox.relays.versions import Relay

router = APIRouter(prefix="/v1/relays", tags=["relays"])


@router.get(
    "", response_class=Response, responses={200: {"model": schemas.RelayList}, **problems()}
)
async def relays(request: Request) -> Response:
    """All relays, the default first."""
    desk = desk_of(request)
    consents, now = await desk.connecting.statuses(), desk.clock.now()
    return listed(
        [with_consent(show_relay(each, now), consents.get(each.id)) for each in desk.registry.all()]
    )


@router.post(
    "",
    status_code=201,
    response_class=Response,
    openapi_extra=takes(RELAY_SCHEMA),
    responses={201: {"model": relay_schemas.RelayShown}, **problems(409, body=True)},
)
async def add_relay(request: Request) -> Response:
    """A new relay. It is untested until it has been diagnosed."""
    parsed = await intake_of(request).json(request)
    decision = read_decision(parsed, str(principal_of(request)))
    relay = await desk_of(request).registry.add(decision)
    return shown_relay(request, relay, 201, {"Location": f"/v1/relays/{relay.id}"})


@router.post(
    "/diagnose",
    response_class=Response,
    openapi_extra=takes(UNSAVED_SCHEMA),
    responses={200: {"model": report_schemas.ReportShown}, **problems(429, body=True)},
)
async def diagnose_unsaved(request: Request) -> Response:
    """
    Try settings that are not saved. Nothing stored is used: the secret comes along.

    Nothing is sent, unless send is true: then a test mail goes to the recipient.
    """
    change, recipient, is_sending = read_probe(await intake_of(request).json(request))
    desk_of(request).trials.take(principal_of(request))
    report = await desk_of(request).diagnosis.of_change(
        change, rcpt_to=recipient, is_sending=is_sending
    )
    return answer(show_report(report, change.name))


@router.post(
    "/propose",
    response_class=Response,
    openapi_extra=takes(ADDRESS_SCHEMA),
    responses={200: {"model": report_schemas.ProposalsShown}, **problems(429, body=True)},
)
async def propose_settings(request: Request) -> Response:
    """
    Settings for a mail address: by its provider, its MX, what it publishes, or usual names.

    Each proposal is a change that may be posted as a relay with a name and a password.
    """
    wanted = await _fields(request, ADDRESS_FIELDS, ADDRESS_REQUIRED)
    desk = desk_of(request)
    desk.trials.take(principal_of(request))
    found = await desk.diagnosis.propose(wanted["address"].address)
    return answer({"object": "proposals", **found.to_json()})


@router.get(
    "/{relay}",
    response_class=Response,
    responses={200: {"model": relay_schemas.RelayShown}, **problems(404, 422)},
)
async def relay(request: Request, relay: str) -> Response:
    """One relay, by id or name."""
    desk = desk_of(request)
    known = desk.registry.get(relay)
    consents = await desk.connecting.statuses()
    shown = with_consent(show_relay(known, desk.clock.now()), consents.get(known.id))
    return answer(shown, headers={"ETag": f'"{known.version}"'})


@router.patch(
    "/{relay}",
    response_class=Response,
    openapi_extra=takes(PATCH_SCHEMA),
    responses={200: {"model": relay_schemas.RelayShown}, **problems(404, 409, body=True)},
)
async def change_relay(request: Request, relay: str) -> Response:
    """
    Change what is named, keep the rest.

    A stored secret does not follow to another destination: it must be given again. With
    If-Match or version, the change is refused when somebody else was first.
    """
    parsed = await intake_of(request).json(request)
    tag = request.headers.get("if-match")
    decision = read_decision(parsed, str(principal_of(request)), tag)
    return shown_relay(request, await desk_of(request).registry.change(relay, decision))


@router.delete(
    "/{relay}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422),
)
async def remove_relay(request: Request, relay: str) -> Response:
    """Remove a relay. Mail that waits for it is held."""
    await desk_of(request).registry.remove(relay, str(principal_of(request)))
    return Response(status_code=204)


@router.post(
    "/{relay}/resume",
    response_class=Response,
    responses={200: {"model": relay_schemas.RelayShown}, **problems(404, 422)},
)
async def resume_relay(request: Request, relay: str) -> Response:
    """
    End a rest or a slowdown now: one delivery probes the relay, and the rest follows.

    Nothing happens to a relay that is well.
    """
    registry = desk_of(request).registry
    return shown_relay(request, await registry.resume_now(relay, str(principal_of(request))))


@router.post(
    "/{relay}/diagnose",
    response_class=Response,
    openapi_extra=takes(SAVED_SCHEMA, required=False),
    responses={200: {"model": report_schemas.ReportShown}, **problems(404, 429, body=True)},
)
async def diagnose_saved(request: Request, relay: str) -> Response:
    """
    Try a relay as it is saved, step by step; remember how it ended.

    Nothing is sent, unless send is true: then a test mail goes to the recipient.
    """
    desk = desk_of(request)
    known = desk.registry.get(relay)
    wanted = await _fields(request, SAVED_FIELDS)
    sender, recipient = wanted.get("from"), wanted.get("to")
    desk.trials.take(principal_of(request))
    report = await desk.diagnosis.of_relay(
        known,
        mail_from=sender and sender.address,
        rcpt_to=recipient and recipient.address,
        is_sending=wanted.get("send", False),
    )
    await desk.registry.note_check(known, is_well=report.is_well)
    return answer(show_report(report, known.name))


@router.post(
    "/{relay}/test-message",
    status_code=202,
    response_class=Response,
    openapi_extra=takes(LETTER_SCHEMA),
    responses={202: {"model": schemas.MessageBrief}, **problems(404, 429, body=True)},
)
async def test_message(request: Request, relay: str) -> Response:
    """Send a short letter through this relay."""
    desk = desk_of(request)
    known = desk.registry.get(relay)
    wanted = await _fields(request, LETTER_FIELDS, LETTER_REQUIRED)
    desk.trials.take(principal_of(request))
    draft = {
        "to": (wanted["to"],),
        "from_": wanted.get("from"),
        "subject": f"Test message through {known.name}",
        "text": _LETTER.format(relay=known.name, host=_where(known)),
    }
    submission = Submission(
        principal=principal_of(request), inlet="http", draft=draft, relay=known.id
    )
    return await accepted(desk, await desk.acceptance.accept(submission))


_LETTER = """\
This is a test message.

It went through the relay “{relay}”{host}. If you can read this, the relay takes mail
and delivers it to you.
"""


def _where(relay: Relay) -> str:
    return f" at {relay.settings.host}" if relay.settings.host else ""


async def _fields(
    request: Request, fields: dict[str, Field], required: tuple[str, ...] = ()
) -> Json:
    parsed = await intake_of(request).json(request, may_be_empty=not required)
    if parsed.faults:
        raise Rejected(parsed.faults)
    return read_object(parsed.fields, fields, required)
