"""Values of the program, as the API shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from pillarbox.access.keys import Key
from pillarbox.access.principal import Principal
from pillarbox.base.errors import Invalid, NotFound, Rejected
from pillarbox.diagnosis.findings import Report
from pillarbox.inlets.http.advice import advice
from pillarbox.inlets.http.body import Intake
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.login import Headers
from pillarbox.inlets.http.relay_schemas import RelayShown, RelayStatus
from pillarbox.inlets.http.report_schemas import ReportShown
from pillarbox.inlets.http.schemas import (
    AttemptShown,
    DeliveryShown,
    EventShown,
    KeyShown,
    MessageBrief,
    MessageShown,
    SessionShown,
)
from pillarbox.journal.journal import Entry
from pillarbox.queue.browse import History, PastAttempt, PastSession
from pillarbox.queue.message import Delivery, Message
from pillarbox.relays.defaults import WHO_WE_ARE
from pillarbox.relays.relay import FIELD_NAMES, RelayKind, RelaySettings, Slot, json_name
from pillarbox.relays.roster import Roster
from pillarbox.relays.versions import Relay

_OF_ALL_KINDS = frozenset({"kind", *map(json_name, WHO_WE_ARE)})
_SHOWN_OF = {
    RelayKind.SMTP: FIELD_NAMES - {"directory"},
    RelayKind.SANDBOX: _OF_ALL_KINDS,
    RelayKind.PICKUP: _OF_ALL_KINDS | {"directory"},
}


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def intake_of(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


def idempotency_key_of(headers: Headers) -> str | None:
    """Raises Rejected when the header stands twice: we would have to choose."""
    given = [value for name, value in headers if name == b"idempotency-key"]
    if len(given) > 1:
        raise Rejected([Invalid("send one Idempotency-Key", field="Idempotency-Key")])
    return given[0].decode("latin-1") if given else None


def principal_of(request: Request) -> Principal:
    """Who the gate let in."""
    principal: Principal = request.scope["principal"]
    return principal


class Ready(Response):
    """An answer of octets that are there already."""

    def __init__(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """headers in lower case, without Content-Length."""
        self.status_code = status
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), *headers]
        self.background = None


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON."""
    return Response(as_octets(body), status, headers, media_type="application/json")


def as_octets(body: Any) -> bytes:
    """JSON, in ASCII: half a character from an old message cannot break it."""
    return json.dumps(body, separators=(",", ":")).encode()


def listed(shown: list[Any], *, has_more: bool = False, cursor: str | None = None) -> Response:
    """A page of things."""
    page = {"object": "list", "has_more": has_more, "next_cursor": cursor, "data": shown}
    return answer(page)


