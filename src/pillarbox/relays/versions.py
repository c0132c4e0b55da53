"""
A relay at one version, as everybody sees it, and the rows that it is kept in.

The settings of every version stay. The secrets of an old version stay only where a newer one
goes somewhere else, so that a change of destination can be taken back. What was cleared or
replaced is gone.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.journal import journal
from pillarbox.journal.events import Event
from pillarbox.oauth import grants
from pillarbox.relays import pacing, suspension
from pillarbox.relays.binding import destination
from pillarbox.relays.change import Clear, Keep, RelayChange, Replace
from pillarbox.relays.pacing import Slowdown
from pillarbox.relays.relay import RelaySettings, Slot
from pillarbox.relays.suspension import Rest
from pillarbox.relays.tables import relay_versions, relays


@dataclass(frozen=True, slots=True)
class Sealed:
    """
    A secret as the database has it: for its destination only, and never shown.

    With a reference the secret is elsewhere, and the octets only prove that the reference
    was given for this destination.
    """

    octets: bytes
    updated_at: datetime
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """
    A relay at one version. checked_well is None until this version has been diagnosed.

    inherits is the id of the relay that it inherits from, inherits_from its name; own are
    the fields, by JSON name, that do not come from there; lent are secrets that do.
    """

    id: str
    name: str
    version: int
    is_default: bool
    settings: RelaySettings
    sealed: Mapping[Slot, Sealed]
    changed_at: datetime
    checked_at: datetime | None = None
    checked_well: bool | None = None
    rest: Rest | None = None
    slowdown: Slowdown | None = None
    inherits: str | None = None
    own: frozenset[str] = frozenset()
    lent: Mapping[Slot, Sealed] = field(default_factory=dict)
    inherits_from: str | None = None

    def connections(self, now: datetime) -> int:
        """How many sessions it gets now: those of its settings, fewer after a complaint."""
        return pacing.connections_allowed(self.slowdown, self.settings.max_connections, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    A change that somebody decided on. expected_version None means whatever is there.

    undoes is the version that it takes back; the change then holds nothing but secrets.
    inherits names the relay to inherit from, or says that it inherits no longer.
    """

    change: RelayChange
    principal: str
    expected_version: int | None = None
    make_default: bool = False
    undoes: int | None = None
    inherits: str | Keep | Clear = Keep()


def has_secrets(connection: Connection) -> bool:
    """Whether any relay has a secret that only the key file opens."""
    has_tokens = bool(grants.grants(connection))
    return has_tokens or any(connection.scalars(select(relay_versions.c.secrets)))


def refuse_taken_name(connection: Connection, relay: Relay) -> None:
    """Asked again inside the transaction: two people may think of one name at one moment."""
    same = select(relays.c.id).where(relays.c.name == relay.name, relays.c.id != relay.id)
    if connection.scalar(same) is not None:
        raise Rejected([Invalid(f"there is a relay named “{relay.name}” already", field="name")])


def last_check(connection: Connection, relay: Relay) -> bool | None:
    """How the last diagnosis of this version ended; None if it was of another, or none."""
    known = select(relays.c.checked_well).where(
        relays.c.id == relay.id, relays.c.checked_version == relay.version
    )
    return connection.scalar(known)


def is_current(connection: Connection, relay: Relay) -> bool:
    """What was learnt of a version says nothing about the next one."""
    version = select(relays.c.version).where(relays.c.id == relay.id)
    return bool(connection.scalar(version) == relay.version)


def store_version(
    connection: Connection, new: Relay, decision: Decision, event: Event
) -> dict[str, Relay]:
    """The new version beside the old ones, and what happened, in one transaction."""
    secret_changes = _secret_changes(connection, new, decision)
    cleared = {slot for slot, wish in decision.change.secrets.items() if isinstance(wish, Clear)}
    connection.execute(
        insert(relay_versions),
        {
            "relay_id": new.id,
            "version": new.version,
            "name": new.name,
            "settings": new.settings.to_json(),
            "secrets": _written_all(new.sealed),
            "secret_changes": secret_changes,
            "changed_at": new.changed_at,
            "principal": decision.principal,
            "undoes": decision.undoes,
            "inherits": new.inherits,
            "own": sorted(new.own),
        },
    )
    _forget_old_secrets(connection, new, cleared)
    if decision.make_default:
        connection.execute(update(relays).values(is_default=relays.c.id == new.id))
    journal.write(connection, [(new.changed_at, event)])
    return all_relays(connection)


