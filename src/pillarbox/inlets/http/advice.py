"""What the catalogue of causes (relays/replies.toml) says to an id that was noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pillarbox.relays.catalogue import entries
from pillarbox.relays.relay import RelaySettings


@dataclass(frozen=True, slots=True)
class Advice:
    """Why it happened and what to do, in sentences."""

    cause: str
    fix: str


def advice(advice_id: str | None, settings: RelaySettings | None) -> Advice | None:
    """None for no id, and for one that a later version has dropped."""
    entry = _entries().get(advice_id or "")
    if entry is None:
        return None
    words = {
        "host": (settings.host if settings else "") or "the server",
        "port": str(settings.port) if settings else "?",
        "tls": settings.tls.value if settings else "?",
    }
    return Advice(entry.cause.format(**words), entry.fix.format(**words))


@cache
def _entries() -> Mapping[str, Advice]:
    return {each["id"]: Advice(each["cause"], each["fix"]) for each in entries()}