def moment(at: datetime) -> str:
    """RFC 3339 in UTC."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return f"{utc.isoformat(timespec='milliseconds')[:-6]}Z"  # in place of +00:00


def _maybe(at: datetime | None) -> str | None:
    return None if at is None else moment(at)


def show_message(message: Message, registry: Roster) -> MessageBrief:
    return {
        "id": message.id,
        "state": message.state.value,
        "relay": relay_name(registry, message.relay_id),
        "relay_id": message.relay_id,
        "stream": message.stream,
        "subject": message.subject,
        "from": message.from_header,
        "send_at": _maybe(message.send_at),
        "expires_at": moment(message.expires_at),
        "created_at": moment(message.accepted_at),
        "tags": list(message.tags),
        "metadata": message.metadata,
        "resent_from": message.resent_from,
        "deliveries": [show_delivery(each) for each in message.deliveries],
    }


def relay_name(registry: Roster, relay_id: str) -> str:
    """The name of a relay, or its id when it has been removed."""
    try:
        return registry.get(relay_id).name
    except NotFound:
        return relay_id


def show_delivery(delivery: Delivery) -> DeliveryShown:
    return {
        "id": delivery.id,
        "to": delivery.to,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "tries": delivery.tries,
        "due_at": _maybe(delivery.due_at),
        "changed_at": moment(delivery.changed_at),
        "answer": delivery.answer,
        "advice": delivery.advice,
        "possible_duplicate": delivery.possible_duplicate,
    }


def show_story(
    message: Message, history: History, events: list[Entry], registry: Roster
) -> MessageShown:
    """A message with all that happened to it."""
    brief = show_message(message, registry)
    return {
        **brief,
        "inlet": message.inlet,
        "principal": message.principal,
        "tenant": message.tenant,
        "reverse_path": message.reverse_path,
        "message_id": message.message_id_header,
        "size": message.size,
        "resent_as": list(history.resent_as),
        "attempts": [_show_attempt(each) for each in history.attempts],
        "sessions": [_show_session(each) for each in history.sessions],
        "events": [show_event(each) for each in events],
    }


def _show_attempt(attempt: PastAttempt) -> AttemptShown:
    return {
        "id": attempt.id,
        "delivery_id": attempt.delivery_id,
        "number": attempt.number,
        "relay_id": attempt.relay_id,
        "relay_version": attempt.relay_version,
        "session_id": attempt.session_id,
        "started_at": moment(attempt.started_at),
        "ended_at": moment(attempt.ended_at),
        "outcome": attempt.outcome,
        "stage": attempt.stage,
        "blame": attempt.blame,
        "permanent": attempt.permanent,
        "smtp": None
        if attempt.code is None
        else {"code": attempt.code, "enhanced": attempt.enhanced},
        "answer": attempt.answer,
        "advice": attempt.advice,
        "transcript": attempt.transcript.splitlines(),
    }


def _show_session(session: PastSession) -> SessionShown:
    return {
        "id": session.id,
        "relay_id": session.relay_id,
        "relay_version": session.relay_version,
        "opened_at": moment(session.opened_at),
        "host": session.host,
        "address": session.address,
        "tls": session.tls,
        "mechanism": session.mechanism,
        "transcript": session.transcript.splitlines(),
    }


def show_event(entry: Entry) -> EventShown:
    return {
        "id": entry.id,
        "at": moment(entry.at),
        "name": entry.name,
        "message_id": entry.message_id,
        "delivery_id": entry.delivery_id,
        "relay_id": entry.relay_id,
        "principal": entry.principal,
        "facts": entry.facts,
    }


def show_relay(relay: Relay, now: datetime) -> RelayShown:
    """Everything but its secrets: of those, only that they are there."""
    settings = relay.settings
    shown: dict[str, Any] = {
        "id": relay.id,
        "name": relay.name,
        "version": relay.version,
        "default": relay.is_default,
        "status": show_status(relay, now),
        "changed_at": moment(relay.changed_at),
    }
    shown |= {"inherits": relay.inherits_from, "origins": _origins(relay)}
    shown |= {name: settings.shown(name) for name in sorted(_SHOWN_OF[settings.kind])}
    if settings.kind is RelayKind.SMTP:
        for slot in Slot:
            sealed = relay.sealed.get(slot) or relay.lent.get(slot)
            updated_at = None if sealed is None else moment(sealed.updated_at)
            shown[slot.value] = {"set": sealed is not None, "updated_at": updated_at}
            if sealed is not None and sealed.reference is not None:
                shown[slot.value]["reference"] = sealed.reference
    return cast("RelayShown", shown)


def _origins(relay: Relay) -> dict[str, str]:
    """Where each value comes from: `own`, `inherited` or `default`."""
    usual, names = RelaySettings(), _SHOWN_OF[relay.settings.kind]
    if relay.inherits is not None:
        return {name: "own" if name in relay.own else "inherited" for name in sorted(names)}
    own = {name for name in names if relay.settings.shown(name) != usual.shown(name)}
    return {name: "own" if name in own else "default" for name in sorted(names)}


def shown_relay(
    request: Request, relay: Relay, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A relay as an answer, with its version as the entity tag."""
    tag = {"ETag": f'"{relay.version}"'}
    now = desk_of(request).clock.now()
    return answer(show_relay(relay, now), status, tag | (headers or {}))


def show_status(relay: Relay, now: datetime) -> RelayStatus:
    rest, slowdown = relay.rest, relay.slowdown
    if rest is not None:
        known = advice(rest.advice, relay.settings)
        return {
            "state": "suspended" if rest.needs_person else "resting",
            "connections": 0,
            "cause": rest.cause,
            "fix": known.fix if known else None,
            "advice": rest.advice,
            "since": moment(rest.since),
            "until": moment(rest.until),
            "checked_at": _maybe(relay.checked_at),
        }
    if slowdown is not None:
        known = advice(slowdown.advice, relay.settings)
        return {
            "state": "slowed",
            "connections": relay.connections(now),
            "cause": slowdown.cause,
            "fix": known.fix if known else None,
            "advice": slowdown.advice,
            "since": moment(slowdown.since),
            "until": None,
            "checked_at": _maybe(relay.checked_at),
        }
    state = {None: "untested", True: "working", False: "not working"}[relay.checked_well]
    if relay.settings.kind is RelayKind.SANDBOX:
        state = "working"  # there is nothing outside that could fail
    return {
        "state": state,
        "connections": relay.connections(now),
        "cause": None,
        "fix": None,
        "advice": None,
        "since": _maybe(relay.checked_at),
        "until": None,
        "checked_at": _maybe(relay.checked_at),
    }


def show_report(report: Report, relay: str | None) -> ReportShown:
    """A diagnosis; relay is the name of what was diagnosed, if it has one."""
    found = report.to_json()
    return {
        "ok": report.is_well,
        "relay": relay,
        "steps": found["steps"],
        "proposals": found["proposals"],
        "transcript": found["transcript"],
    }


def show_key(key: Key) -> KeyShown:
    return {
        "id": key.id,
        "name": key.name,
        "created_at": moment(key.created_at),
        "revoked_at": _maybe(key.revoked_at),
        "tenant": key.tenant,
    }
