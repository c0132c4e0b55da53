"""
SPF as far as a sender needs it: one record, few enough lookups, the relay among the included.

RFC 7208. No IP address is judged here: which one a provider sends from is the provider's own
business, so what is asked is whether its record is included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pillarbox.base.dns import Lookup, NameTrouble

MOST_LOOKUPS = 10  # RFC 7208 §4.6.4
_PATIENCE = 25  # questions that we ask before we believe that it is too many
_VERSION = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_ASKING = frozenset({"include", "a", "mx", "ptr", "exists"})  # RFC 7208 §4.6.4
_TERM = re.compile(
    r"[+?~-]?(?P<name>[a-z][a-z0-9._-]*)(?P<sign>[:=/]?)(?P<value>.*)", re.IGNORECASE
)


@dataclass(slots=True)
class Spf:
    """
    What the domain's SPF says.

    records are those that stand at the domain itself: more than one is an error. lookups
    counts what a receiver has to ask. included are domains of include and redirect, all the
    way down; missing those of them that have no record; qualifier is that of `all`.
    """

    records: tuple[str, ...] = ()
    lookups: int = 0
    included: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    qualifier: str | None = None

    @property
    def record(self) -> str | None:
        return self.records[0] if len(self.records) == 1 else None


async def read(domain: str, lookup: Lookup) -> Spf:
    """Raises NameTrouble when the domain's own records cannot be looked up."""
    spf = Spf(records=await _records(domain, lookup))
    if spf.record is not None:
        spf.qualifier = _qualifier(spf.record)
        await _follow(spf.record, spf, lookup)
    return spf


async def _follow(record: str, spf: Spf, lookup: Lookup) -> None:
    """Every include and redirect below this record; each domain once."""
    for term in record.split()[1:]:
        match = _TERM.fullmatch(term)
        name = match["name"].lower() if match else ""
        if match is None or (name not in _ASKING and name != "redirect"):
            continue
        spf.lookups += 1
        target = match["value"].lower().removesuffix(".")
        if name not in ("include", "redirect") or "%" in target or target in spf.included:
            continue
        spf.included.append(target)
        if spf.lookups <= _PATIENCE:
            await _enter(target, spf, lookup)


async def _enter(target: str, spf: Spf, lookup: Lookup) -> None:
    try:
        below = await _records(target, lookup)
    except NameTrouble:
        return  # a receiver may have more luck; nothing is claimed of it
    if len(below) == 1:
        await _follow(below[0], spf, lookup)
    else:
        spf.missing.append(target)


async def _records(domain: str, lookup: Lookup) -> tuple[str, ...]:
    return tuple(text for text in await lookup(domain, "TXT") if _VERSION.match(text))


def _qualifier(record: str) -> str | None:
    """`-`, `~`, `?` or `+` of the `all` at the end; None without one."""
    for term in record.lower().split()[1:]:
        if term.lstrip("+?~-") == "all":
            return term[0] if term[0] in "+?~-" else "+"
    return None
