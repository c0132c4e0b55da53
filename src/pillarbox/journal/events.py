"""
Everything that happens, one dataclass an event. The docstring is its documentation.

One catalogue of names serves the journal, the log, the timeline of a message and, later,
webhooks. A field is a fact that somebody may filter by; nothing here is secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event can say: which message, delivery and relay it is about, and who did it."""

    name: ClassVar[str] = ""

    message_id: str | None = None
    delivery_id: str | None = None
    relay_id: str | None = None
    principal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAccepted(Event):
    """A message and its deliveries are stored; from here on it is not lost."""

    name: ClassVar[str] = "message.accepted"

    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageResent(Event):
    """It was sent again as a new message, whose id is resent_as."""

    name: ClassVar[str] = "message.resent"

    resent_as: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRescheduled(Event):
    """It is to be sent at another moment, or at once when send_at is null."""

    name: ClassVar[str] = "message.rescheduled"

    send_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRelayed(Event):
    """The relay answered 2yz to the final dot and took responsibility."""

    name: ClassVar[str] = "delivery.relayed"

    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDeferred(Event):
    """The relay did not take it now. It is tried again at next_attempt_at."""

    name: ClassVar[str] = "delivery.deferred"

    answer: str
    next_attempt_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(Event):
    """The relay refused it for good, or there is no attempt left. It is not tried again."""

    name: ClassVar[str] = "delivery.failed"

    answer: str
    blame: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryUncertain(Event):
    """No answer came after the final dot: the relay may have it. next_attempt_at may be null."""

    name: ClassVar[str] = "delivery.uncertain"

    answer: str
    next_attempt_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReturned(Event):
    """An attempt ended through no fault of the mail; it waits in the queue and nothing counts."""

    name: ClassVar[str] = "delivery.returned"

    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryExpired(Event):
    """Its time ran out before a relay took it."""

    name: ClassVar[str] = "delivery.expired"

    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCancelled(Event):
    """A person or program withdrew it before it was relayed."""

    name: ClassVar[str] = "delivery.cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHeld(Event):
    """It waits for a person; cause says why. Release or retry lets it go."""

    name: ClassVar[str] = "delivery.held"

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReleased(Event):
    """A person or program let go what was held; it is sent when it is due."""

    name: ClassVar[str] = "delivery.released"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRetried(Event):
    """A person or program put it back in the queue, due at once."""

    name: ClassVar[str] = "delivery.retried"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayAdded(Event):
    """A relay was added."""

    name: ClassVar[str] = "relay.added"

    relay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayChanged(Event):
    """
    A relay has a new version; fields names what differs. Values of secrets are never told.

    undoes is the version that it took back.
    """

    name: ClassVar[str] = "relay.changed"

    relay: str
    version: int
    fields: tuple[str, ...]
    undoes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRemoved(Event):
    """A relay was removed. Mail that waited for it is held."""

    name: ClassVar[str] = "relay.removed"

    relay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRested(Event):
    """A relay could not be used and rests until the given time; its mail waits."""

    name: ClassVar[str] = "relay.rested"

    relay: str
    cause: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayCheckFailed(Event):
    """A relay that worked did not let us in when it was tried. Its mail is still attempted."""

    name: ClassVar[str] = "relay.check_failed"

    relay: str
    cause: str
    advice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayCheckPassed(Event):
    """A relay that did not work let us in when it was tried again."""

    name: ClassVar[str] = "relay.check_passed"

    relay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySuspended(Event):
    """A relay needs a person, for example a new password; its mail waits and loses no attempts."""

    name: ClassVar[str] = "relay.suspended"

    relay: str
    cause: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayResumed(Event):
    """A relay that rested or was suspended carries mail again."""

    name: ClassVar[str] = "relay.resumed"

    relay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConnected(Event):
    """A relay has tokens from its provider. account is who signed in, where that was told."""

    name: ClassVar[str] = "relay.connected"

    relay: str
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayDisconnected(Event):
    """The tokens of a relay were dropped. It has to be connected again to send."""

    name: ClassVar[str] = "relay.disconnected"

    relay: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConsentExpiring(Event):
    """What a relay gets its tokens with ends soon: its consent or its client secret."""

    name: ClassVar[str] = "relay.consent_expiring"

    relay: str
    what: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesChanged(Event):
    """There is a new version of the routes: which relay carries what, and who stands in."""

    name: ClassVar[str] = "routes.changed"

    version: int
    rules: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySlowed(Event):
    """
    A relay said that it gets too much at once. It has this many sessions from now on, and one
    more for every five minutes without complaint.
    """

    name: ClassVar[str] = "relay.slowed"

    relay: str
    connections: int
    cause: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRecovered(Event):
    """A relay that was slowed has all its sessions again."""

    name: ClassVar[str] = "relay.recovered"

    relay: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDomainAdded(Event):
    """A domain was added that mail is to be signed for (DKIM)."""

    name: ClassVar[str] = "sender_domain.added"

    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDomainRemoved(Event):
    """A domain was removed with its keys; its mail is signed no more."""

    name: ClassVar[str] = "sender_domain.removed"

    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderKeyAdded(Event):
    """A signing key was made. It waits until its record is published."""

    name: ClassVar[str] = "sender_key.added"

    domain: str
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderKeySigning(Event):
    """A key's record was seen: it signs from now on, and an older one of its kind retires."""

    name: ClassVar[str] = "sender_key.signing"

    domain: str
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCreated(Event):
    """An API key was made. The key itself was shown once and is not kept."""

    name: ClassVar[str] = "key.created"

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRevoked(Event):
    """An API key was revoked; requests with it are refused from now on."""

    name: ClassVar[str] = "key.revoked"

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantAdded(Event):
    """A tenant was made. It can do nothing until it has a key."""

    name: ClassVar[str] = "tenant.added"

    tenant_id: str
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChanged(Event):
    """A tenant's name or policy changed; what it sends from now on goes by the new one."""

    name: ClassVar[str] = "tenant.changed"

    tenant_id: str
    tenant: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRemoved(Event):
    """A tenant was removed. The mail that it had handed over is carried on."""

    name: ClassVar[str] = "tenant.removed"

    tenant_id: str
    tenant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRestored(Event):
    """A backup was put in place. What waited in it is held; ids of events leap ahead."""

    name: ClassVar[str] = "database.restored"

    held: int


def catalogue() -> dict[str, type[Event]]:
    """Every event by its name."""
    return {kind.name: kind for kind in Event.__subclasses__()}
