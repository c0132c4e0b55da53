"""
What a token endpoint's refusal means (RFC 6749 §5.2), in the words of replies.toml.

Never the mail's fault: the relay rests or waits for a person, and its mail waits with it.
"""

from __future__ import annotations

from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Stage
from pillarbox.oauth.troubles import NoToken, TokenRefusal
from pillarbox.relays.catalogue import Entry, group, pattern
from pillarbox.relays.classify import KINDS, REST, Suspends, Verdict
from pillarbox.relays.suspension import Trouble
from pillarbox.relays.versions import Relay

_LONGEST = 2000  # characters looked at


def classify_token(refusal: TokenRefusal) -> Verdict:
    """
    The verdict on an answer without a token. Always has an answer of its own.

    The numbers in Microsoft's descriptions give advice only: they may change.
    """
    entry = _entry(refusal)
    kind = KINDS[entry["kind"]]
    suspends = Suspends.REST if kind.suspends is Suspends.NO else kind.suspends
    return Verdict(
        advice=entry["id"],
        blame=Blame.RELAY,
        permanent=False,
        suspends=suspends,
        if_it_carries=None,
        quota=None,
        rest_for=REST[None] if suspends is Suspends.REST else None,
        cause=entry["cause"],
        fix=entry["fix"],
    )


def trouble_of(relay: Relay, refusal: TokenRefusal) -> Trouble:
    """The rest that it means for the relay."""
    verdict = classify_token(refusal)
    return Trouble(
        relay_id=relay.id,
        relay_version=relay.version,
        relay_name=relay.name,
        needs_person=verdict.suspends is Suspends.PERSON,
        cause=verdict.cause,
        advice=verdict.advice,
    )


def without_token(missing: NoToken) -> Failed:
    """The relay's trouble, in the catalogue's words; never the mail's."""
    known_as = classify_token(missing.refusal).advice
    lost = Lost(Loss.NO_TOKEN, missing.refusal.said, known_as)
    return Failed(Stage.TOKEN, Blame.RELAY, permanent=False, answer=lost)


def in_words(error: NoToken) -> str:
    """Why there is no token and what to do, with the evidence."""
    verdict = classify_token(error.refusal)
    return f"{verdict.cause} {verdict.fix} ({error.refusal.said})"


def _entry(refusal: TokenRefusal) -> Entry:
    if refusal.fault is not None:
        fault = refusal.fault.value
        return next(entry for entry in group("no_token") if entry["fault"] == fault)
    return next(entry for entry in group("token") if _is_meant(entry, refusal))


def _is_meant(entry: Entry, refusal: TokenRefusal) -> bool:
    """Every condition that the entry names holds; the last entry names none."""
    said = f"{refusal.error or ''} {refusal.description or ''}"[:_LONGEST]
    return (
        refusal.status in entry.get("http", (refusal.status,))
        and refusal.error in entry.get("error", (refusal.error,))
        and ("text" not in entry or pattern(entry["text"]).search(said) is not None)
        and (not entry.get("mute", False) or refusal.error is None)
    )
