"""DMARC as a sender needs it: which policy holds for a domain, and what it aligns with."""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.base.dns import Lookup
from pillarbox.mail.dkim_record import read_tags

_POLICIES = ("none", "quarantine", "reject")
_DEEPEST = 5  # labels; a walk up the tree begins there


@dataclass(frozen=True, slots=True, kw_only=True)
class Dmarc:
    """
    The record that holds for a domain, RFC 7489 §6.3, and where it stands.

    is_strict: DKIM and SPF must be of the very same domain, not of one below or above.
    """

    at: str
    text: str
    policy: str
    is_strict_dkim: bool
    is_strict_spf: bool
    reports_to: str | None


async def read(domain: str, lookup: Lookup) -> tuple[Dmarc | None, int]:
    """
    The record, and how many stand where it was looked for: more than one count as none.

    Where the domain has none, the next one above it that has counts. No list of public
    suffixes is needed for that. Raises NameTrouble.
    """
    for at in _upwards(domain):
        found = [
            text
            for text in await lookup(f"_dmarc.{at}", "TXT")
            if text.replace(" ", "").startswith("v=DMARC1")
        ]
        if len(found) == 1:
            return _read(found[0], at, is_above=at != domain), 1
        if found:
            return None, len(found)
    return None, 0


def _upwards(domain: str) -> list[str]:
    """The domain and those above it that may have a policy, the nearest first."""
    labels = domain.split(".")
    above = range(max(1, len(labels) - _DEEPEST), len(labels) - 1)
    return [domain, *(".".join(labels[at:]) for at in above)]


def _read(text: str, at: str, *, is_above: bool) -> Dmarc:
    tags = read_tags(text)
    policy = tags.get("p", "none")
    if is_above:
        policy = tags.get("sp", policy)
    return Dmarc(
        at=at,
        text=text,
        policy=policy if policy in _POLICIES else "none",
        is_strict_dkim=tags.get("adkim") == "s",
        is_strict_spf=tags.get("aspf") == "s",
        reports_to=tags.get("rua"),
    )
