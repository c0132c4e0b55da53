"""How a consent does, as the API shows it. No token has a place in it."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from pillarbox.inlets.http.answers import moment
from pillarbox.inlets.http.relay_schemas import RelayShown
from pillarbox.relays.connecting import Offer
from pillarbox.relays.consent_status import ConsentStatus
from pillarbox.relays.token_answers import classify_token
from pillarbox.relays.versions import Relay


class EndShown(TypedDict):
    """What ends by itself: `consent` or `client secret`."""

    what: str
    at: str
    soon: bool


class ConsentShown(TypedDict):
    """
    Whether a relay has tokens. state is none, waiting for consent, working, expires soon or
    broken; cause, fix and advice say why when it is not well, said is the provider's word.
    """

    relay: str
    relay_id: str
    state: str
    provider: str | None
    grant: str | None
    redirect_uri: str
    account: str | None
    scopes: str | None
    connected_at: str | None
    connected_by: str | None
    refreshed_at: str | None
    access_expires_at: str | None
    ends: list[EndShown]
    cause: str | None
    fix: str | None
    advice: str | None
    said: str | None
    failed_at: str | None
    waiting_until: str | None
    authorize_url: str | None
    user_code: str | None
    verification_uri: str | None


def show_consent(
    relay: Relay,
    status: ConsentStatus,
    redirect_uri: str,
    now: datetime,
    offer: Offer | None = None,
) -> ConsentShown:
    """offer is what was begun just now: its address is shown only to whoever began it."""
    grant, pending = status.grant, status.pending
    verdict = classify_token(status.refusal) if status.refusal else None
    settings = relay.settings
    return {
        "relay": relay.name,
        "relay_id": relay.id,
        "state": status.state.value,
        "provider": settings.provider,
        "grant": settings.grant.value if settings.grant else None,
        "redirect_uri": redirect_uri,
        "account": grant.account if grant else None,
        "scopes": grant.scopes if grant else None,
        "connected_at": _maybe(grant.connected_at if grant else None),
        "connected_by": grant.principal if grant else None,
        "refreshed_at": _maybe(grant.refreshed_at if grant else None),
        "access_expires_at": _maybe(grant.access_expires_at if grant else None),
        "ends": [
            {"what": end.what, "at": moment(end.at), "soon": end.is_near(now)}
            for end in status.ends
        ],
        "cause": verdict.cause if verdict else None,
        "fix": verdict.fix if verdict else None,
        "advice": verdict.advice if verdict else None,
        "said": status.refusal.said if status.refusal else None,
        "failed_at": _maybe(grant.failed_at if grant else None),
        "waiting_until": _maybe(pending.expires_at if pending else None),
        "authorize_url": offer.authorize_url if offer else None,
        "user_code": pending.user_code if pending else None,
        "verification_uri": pending.verification_uri if pending else None,
    }


def with_consent(shown: RelayShown, status: ConsentStatus | None) -> RelayShown:
    """A relay as it is shown, and how its consent does if it has to do with any."""
    if status is not None:
        verdict = classify_token(status.refusal) if status.refusal else None
        shown["consent"] = {
            "state": status.state.value,
            "account": status.grant.account if status.grant else None,
            "cause": verdict.cause if verdict else None,
        }
    return shown


def _maybe(at: datetime | None) -> str | None:
    return moment(at) if at else None
