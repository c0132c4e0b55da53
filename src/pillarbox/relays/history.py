"""
What a relay was: every version, what each changed, and how a change is taken back.

Taking back version 5 sets what version 5 changed to what it was before, and leaves what came
later alone. A secret comes back by itself only where it is still the one for that place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from pillarbox.base.errors import Conflict, Invalid, NotFound
from pillarbox.relays.binding import destination
from pillarbox.relays.change import RelayChange
from pillarbox.relays.contradictions import contradictions, missing_secrets
from pillarbox.relays.difference import Difference, difference, explained
from pillarbox.relays.relay import RelaySettings, Slot, attribute
from pillarbox.relays.tables import relay_versions
from pillarbox.relays.versions import Relay, Sealed, read_sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """
    One version, with who made it and what it changed.

    secret_changes says `given` or `removed` for each slot that somebody touched, and
    `dropped` where the secret could not follow to another destination. undoes is the version
    that this one took back. sealed is what is still kept of its secrets.
    """

    relay_id: str
    version: int
    name: str
    settings: RelaySettings
    sealed: Mapping[Slot, Sealed]
    secret_changes: Mapping[str, str]
    changed_at: datetime
    principal: str
    undoes: int | None = None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A relay as it would be without one of its changes. fields are those that go back."""

    name: str
    settings: RelaySettings
    sealed: Mapping[Slot, Sealed]
    fields: tuple[str, ...]


def editions(connection: Connection, relay_id: str) -> list[Edition]:
    """Every version of a relay, the first one first."""
    query = select(relay_versions).where(relay_versions.c.relay_id == relay_id)
    found: list[Edition] = []
    for row in connection.execute(query.order_by(relay_versions.c.version)):
        each = _edition(row)
        changed = tuple(_differences(found[-1], each)) if found else ()
        found.append(replace(each, differences=changed))
    return found


def one(known: Sequence[Edition], version: int) -> Edition:
    """Raises NotFound."""
    for each in known:
        if each.version == version:
            return each
    raise NotFound(f"this relay has no version {version}; the last one is {known[-1].version}")


def without(known: Sequence[Edition], version: int) -> TakenBack:
    """
    The last version without what this one changed.

    Raises NotFound, and Conflict when there is nothing to take back, or when something that
    it changed was changed again: then the later change has to be taken back first.
    """
    undone, current = one(known, version), known[-1]
    if undone is known[0]:
        raise Conflict(
            f"version {version} is the first one; nothing was before it. Remove the relay instead"
        )
    if not undone.differences:
        raise Conflict(_nothing_to_take_back(undone))
    if later := _changed_again(known, undone):
        raise Conflict(later)
    before = known[known.index(undone) - 1]
    names = tuple(each.field for each in undone.differences)
    old = {
        attribute(name): getattr(before.settings, attribute(name))
        for name in names
        if name != "name"
    }
    settings = replace(current.settings, **old)
    name = before.name if "name" in names else current.name
    return TakenBack(name, settings, _kept(known, settings), names)


def undo_problems(back: TakenBack, change: RelayChange, old: Relay) -> list[Invalid]:
    """What stands against it; change holds the secrets that were given along."""
    problems = [*change.faults, *contradictions(back.settings)]
    lost = [slot for slot in Slot if slot not in back.sealed]
    missing = missing_secrets(back.settings, change.held({*back.sealed, *old.lent}))
    problems += (explained(each, old.settings, lost) for each in missing)
    problems += change.misplaced(back.settings)
    return problems


def _nothing_to_take_back(undone: Edition) -> str:
    if not undone.secret_changes:
        return f"version {undone.version} changed no setting; there is nothing to take back"
    slots = ", ".join(undone.secret_changes)
    return (
        f"version {undone.version} changed only secrets ({slots}), and old ones are not kept."
        " Enter the one that you want"
    )


def _changed_again(known: Sequence[Edition], undone: Edition) -> str | None:
    """Which later version stands in the way, or None."""
    names = {
        each.field
        for each in undone.differences
        if _value(known[-1], each.field) != _value(undone, each.field)
    }
    for later in reversed(known):
        again = [each.field for each in later.differences if each.field in names]
        if again:
            return (
                f"version {later.version} changed {', '.join(again)} again. Undo version"
                f" {later.version} first, or set what you want"
            )
    return None


def _kept(known: Sequence[Edition], settings: RelaySettings) -> dict[Slot, Sealed]:
    """For each slot the newest secret that was sealed for where it would go now."""
    relay_id = known[-1].relay_id
    found: dict[Slot, Sealed] = {}
    for slot in Slot:
        wanted = destination(settings, relay_id, slot)
        for each in reversed(known):
            if slot in each.sealed and destination(each.settings, relay_id, slot) == wanted:
                found[slot] = each.sealed[slot]
                break
    return found


def _differences(before: Edition, after: Edition) -> Iterator[Difference]:
    if before.name != after.name:
        yield Difference("name", before.name, after.name)
    yield from difference(before.settings, after.settings)


def _value(edition: Edition, name: str) -> Any:
    return edition.name if name == "name" else edition.settings.shown(name)


def _edition(row: Any) -> Edition:
    plain = {each.name: getattr(row, each.name) for each in fields(Edition) if each.name in _PLAIN}
    return Edition(
        settings=RelaySettings.from_json(row.settings), sealed=read_sealed(row.secrets), **plain
    )


_PLAIN = frozenset(
    {"relay_id", "version", "name", "secret_changes", "changed_at", "principal", "undoes"}
)
