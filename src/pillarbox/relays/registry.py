"""
Every relay there is: kept in versions, changed in one transaction, known without asking.

A reader gets a Relay value that never changes. Who holds an old version notices at the next
look, because the version number is part of what sessions are borrowed by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection, delete, insert, select, update

from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Conflict, Invalid, NotFound, Rejected
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import Keyring
from pillarbox.journal import journal
from pillarbox.journal.events import (
    RelayAdded,
    RelayChanged,
    RelayCheckFailed,
    RelayCheckPassed,
    RelayRemoved,
)
from pillarbox.queue import control
from pillarbox.relays import pacing, suspension
from pillarbox.relays.change import Clear, Keep, RelayChange
from pillarbox.relays.consent_loss import forget_tokens, let_go
from pillarbox.relays.defaults import WHO_WE_ARE
from pillarbox.relays.difference import difference
from pillarbox.relays.history import Edition, editions, undo_problems, without
from pillarbox.relays.inheritance import follow, following, heirs, own_fields, wanted
from pillarbox.relays.relay import RelaySettings, Secrets, Slot, json_name
from pillarbox.relays.roster import Roster
from pillarbox.relays.routing import Routing
from pillarbox.relays.tables import relays
from pillarbox.relays.vault import Vault, reference_problems
from pillarbox.relays.versions import (
    Decision,
    Relay,
    Sealed,
    all_relays,
    is_current,
    last_check,
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
        self._vault = Vault(keyring)
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
        return self._vault.secrets(relay)

    async def add(self, decision: Decision) -> Relay:
        """Raises Rejected with every fault, each with its field."""
        name, now = decision.change.name, self._clock.now()
        parent = self._parent(None, decision)
        found = wanted(None, parent, decision.change, now)
        problems = found if isinstance(found, list) else []
        if name is None and not any(problem.field == "name" for problem in problems):
            problems.append(Invalid("give the relay a name", field="name"))
        problems += self._name_taken(name, None)
        problems += reference_problems(decision)
        if problems or name is None or isinstance(found, list):
            raise Rejected(problems)
        new = Relay(
            id=self._ids.new("rly"),
            name=name,
            version=1,
            is_default=False,
            settings=found.settings,
            sealed={},
            changed_at=now,
            inherits=parent.id if parent else None,
            own=found.own,
        )
        new = replace(new, sealed=self._vault.sealed(new, {}, decision.change, now))
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
        problems = undo_problems(back, decision.change, old)
        problems += self._name_taken(back.name, old.id)
        problems += reference_problems(decision)
        if problems:
            raise Rejected(problems)
        parent = self._parent(old, decision)
        own = old.own - set(back.fields)
        if parent is not None:
            own = own_fields(RelayChange(), own, back.settings, parent.settings)
        changed = replace(old, name=back.name, own=own)
        new = self._next(changed, back.settings, back.sealed, decision.change)
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
            for heir in heirs(all_relays(connection), old.id):
                follow(connection, heir, following(heir, old, new), decision)
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
        if left := heirs(self._known, relay.id):
            names = ", ".join(each.name for each in left)
            raise Conflict(f"{names} inherit from it; remove them or set their inherits first")
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

    async def note_check(
        self, relay: Relay, *, is_well: bool, failure: tuple[str, str | None] | None = None
    ) -> None:
        """
        Remember how a diagnosis of this version ended; a good one ends a rest.

        failure is the cause and the id of the advice; a change for better or worse is told.
        """
        now = self._clock.now()

        def note(connection: Connection) -> dict[str, Relay]:
            checked = {
                "checked_at": now,
                "checked_version": relay.version,
                "checked_well": is_well,
            }
            before = last_check(connection, relay)
            connection.execute(update(relays).where(relays.c.id == relay.id).values(checked))
            if before is (not is_well):
                told = failure or (None if is_well else ("the diagnosis failed", None))
                journal.write(connection, [(now, _check_event(relay, told))])
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
        parent = self._parent(old, decision)
        found = wanted(old, parent, decision.change, self._clock.now())
        problems = found if isinstance(found, list) else []
        problems += self._name_taken(decision.change.name, old.id)
        problems += reference_problems(decision)
        if problems or isinstance(found, list):
            raise Rejected(problems)
        changed = replace(
            old,
            name=decision.change.name or old.name,
            inherits=parent.id if parent else None,
            own=found.own,
        )
        return self._next(changed, found.settings, found.kept, decision.change)

    def _parent(self, old: Relay | None, decision: Decision) -> Relay | None:
        """The relay that it inherits from after this decision. Raises Rejected."""
        match decision.inherits:
            case Keep():
                return self._known.get(old.inherits or "") if old else None
            case Clear():
                return None
        try:
            parent = self.get(decision.inherits)
        except NotFound as error:
            raise Rejected([Invalid(str(error), field="inherits")]) from None
        why = None
        if parent.inherits is not None:
            why = f"“{parent.name}” inherits itself, from “{parent.inherits_from}”. Name that one"
        elif old is not None and (parent.id == old.id or heirs(self._known, old.id)):
            why = "others inherit from this relay, so it cannot inherit itself"
        if why:
            raise Rejected([Invalid(why, field="inherits")])
        return parent

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
        return replace(new, sealed=self._vault.sealed(new, kept, change, now))

    def _name_taken(self, name: str | None, own_id: str | None) -> list[Invalid]:
        taken = any(each.name == name and each.id != own_id for each in self._known.values())
        return [Invalid(f"there is a relay named “{name}” already", field="name")] if taken else []


def _refuse_other_version(old: Relay, decision: Decision) -> None:
    if decision.expected_version not in (None, old.version):
        raise Conflict(
            f"this relay is at version {old.version}, not {decision.expected_version}; "
            f"somebody changed it first"
        )


def _check_event(
    relay: Relay, failure: tuple[str, str | None] | None
) -> RelayCheckFailed | RelayCheckPassed:
    if failure is None:
        return RelayCheckPassed(relay=relay.name, relay_id=relay.id)
    cause, advice = failure
    return RelayCheckFailed(relay=relay.name, relay_id=relay.id, cause=cause, advice=advice)
