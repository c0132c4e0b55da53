"""
When a change of a relay costs it its consent: never without the word of whoever changes it.

A consent is for one provider, client, user and relay. Whoever changes one of these says
`consent: null` with it, and has to connect the relay again.
"""

from __future__ import annotations

from sqlalchemy import Connection

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.oauth import consents, grants
from pillarbox.relays.binding import consent_destination
from pillarbox.relays.change import RelayChange
from pillarbox.relays.relay import Auth, RelaySettings
from pillarbox.relays.versions import Relay


def loses_consent(old: RelaySettings, new: RelaySettings) -> bool:
    """Whether a consent for the old settings cannot be used by the new ones."""
    if old.auth is not Auth.OAUTH2:
        return False
    return consent_destination(old, "") != consent_destination(new, "")


def let_go(connection: Connection, old: Relay, new: Relay, change: RelayChange) -> tuple[str, ...]:
    """
    Drop what the new settings cannot use. Returns `consent` as a changed field if there was any.

    Raises Rejected when that costs a consent that works and nobody has said so.
    """
    loses = loses_consent(old.settings, new.settings)
    if not loses and not change.forgets_consent:
        return ()
    if not change.forgets_consent and grants.exists(connection, old.id):
        raise Rejected(
            [
                Invalid(
                    "this change drops the consent: it is for the provider, client, user and"
                    " server as they were. Say consent: null to change it all the same, then"
                    " connect the relay again",
                    field="consent",
                )
            ]
        )
    return ("consent",) if forget_tokens(connection, old.id) else ()


def forget_tokens(connection: Connection, relay_id: str) -> bool:
    """Drop tokens, and a consent in progress; whether there were any."""
    had_consent = consents.drop(connection, relay_id)
    return grants.forget(connection, relay_id) or had_consent
