"""
Relays that inherit: another relay's word counts, live, but for the fields that are their own.

Every version holds the settings as they are in effect. When the other relay changes, each
heir gets a new version in the same transaction, so whoever carries mail needs to know nothing
of this. A lent secret opens only for the destination that its own relay has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, update

from pillarbox.base.errors import Conflict, Invalid, Rejected
from pillarbox.journal.events import RelayChanged
from pillarbox.relays import pacing, suspension
from pillarbox.relays.binding import destination
from pillarbox.relays.change import RelayChange
from pillarbox.relays.consent_loss import let_go
from pillarbox.relays.difference import difference, dropped_secrets, explained
from pillarbox.relays.relay import FIELD_NAMES, RelaySettings, Slot, attribute
from pillarbox.relays.tables import relays
from pillarbox.relays.versions import Decision, Relay, Sealed, lent, store_version


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a change makes of a relay. own are the fields that do not come from the parent."""

    settings: RelaySettings
    kept: Mapping[Slot, Sealed]
    own: frozenset[str]


def wanted(
    old: Relay | None, parent: Relay | None, change: RelayChange, now: datetime
) -> Wanted | list[Invalid]:
    """What becomes of a relay, or of none, by this change; or everything against it."""
    base = _base(old, parent)
    if parent is not None:
        change = emptied(change, parent.settings)
    try:
        settings = change.apply_to(base)
    except Rejected:
        return list(change.problems(base, stored=old.sealed if old else (), now=now))
    kept: dict[Slot, Sealed] = {}
    lost: list[Slot] = []
    if old is not None:
        lost += dropped_secrets(old.settings, settings, change.secrets)
        kept = {slot: sealed for slot, sealed in old.sealed.items() if slot not in lost}
    loans = {} if parent is None else lent(parent, settings)
    lost += [] if parent is None else [slot for slot in parent.sealed if slot not in loans]
    known = old or parent
    before = known.settings if known else settings
    found = change.problems(base, stored={*kept, *loans}, now=now)
    if problems := [explained(each, before, lost) for each in found]:
        return problems
    if parent is None:
        return Wanted(settings, kept, frozenset())
    said = old.own if old is not None else frozenset()
    return Wanted(settings, kept, own_fields(change, said, settings, parent.settings))


def _base(old: Relay | None, parent: Relay | None) -> RelaySettings | None:
    """Where the change starts: at what there is, or at what the other relay says."""
    if old is None:
        return None if parent is None else parent.settings
    if parent is not None and old.inherits not in (None, parent.id):
        return effective(parent.settings, old.settings, old.own)
    return old.settings


def emptied(change: RelayChange, parent: RelaySettings) -> RelayChange:
    """The change, with each field that was emptied as it is at the other relay."""
    given = {name: getattr(parent, attribute(name)) for name in change.blank if name in FIELD_NAMES}
    return replace(change, values={**change.values, **given})


def effective(parent: RelaySettings, own: RelaySettings, fields: frozenset[str]) -> RelaySettings:
    """What counts: these fields of its own, everything else from the other relay."""
    return replace(parent, **{attribute(name): getattr(own, attribute(name)) for name in fields})


def own_fields(
    change: RelayChange, before: frozenset[str], settings: RelaySettings, parent: RelaySettings
) -> frozenset[str]:
    """What was said of the heir itself, and whatever differs because of it."""
    said = ((before | set(change.values)) - change.blank) & FIELD_NAMES
    differs = {name for name in FIELD_NAMES if settings.shown(name) != parent.shown(name)}
    return frozenset(said | differs)


def heirs(known: Mapping[str, Relay], relay_id: str) -> list[Relay]:
    """Who inherits from this relay."""
    return [each for each in known.values() if each.inherits == relay_id]


def following(heir: Relay, old: Relay, new: Relay) -> Relay | None:
    """The heir's next version after a change of the other relay; None where nothing is new."""
    settings = effective(new.settings, heir.settings, heir.own)
    if settings == heir.settings and old.sealed == new.sealed:
        return None
    kept = {
        slot: sealed
        for slot, sealed in heir.sealed.items()
        if destination(settings, heir.id, slot) == destination(heir.settings, heir.id, slot)
    }
    return replace(
        heir,
        version=heir.version + 1,
        settings=settings,
        sealed=kept,
        changed_at=new.changed_at,
        rest=None,
        slowdown=None,
    )


def follow(connection: Connection, heir: Relay, new: Relay | None, decision: Decision) -> None:
    """The heir's next version. Raises Conflict when somebody changed it at this moment."""
    if new is None:
        return
    moved = update(relays).where(relays.c.id == heir.id, relays.c.version == heir.version)
    if not connection.execute(moved.values(version=new.version)).rowcount:
        raise Conflict("a relay that inherits from this one changed just now; do it again")
    fields = tuple(each.field for each in difference(heir.settings, new.settings))
    event = RelayChanged(
        relay_id=heir.id,
        principal=decision.principal,
        relay=heir.name,
        version=new.version,
        fields=fields + let_go(connection, heir, new, decision.change),
    )
    suspension.resume(connection, heir.id, heir.name, new.changed_at)
    pacing.forget(connection, heir.id)
    by = Decision(change=RelayChange(), principal=decision.principal)
    store_version(connection, new, by, event)
