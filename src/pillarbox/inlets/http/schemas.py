"""
What the API answers, as types: the code that builds an answer is checked against them, and
the published description is made from them.

Times are RFC 3339 in UTC. A secret has no place in any of these.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from pillarbox.inlets.http.relay_schemas import RelayShown


class DeliveryBrief(TypedDict):
    """One recipient of a message."""

    id: str
    to: str
    state: str


class DeliveryShown(DeliveryBrief):
    """One recipient of a message, with how it stands."""

    attempts: int
    tries: int
    due_at: str | None
    changed_at: str
    answer: str | None
    advice: str | None
    possible_duplicate: bool


MessageBrief = TypedDict(
    "MessageBrief",
    {
        "id": str,
        "state": str,
        "relay": str,
        "relay_id": str,
        "stream": str,
        "subject": str,
        "from": str,
        "send_at": str | None,
        "expires_at": str,
        "created_at": str,
        "tags": list[str],
        "metadata": dict[str, str],
        "resent_from": str | None,
        "deliveries": list[DeliveryShown],
    },
)


class Preview(TypedDict):
    """A message as it would be sent."""

    content: str


class Smtp(TypedDict):
    """What a relay answered (RFC 5321 §4.2, RFC 3463)."""

    code: int
    enhanced: str | None


class AttemptShown(TypedDict):
    """One try of one delivery."""

    id: str
    delivery_id: str
    number: int
    relay_id: str
    relay_version: int
    session_id: str | None
    started_at: str
    ended_at: str
    outcome: str
    stage: str | None
    blame: str | None
    permanent: bool | None
    smtp: Smtp | None
    answer: str
    advice: str | None
    transcript: list[str]


class SessionShown(TypedDict):
    """The connection that attempts were made on."""

    id: str
    relay_id: str
    relay_version: int
    opened_at: str
    host: str
    address: str
    tls: dict[str, str] | None
    mechanism: str | None
    transcript: list[str]


class EventShown(TypedDict):
    """Something that happened."""

    id: int
    at: str
    name: str
    message_id: str | None
    delivery_id: str | None
    relay_id: str | None
    principal: str | None
    facts: dict[str, Any]


class MessageShown(MessageBrief):
    """A message with everything that happened to it."""

    inlet: str
    principal: str
    tenant: str | None
    reverse_path: str | None
    message_id: str
    size: int
    resent_as: list[str]
    attempts: list[AttemptShown]
    sessions: list[SessionShown]
    events: list[EventShown]


class MessageList(TypedDict):
    """A page of messages, newest first."""

    object: str
    has_more: bool
    next_cursor: str | None
    data: list[MessageBrief]


class Changed(TypedDict):
    """What a request did to a message's deliveries."""

    id: str
    state: str
    deliveries: list[DeliveryShown]
    changed: int


class RelayList(TypedDict):
    """All relays, the default first."""

    object: str
    has_more: bool
    next_cursor: str | None
    data: list[RelayShown]


class KeyShown(TypedDict):
    """An API key, without the key."""

    id: str
    name: str
    created_at: str
    revoked_at: str | None
    tenant: str | None


class KeyCreated(KeyShown):
    """A new API key, the only time that it is shown."""

    key: str


class KeyList(TypedDict):
    """All keys, newest first."""

    object: str
    has_more: bool
    next_cursor: str | None
    data: list[KeyShown]


class TenantShown(TypedDict):
    """An organisation on this installation, and what it may use of the system's."""

    id: str
    name: str
    system_relays: str
    senders: list[str]
    created_at: str


class TenantList(TypedDict):
    """All tenants, by name."""

    object: str
    has_more: bool
    next_cursor: str | None
    data: list[TenantShown]


class EventList(TypedDict):
    """What happened, oldest first; next_cursor is where to go on, now or later."""

    object: str
    has_more: bool
    next_cursor: str
    data: list[EventShown]


class Restored(TypedDict):
    """Deliveries that a restore holds, and how many of them were let go just now."""

    held: int
    released: int


class Check(TypedDict):
    """One thing that must work."""

    name: str
    ok: bool
    detail: str


class Health(TypedDict):
    """Whether this server does its work."""

    ok: bool
    checks: list[Check]


class FaultShown(TypedDict, total=False):
    """One mistake of a request, and where it is: one of pointer, parameter and header."""

    pointer: str
    parameter: str
    header: str
    code: str
    detail: str


class Problem(TypedDict):
    """RFC 9457 problem details. Switch on code; detail is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: NotRequired[list[FaultShown]]


class BatchResult(TypedDict):
    """
    What became of one message of a batch: with status 202 it is stored and `message` shows
    it, otherwise `problem` says why not.
    """

    status: int
    message: MessageBrief | None
    problem: Problem | None
    replayed: bool


class BatchList(TypedDict):
    """What became of each message, in the order of the request."""

    object: str
    has_more: bool
    next_cursor: str | None
    data: list[BatchResult]
