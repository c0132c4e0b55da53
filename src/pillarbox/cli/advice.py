"""What an id of the catalogue means, in sentences: see relays/replies.toml."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pillarbox.relays.classify import entries


@dataclass(frozen=True, slots=True)
class Advice:
    """Why it went wrong, and what to do."""

    cause: str
    fix: str


def advice_on(advice_id: str | None, where: Mapping[str, Any]) -> Advice | None:
    """The sentences of an entry, with the host, port and TLS mode that `where` knows."""
    if advice_id is None:
        return None
    known = defaultdict(lambda: "the server", {k: v for k, v in where.items() if v})
    for entry in entries():
        if entry["id"] == advice_id:
            return Advice(entry["cause"].format_map(known), entry["fix"].format_map(known))
    return None
