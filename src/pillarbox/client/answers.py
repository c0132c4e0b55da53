"""
What the API answers, as values.

They are read tolerantly: a field that is missing has its default, one that we do not know
is kept in `json`, which is the answer as it came. Times are UTC and aware.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

Json = Mapping[str, Any]
T = TypeVar("T")

ENDED = frozenset({"relayed", "failed", "expired", "cancelled"})
"""The states in which nothing more happens by itself."""


def _read_by(reader: Callable[[Any], Any], default: Any = None) -> Any:
    return field(default=default, metadata={"read": reader})


def _moment() -> Any:
    return _read_by(datetime.fromisoformat)


def _each(kind: str) -> Any:
    """A list of answers of this kind, named because kinds contain each other."""
    return _read_by(lambda many: tuple(read(_KINDS[kind], each) for each in many), ())


def _words() -> Any:
    return _read_by(tuple, ())


def _mapping() -> Any:
    return field(default_factory=dict)


def _told() -> Any:
    """The answer as it came: not a part of what the value is, or says of itself."""
    return field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    One recipient of a message. answer is what the relay said last.

    attempts are those that counted, tries are all; advice is an id of the catalogue.
    """

    id: str = ""
    to: str = ""
    state: str = ""
    attempts: int = 0
    tries: int = 0
    due_at: datetime | None = _moment()
    changed_at: datetime | None = _moment()
    answer: str | None = None
    advice: str | None = None
    possible_duplicate: bool = False
    json: Json = _told()

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one delivery. outcome is relayed, failed or unknown; transcript has its lines."""

    id: str = ""
    delivery_id: str = ""
    number: int = 0
    session_id: str | None = None
    started_at: datetime | None = _moment()
    ended_at: datetime | None = _moment()
    outcome: str = ""
    stage: str | None = None
    blame: str | None = None
    permanent: bool | None = None
    smtp: Json = _mapping()
    answer: str = ""
    advice: str | None = None
    transcript: tuple[str, ...] = _words()
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The connection that attempts were made on."""

    id: str = ""
    opened_at: datetime | None = _moment()
    host: str = ""
    address: str = ""
    tls: Json = _mapping()
    mechanism: str | None = None
    transcript: tuple[str, ...] = _words()
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. facts depend on its name: see the reference of events."""

    id: int = 0
    at: datetime | None = _moment()
    name: str = ""
    message_id: str | None = None
    delivery_id: str | None = None
    relay_id: str | None = None
    principal: str | None = None
    facts: Json = _mapping()
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    A message, one delivery for each recipient.

    attempts, sessions and events are filled when one message is read, not in lists. state
    is the one of its deliveries that matters most. relayed means that a relay took it: SMTP
    tells no more.
    """

    id: str = ""
    state: str = ""
    created_at: datetime | None = _moment()
    inlet: str | None = None
    principal: str | None = None
    stream: str = ""
    relay: str = ""
    from_: str = ""
    subject: str = ""
    message_id: str | None = None
    size: int | None = None
    send_at: datetime | None = _moment()
    expires_at: datetime | None = _moment()
    tags: tuple[str, ...] = _words()
    metadata: Json = _mapping()
    resent_from: str | None = None
    resent_as: tuple[str, ...] = _words()
    deliveries: tuple[Delivery, ...] = _each("Delivery")
    attempts: tuple[Attempt, ...] = _each("Attempt")
    sessions: tuple[Session, ...] = _each("Session")
    events: tuple[Event, ...] = _each("Event")
    json: Json = _told()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return bool(self.deliveries) and all(each.has_ended for each in self.deliveries)

    @property
    def is_relayed(self) -> bool:
        """Whether a relay took it for every recipient."""
        return bool(self.deliveries) and all(each.state == "relayed" for each in self.deliveries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A relay as it may be shown: of a secret, only whether it is set. `json` has every field."""

    id: str = ""
    name: str = ""
    kind: str = "smtp"
    host: str | None = None
    port: int | None = None
    tls: str | None = None
    auth: str | None = None
    username: str | None = None
    from_: str | None = None
    reply_to: str | None = None
    preset: str | None = None
    default: bool = False
    version: int = 0
    status: Json = _mapping()
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayVersion:
    """
    One version of a relay: who made it, when, and what it changed.

    differences are `{"field", "before", "after"}`; secrets says given, removed or dropped
    for each secret that it touched.
    """

    version: int = 0
    current: bool = False
    changed_at: datetime | None = _moment()
    principal: str = ""
    undoes: int | None = None
    differences: tuple[Json, ...] = _words()
    secrets: Json = _mapping()
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate in words. days_left is negative when it has ended."""

    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = _words()
    not_before: datetime | None = _moment()
    not_after: datetime | None = _moment()
    days_left: int = 0
    key: str = ""
    sha256: str = ""
    is_authority: bool = False
    is_self_signed: bool = False
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Whom a relay believes, and our own certificate with its chain."""

    authorities: tuple[Certificate, ...] = _each("Certificate")
    client_certificate: tuple[Certificate, ...] = _each("Certificate")
    key_matches: bool | None = None
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteList:
    """Rules, read from the top: `{"when": {…}, "relays": ["first", "second"]}`."""

    version: int = 0
    changed_at: datetime | None = _moment()
    rules: tuple[Json, ...] = _words()
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One step of a diagnosis. status is ok, warn, fail or skip.

    evidence is what the server said, or a fact; cause and fix are sentences. addresses are all
    that the host has, each tried: ip, family, found, milliseconds.
    """

    stage: str = ""
    label: str = ""
    status: str = ""
    evidence: str = ""
    milliseconds: float | None = None
    cause: str | None = None
    fix: str | None = None
    advice_id: str | None = None
    field: str | None = None
    addresses: tuple[Json, ...] = _words()
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Settings that would do better, for `relays.set`; asks_again are secrets to type again."""

    change: Json = _mapping()
    why: str = ""
    asks_again: tuple[str, ...] = _words()
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Proposal):
    """Settings for an address. sure is certain, likely or guess; answers: it was tried."""

    source: str = ""
    sure: str = ""
    answers: bool = False
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one source had to say about an address."""

    source: str = ""
    evidence: str = ""
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Settings for an address, the best first, each for `relays.add`; and where we looked."""

    address: str = ""
    proposals: tuple[Found, ...] = _each("Found")
    looked: tuple[Looked, ...] = _each("Looked")
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A diagnosis: each step, what would do better, and what was said on the line."""

    ok: bool = False
    relay: str | None = None
    steps: tuple[Step, ...] = _each("Step")
    proposals: tuple[Proposal, ...] = _each("Proposal")
    transcript: tuple[str, ...] = _words()
    json: Json = _told()

    @property
    def failure(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.status == "fail"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key. `key` is its text, told once, by the call that made it."""

    id: str = ""
    name: str = ""
    key: str | None = field(default=None, repr=False)
    created_at: datetime | None = _moment()
    revoked_at: datetime | None = _moment()
    tenant: str | None = None
    json: Json = _told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Known facts about a provider's relay: what a preset fills in."""

    id: str = ""
    name: str = ""
    host: str = ""
    port: int = 0
    tls: str = ""
    docs_url: str | None = None
    notes: str | None = None
    json: Json = _told()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list. The id of the last item is the `after` of the next page."""

    items: tuple[T, ...]
    has_more: bool
    json: Json = _told()

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def read(kind: type[T], told: Json) -> T:
    """An answer as a value of this kind."""
    values: dict[str, Any] = {"json": told}
    for each in dataclasses.fields(kind):  # type: ignore[arg-type]  # every kind is a dataclass
        value = told.get(each.name.removesuffix("_"))
        if each.name != "json" and value is not None:
            values[each.name] = each.metadata.get("read", _as_it_is)(value)
    return kind(**values)


def read_page(kind: type[T], told: Any) -> Page[T]:
    """A list as the API answers it: `{"data": […], "has_more": …}`."""
    return Page(
        tuple(read(kind, each) for each in told.get("data", ())),
        bool(told.get("has_more")),
        told,
    )


def _as_it_is(value: Any) -> Any:
    return value


_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Delivery, Attempt, Session, Event, Step, Proposal, Found, Looked, Certificate)
}
