"""How a relay's consent does, and what ends when. Pure but for one read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import Enum

from sqlalchemy import Connection

from pillarbox.oauth import consents, grants
from pillarbox.oauth.consents import Pending
from pillarbox.oauth.grants import GrantRow
from pillarbox.oauth.troubles import TokenRefusal
from pillarbox.relays.relay import Auth, RelaySettings
from pillarbox.relays.token_client import use_of
from pillarbox.relays.token_fields import provider_of
from pillarbox.relays.versions import Relay

_SECRET_SOON = timedelta(days=30)
_CONSENT_SOON = timedelta(days=7)
_SHORT_LIFE = timedelta(days=10)  # Google's for an application in testing is seven days
_SHORT_SOON = timedelta(days=2)


class ConsentState(Enum):
    """What a person has to know first."""

    NONE = "none"
    WAITING = "waiting for consent"
    WORKING = "working"
    EXPIRES_SOON = "expires soon"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class End:
    """`consent` or `client secret` ends; soon is how long before that people are told."""

    what: str
    at: datetime
    soon: timedelta

    def is_near(self, now: datetime) -> bool:
        return now >= self.at - self.soon


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentStatus:
    """grant is what is there, pending what somebody has begun, refusal why there is no token."""

    state: ConsentState
    grant: GrantRow | None = None
    pending: Pending | None = None
    refusal: TokenRefusal | None = None
    ends: tuple[End, ...] = ()


def statuses(
    connection: Connection, relays: Sequence[Relay], now: datetime
) -> dict[str, ConsentStatus]:
    """Of the relays that have consents, by id."""
    kept, waiting = grants.grants(connection), consents.waiting(connection, now)
    return {
        relay.id: status_of(relay, kept.get(relay.id), waiting.get(relay.id), now)
        for relay in relays
        if relay.settings.auth is Auth.OAUTH2
    }


def status_of(
    relay: Relay, grant: GrantRow | None, pending: Pending | None, now: datetime
) -> ConsentStatus:
    """Tokens for other settings than these are none: they cannot be opened."""
    digest = use_of(relay.settings, relay.id).digest
    grant = grant if grant is not None and grant.bound_to == digest else None
    pending = pending if pending is not None and pending.bound_to == digest else None
    refusal = grant.trouble if grant else None
    ends = tuple(ends_of(relay.settings, grant))
    return ConsentStatus(
        state=_state(grant, pending, ends, now),
        grant=grant,
        pending=pending,
        refusal=refusal,
        ends=ends,
    )


def ends_of(settings: RelaySettings, grant: GrantRow | None) -> Iterator[End]:
    """What ends by itself, as far as anybody said or the provider's pages state."""
    at = grant.refresh_ends_at(provider_of(settings).unused_days) if grant else None
    if at is not None and grant is not None:
        life = at - (grant.refreshed_at or grant.connected_at)
        yield End("consent", at, _SHORT_SOON if life <= _SHORT_LIFE else _CONSENT_SOON)
    if settings.client_secret_expires_on is not None:
        day = datetime.fromisoformat(settings.client_secret_expires_on).date()
        yield End("client secret", datetime.combine(day, time(), UTC), _SECRET_SOON)


def needs_use(settings: RelaySettings, grant: GrantRow, now: datetime) -> bool:
    """Whether the refresh token should be used only to keep it alive: weekly, or sooner."""
    if grant.refresh_token is None or grant.is_broken or grant.refreshed_at is None:
        return False
    wait = timedelta(days=7)
    if at := grant.refresh_ends_at(provider_of(settings).unused_days):
        wait = min(wait, (at - grant.refreshed_at) / 3)
    return now >= grant.refreshed_at + wait


def _state(
    grant: GrantRow | None, pending: Pending | None, ends: tuple[End, ...], now: datetime
) -> ConsentState:
    is_broken = grant is not None and grant.trouble is not None and not grant.trouble.is_passing
    if pending is not None and (grant is None or is_broken):
        return ConsentState.WAITING
    if is_broken:
        return ConsentState.BROKEN
    if grant is None or (grant.access_token is None and grant.refresh_token is None):
        return ConsentState.NONE
    if any(end.is_near(now) for end in ends):
        return ConsentState.EXPIRES_SOON
    return ConsentState.WORKING