def _secret_changes(connection: Connection, new: Relay, decision: Decision) -> dict[str, str]:
    """What became of each secret: `given`, `removed`, or `dropped` on the way elsewhere."""
    words = {Replace: "given", Clear: "removed"}
    said = {
        slot.value: words[type(wish)]
        for slot, wish in decision.change.secrets.items()
        if type(wish) in words
    }
    before = select(relay_versions.c.secrets).where(
        relay_versions.c.relay_id == new.id, relay_versions.c.version == new.version - 1
    )
    had = connection.scalar(before) or {}
    gone = {slot: "dropped" for slot in had if Slot(slot) not in new.sealed}
    return gone | said


def _forget_old_secrets(connection: Connection, new: Relay, cleared: Collection[Slot]) -> None:
    """
    Of old versions only secrets for other destinations are worth keeping, for an undo.

    One for the same destination has been replaced; one that somebody cleared is to be
    forgotten wherever it is.
    """
    version, of_relay = relay_versions.c.version, relay_versions.c.relay_id == new.id
    older = select(version, relay_versions.c.settings, relay_versions.c.secrets)
    for row in connection.execute(older.where(of_relay, version < new.version)):
        if not row.secrets:
            continue
        settings = RelaySettings.from_json(row.settings)
        kept = {
            slot: sealed
            for slot, sealed in row.secrets.items()
            if Slot(slot) not in cleared
            and destination(settings, new.id, Slot(slot))
            != destination(new.settings, new.id, Slot(slot))
        }
        if kept != row.secrets:
            thinner = update(relay_versions).where(
                of_relay, relay_versions.c.version == row.version
            )
            connection.execute(thinner.values(secrets=kept))


def all_relays(connection: Connection) -> dict[str, Relay]:
    current = select(relays, relay_versions).join(
        relay_versions,
        (relay_versions.c.relay_id == relays.c.id) & (relay_versions.c.version == relays.c.version),
    )
    resting, slowed = suspension.rests(connection), pacing.slowdowns(connection)
    known = {
        row.id: _relay(row, resting.get(row.id), slowed.get(row.id))
        for row in connection.execute(current)
    }
    return _with_loans(known)


def lent(parent: Relay, heir: RelaySettings) -> dict[Slot, Sealed]:
    """The secrets of the other relay that are for where the heir goes."""
    return {
        slot: sealed
        for slot, sealed in parent.sealed.items()
        if destination(heir, parent.id, slot) == destination(parent.settings, parent.id, slot)
    }


def _with_loans(known: Mapping[str, Relay]) -> dict[str, Relay]:
    """Every relay, with what the one that it inherits from lends it."""
    return dict(_lending(known))


def _lending(known: Mapping[str, Relay]) -> Iterator[tuple[str, Relay]]:
    for relay_id, relay in known.items():
        parent = known.get(relay.inherits or "")
        if parent is None:
            yield relay_id, relay
            continue
        loans = lent(parent, relay.settings)
        for slot in relay.sealed:
            loans.pop(slot, None)
        yield relay_id, replace(relay, lent=loans, inherits_from=parent.name)


def _relay(row: Any, rest: Rest | None, slowdown: Slowdown | None) -> Relay:
    is_checked = row.checked_version == row.version
    return Relay(
        id=row.id,
        name=row.name,
        version=row.version,
        is_default=row.is_default,
        settings=RelaySettings.from_json(row.settings),
        sealed=read_sealed(row.secrets),
        changed_at=row.changed_at,
        checked_at=row.checked_at if is_checked else None,
        checked_well=row.checked_well if is_checked else None,
        rest=rest,
        slowdown=slowdown,
        inherits=row.inherits,
        own=frozenset(row.own),
    )


def read_sealed(written: Mapping[str, dict[str, str]]) -> dict[Slot, Sealed]:
    """The secrets of a row, still shut."""
    return {Slot(slot): _read(sealed) for slot, sealed in written.items()}


def _written_all(sealed: Mapping[Slot, Sealed]) -> dict[str, dict[str, str]]:
    return {slot.value: _written(each) for slot, each in sealed.items()}


def _written(sealed: Sealed) -> dict[str, str]:
    return {
        "sealed": base64.b64encode(sealed.octets).decode(),
        "updated_at": sealed.updated_at.isoformat(),
    } | ({"reference": sealed.reference} if sealed.reference else {})


def _read(written: dict[str, str]) -> Sealed:
    return Sealed(
        base64.b64decode(written["sealed"]),
        datetime.fromisoformat(written["updated_at"]),
        written.get("reference"),
    )
