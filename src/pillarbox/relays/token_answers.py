"""
What a token endpoint's refusal means (RFC 6749 §5.2), in the words of replies.toml.

Never the mail's fault: the relay rests or waits for a person, and its mail waits with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.mail.outcome import Blame
from pillarbox.relays.catalogue import Entry, group, pattern
from pillarbox.relays.classify import KINDS, REST, Suspends, Verdict

_LONGEST = 2000  # characters looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefusal:
    """status is HTTP's; error and description are the endpoint's own, None where it sent none."""

    status: int
    error: str | None = None
    description: str | None = None


def classify_token(refusal: TokenRefusal) -> Verdict:
    """
    The verdict on an answer without a token. Always has an answer of its own.

    The numbers in Microsoft's descriptions give advice only: they may change.
    """
    entry = next(entry for entry in group("token") if _is_meant(entry, refusal))
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


def _is_meant(entry: Entry, refusal: TokenRefusal) -> bool:
    """Every condition that the entry names holds; the last entry names none."""
    said = f"{refusal.error or ''} {refusal.description or ''}"[:_LONGEST]
    return (
        refusal.status in entry.get("http", (refusal.status,))
        and refusal.error in entry.get("error", (refusal.error,))
        and ("text" not in entry or pattern(entry["text"]).search(said) is not None)
        and (not entry.get("mute", False) or refusal.error is None)
    )
