"""
Every relay there is: kept in versions, changed in one transaction, known without asking.

A reader gets a Relay value that never changes. Who holds an old version notices at the next
look, because the version number is part of what sessions are borrowed by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from pillarbox.access.principal import OPERATOR
from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Conflict, Invalid, Rejected
from pillarbox.base.ids import Ids
from pillarbox.base.reference import Unresolved, resolve
from pillarbox.base.sealing import Keyring
from pillarbox.base.secret import Secret
from pillarbox.journal import journal
from pillarbox.journal.events import RelayAdded, RelayChanged, RelayRemoved
from pillarbox.queue import control
from pillarbox.relays import pacing, suspension
from pillarbox.relays.binding import destination, with_reference
from pillarbox.relays.change import Clear, RelayChange, Replace
from pillarbox.relays.consent_loss import forget_tokens, let_go
from pillarbox.relays.defaults import WHO_WE_ARE
from pillarbox.relays.difference import difference, dropped_secrets, explained
from pillarbox.relays.history import Edition, editions, undo_problems, without
from pillarbox.relays.relay import RelaySettings, Secrets, Slot, json_name
from pillarbox.relays.roster import Roster
from pillarbox.relays.routing import Routing
from pillarbox.relays.tables import relays
from pillarbox.relays.versions import (
    Decision,
    Relay,
    Sealed,
    all_relays,
    is_current,
    refuse_taken_name,
    store_version,
)

SANDBOX = "sandbox"

_MANNERS = frozenset(
    {
        "name",
        *map(json_name, WHO_WE_ARE),
        "max_connections",
        "messages_per_minute",
        "messages_per_connection",
        "connection_age_seconds",
    }
)
"""A change of these alone cannot cure a relay that rests."""


class Registry(Roster):
    """The relays of this installation."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._ids = ids
        self._known: Mapping[str, Relay] = {}
        self.routing: Routing = Routing(database, clock)

    async def load(self) -> None:
        """Read every relay and the routes; on the first start, make the sandbox."""
        await self.routing.load()
        self._known = await self._database.read(all_relays)
        if not self._known:
            await self._make_sandbox()

    async def refresh(self) -> None:
        """Notice what other processes changed. A change made here meanwhile is newer."""
        await self.routing.load()
        before = self._known
        found = await self._database.read(all_relays)
        if self._known is before:
            self._known = found

    async def _make_sandbox(self) -> None:
        change = RelayChange.read({"name": SANDBOX, "kind": "sandbox"})
        decision = Decision(change=change, principal="system:pillarbox", make_default=True)
        try:
            await self.add(decision)
        except (Conflict, Rejected):  # another process, starting at this moment, has made it
            self._known = await self._database.read(all_relays)

    def secrets(self, relay: Relay) -> Secrets:
        """Raises CannotOpen when one was sealed for another destination or with a lost key."""
        return Secrets(**{slot.value: self._open(relay, slot) for slot in relay.sealed})

    async def add(self, decision: Decision) -> Relay:
        """Raises Rejected with every fault, each with its field."""
        name = decision.change.name
        now = self._clock.now()
        problems = list(decision.change.problems(now=now))
        if name is None and not any(problem.field == "name" for problem in problems):
            problems.append(Invalid("give the relay a name", field="name"))
        problems += self._name_taken(name, None)
        problems += reference_problems(decision)
        if problems or name is None:
            raise Rejected(problems)
        settings = decision.change.apply_to(None)
        new = Relay(
            id=self._ids.new("rly"),
            name=name,
            version=1,
            is_default=False,
            settings=settings,
            sealed={},
            changed_at=now,
        )
        new = replace(new, sealed=self._sealed(new, {}, decision.change, now))
        event = RelayAdded(relay_id=new.id, principal=decision.principal, relay=name)

        def store(connection: Connection) -> dict[str, Relay]:
            refuse_taken_name(connection, new)
            row = {"id": new.id, "name": name, "version": 1, "created_at": now}
            connection.execute(insert(relays), row)
            return store_version(connection, new, decision, event)

        self._known = await self._database.write(store)
        return self._known[new.id]

    async def change(self, reference: str, decision: Decision) -> Relay:
        """
        A new version. Raises Rejected, NotFound, or Conflict when somebody changed it first.

        A stored secret whose destination changes must be given again: it cannot follow.
        """
        old = self.get(reference)
        new = self._changed(old, decision)
        fields = tuple(each.field for each in difference(old.settings, new.settings))
        if new.name != old.name:
            fields += ("name",)
        return await self._supersede(old, new, decision, fields)

    async def undo(self, reference: str, version: int, decision: Decision) -> Relay:
        """
        A new version without what this one changed; secrets that do not come back by
        themselves are in the decision's change.

        Raises Rejected, NotFound, and Conflict when there is nothing to take back or a later
        version stands in the way.
        """
        old = self.get(reference)
        _refuse_other_version(old, decision)
        back = without(await self.history(old.id), version)
        problems = undo_problems(back, decision.change, old.settings)
        problems += self._name_taken(back.name, old.id)
        problems += reference_problems(decision)
        if problems:
            raise Rejected(problems)
        new = self._next(replace(old, name=back.name), back.settings, back.sealed, decision.change)
        return await self._supersede(old, new, replace(decision, undoes=version), back.fields)

    async def history(self, reference: str) -> list[Edition]:
        """Every version of a relay, the first one first. Raises NotFound."""
        relay_id = self.get(reference).id
        return await self._database.read(lambda connection: editions(connection, relay_id))

    async def _supersede(
        self, old: Relay, new: Relay, decision: Decision, fields: tuple[str, ...]
    ) -> Relay:
        """Store the new version. Raises Conflict when somebody else was faster."""
        fields += tuple(slot.value for slot in decision.change.touched)
        event = RelayChanged(
            relay_id=old.id,
            principal=decision.principal,
            relay=new.name,
            version=new.version,
            fields=fields,
            undoes=decision.undoes,
        )

        def store(connection: Connection) -> dict[str, Relay]:
            told = fields + let_go(connection, old, new, decision.change)
            renamed = update(relays).where(relays.c.id == old.id, relays.c.version == old.version)
            values = {"version": new.version, "name": new.name}
            refuse_taken_name(connection, new)
            if not connection.execute(renamed.values(values)).rowcount:
                raise Conflict("somebody changed this relay at the same moment; look at it again")
            if not _MANNERS.issuperset(fields):
                suspension.resume(connection, old.id, new.name, new.changed_at)
                pacing.forget(connection, old.id)
            return store_version(connection, new, decision, replace(event, fields=told))

        self._known = await self._database.write(store)
        return self._known[old.id]

    async def make_default(self, reference: str, principal: str) -> Relay:
        """Mail that names no relay goes there from now on."""
        change = Decision(change=RelayChange(), principal=principal, make_default=True)
        return await self.change(reference, change)

    async def remove(self, reference: str, principal: str) -> None:
        """Remove a relay; mail that waits for it is held. The default cannot be removed."""
        relay = self.get(reference)
        if relay.is_default:
            raise Conflict("this is the default relay; make another one the default first")
        now = self._clock.now()
        event = RelayRemoved(relay_id=relay.id, principal=principal, relay=relay.name)

        def drop(connection: Connection) -> dict[str, Relay]:
            unless_default = relays.c.is_default.is_(False)
            gone = connection.execute(delete(relays).where(relays.c.id == relay.id, unless_default))
            if not gone.rowcount:
                raise Conflict("somebody made this the default relay, or removed it, just now")
            forget_tokens(connection, relay.id)
            control.hold_of_relay(connection, relay.id, principal, now)
            journal.write(connection, [(now, event)])
            return all_relays(connection)

        self._known = await self._database.write(drop)

    async def note_check(self, relay: Relay, *, is_well: bool) -> None:
        """Remember how a diagnosis of this version ended; a good one ends a rest."""
        now = self._clock.now()

        def note(connection: Connection) -> dict[str, Relay]:
            checked = {
                "checked_at": now,
                "checked_version": relay.version,
                "checked_well": is_well,
            }
            connection.execute(update(relays).where(relays.c.id == relay.id).values(checked))
            if is_well and is_current(connection, relay):
                suspension.resume(connection, relay.id, relay.name, now)
            return all_relays(connection)

        self._known = await self._database.write(note)

    async def rest(self, trouble: suspension.Trouble) -> None:
        """Rest or slow a relay after a failure that was its own, unless it was changed since."""
        now = self._clock.now()

        def note(connection: Connection) -> dict[str, Relay]:
            version = select(relays.c.version).where(relays.c.id == trouble.relay_id)
            if connection.scalar(version) == trouble.relay_version:
                suspension.rest(connection, trouble, now)
            return all_relays(connection)

        self._known = await self._database.write(note)

    async def resume(self, relay: Relay) -> None:
        """It carries mail again. For every later claim the word of this success is enough."""
        now = self._clock.now()

        def note(connection: Connection) -> dict[str, Relay]:
            if is_current(connection, relay):
                suspension.resume(connection, relay.id, relay.name, now)
            return all_relays(connection)

        self._known = await self._database.write(note)

    async def resume_now(self, reference: str, principal: str) -> Relay:
        """Somebody says that it may go on, at full speed. It is probed at once. Raises NotFound."""
        relay, now = self.get(reference), self._clock.now()

        def end(connection: Connection) -> dict[str, Relay]:
            suspension.resume(connection, relay.id, relay.name, now, principal=principal)
            pacing.forget(connection, relay.id)
            return all_relays(connection)

        self._known = await self._database.write(end)
        return self._known[relay.id]

    async def recover(self) -> None:
        """Note which relays have all their sessions again after a complaint."""
        now, slowed = self._clock.now(), [each for each in self._known.values() if each.slowdown]
        if not any(each.connections(now) == each.settings.max_connections for each in slowed):
            return

        def note(connection: Connection) -> dict[str, Relay]:
            most = {each.id: (each.name, each.settings.max_connections) for each in slowed}
            pacing.recover(connection, most, now)
            return all_relays(connection)

        self._known = await self._database.write(note)

    def _changed(self, old: Relay, decision: Decision) -> Relay:
        _refuse_other_version(old, decision)
        change = decision.change
        settings = change.apply_to(old.settings)
        lost = dropped_secrets(old.settings, settings, change.secrets)
        kept = {slot: sealed for slot, sealed in old.sealed.items() if slot not in lost}
        problems = [*change.problems(old.settings, stored=kept, now=self._clock.now())]
        problems = [explained(each, old.settings, lost) for each in problems]
        problems += self._name_taken(change.name, old.id)
        problems += reference_problems(decision)
        if problems:
            raise Rejected(problems)
        return self._next(replace(old, name=change.name or old.name), settings, kept, change)

    def _next(
        self, old: Relay, settings: RelaySettings, kept: Mapping[Slot, Sealed], change: RelayChange
    ) -> Relay:
        """The version after this one, with the secrets that stay and those that come."""
        now = self._clock.now()
        new = replace(
            old,
            version=old.version + 1,
            settings=settings,
            changed_at=now,
            rest=None,
            slowdown=None,
        )
        return replace(new, sealed=self._sealed(new, kept, change, now))

    def _name_taken(self, name: str | None, own_id: str | None) -> list[Invalid]:
        taken = any(each.name == name and each.id != own_id for each in self._known.values())
        return [Invalid(f"there is a relay named “{name}” already", field="name")] if taken else []

    def _sealed(
        self, relay: Relay, kept: Mapping[Slot, Sealed], change: RelayChange, now: datetime
    ) -> dict[Slot, Sealed]:
        sealed = dict(kept)
        for slot, wanted in change.secrets.items():
            if isinstance(wanted, Replace):
                place = wanted.reference
                bound_to = with_reference(destination(relay.settings, relay.id, slot), place)
                sealed[slot] = Sealed(self._keyring.seal(wanted.secret, bound_to), now, place)
            elif isinstance(wanted, Clear):
                sealed.pop(slot, None)
        return sealed

    def _open(self, relay: Relay, slot: Slot) -> Secret:
        sealed = relay.sealed[slot]
        bound_to = with_reference(destination(relay.settings, relay.id, slot), sealed.reference)
        opened = self._keyring.open(sealed.octets, bound_to)
        return opened if sealed.reference is None else resolve(sealed.reference)


def reference_problems(decision: Decision) -> Iterator[Invalid]:
    """
    A reference reads our environment and files, so only whoever is on this machine may set one:
    with a key from elsewhere, a relay of one's own would be a way to read them all.
    """
    for slot, place in decision.change.references.items():
        if decision.principal != str(OPERATOR):
            yield Invalid(
                "where a secret is kept can be said on this machine only, with pillarbox relay."
                " Enter the secret itself",
                field=slot.value,
            )
            continue
        try:
            resolve(place)
        except Unresolved as error:
            yield Invalid(str(error), field=slot.value)


def _refuse_other_version(old: Relay, decision: Decision) -> None:
    if decision.expected_version not in (None, old.version):
        raise Conflict(
            f"this relay is at version {old.version}, not {decision.expected_version}; "
            f"somebody changed it first"
        )
