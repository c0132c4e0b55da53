"""
The domains that we sign for: read at every message, changed seldom.

A key signs when its record has been seen published, not before: a signature without a record
is worse than none. Rotation adds a second key that waits; when it signs, the first retires.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from pillarbox.base import signing_keys
from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Conflict, NotFound
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import CannotOpen, Keyring
from pillarbox.journal import journal
from pillarbox.journal.events import (
    SenderDomainAdded,
    SenderDomainRemoved,
    SenderKeyAdded,
    SenderKeySigning,
)
from pillarbox.mail.dkim import Signer
from pillarbox.mail.dkim_record import KeyKind, record_for
from pillarbox.senders.domain import (
    KeyState,
    SenderDomain,
    SenderKey,
    above,
    read_domain,
    read_selector,
)
from pillarbox.senders.tables import sender_domains, sender_keys


@dataclass(frozen=True, slots=True)
class _Stored:
    key: SenderKey
    sealed: bytes


class SenderDomains:
    """Every domain we sign for, known without asking the database."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._ids = ids
        self._domains: tuple[SenderDomain, ...] = ()
        self._signers: dict[str, tuple[Signer, ...]] = {}

    async def load(self) -> None:
        """Read what there is. Called again to notice what other processes changed."""
        domains, stored = await self._database.read(_read)
        if domains != self._domains:
            self._signers = await asyncio.to_thread(self._open, stored)
            self._domains = domains

    def signers(self, domain: str) -> tuple[Signer, ...]:
        """Who signs for this From domain: its own keys, else those of a domain above it."""
        if not self._signers:
            return ()
        return next((found for each in above(domain) if (found := self._signers.get(each))), ())

    def all(self) -> tuple[SenderDomain, ...]:
        """In the order of their names."""
        return self._domains

    def get(self, domain: str) -> SenderDomain:
        """Raises NotFound."""
        found = self.find(domain)
        if found is None:
            raise NotFound(f"pillarbox does not sign for {domain}")
        return found

    def find(self, domain: str) -> SenderDomain | None:
        wanted = domain.lower()
        return next((each for each in self._domains if wanted in (each.domain, each.id)), None)

    async def add(
        self, domain: str, kinds: Sequence[KeyKind], selector: str | None, principal: str
    ) -> SenderDomain:
        """
        A domain with a key of each kind, which waits for its record.

        Raises Invalid for what is no domain or selector, Conflict when it is there already.
        """
        name, stem = read_domain(domain), read_selector(selector) if selector else None
        if self.find(name) is not None:
            raise Conflict(f"pillarbox signs for {name} already; rotate its keys instead")
        now = self._clock.now()
        domain_id = self._ids.new("snd")
        keys = await self._made(name, kinds, stem)

        def store(connection: Connection) -> None:
            row = {"id": domain_id, "domain": name, "created_at": now}
            connection.execute(insert(sender_domains), row)
            event = SenderDomainAdded(principal=principal, domain=name)
            journal.write(connection, [(now, event)])
            _store_keys(connection, domain_id, keys, principal)

        await self._database.write(store)
        await self.load()
        return self.get(name)

    async def rotate(self, domain: str, selector: str | None, principal: str) -> SenderDomain:
        """
        A new key of each kind that signs now, under a new selector. Nothing changes until its
        record is seen. Raises NotFound, Invalid, Conflict while new keys wait already.
        """
        known = self.get(domain)
        if any(key.state is KeyState.WAITING for key in known.keys):
            raise Conflict("a key waits for its record already; publish it and check")
        kinds = [key.kind for key in known.in_use]
        taken = {key.selector for key in known.keys}
        keys = await self._made(known.domain, kinds, selector or self._free(taken))
        if any(each.key.selector in taken for each in keys):
            raise Conflict("a key of this domain had this selector; take another one")

        def store(connection: Connection) -> None:
            _store_keys(connection, known.id, keys, principal)

        await self._database.write(store)
        await self.load()
        return self.get(domain)

    async def note_published(
        self, domain: str, selectors: Iterable[str], principal: str
    ) -> SenderDomain:
        """These records were seen: their keys sign from now on, older ones of a kind retire."""
        known = self.get(domain)
        seen = [
            key for key in known.keys if key.selector in selectors and key.state is KeyState.WAITING
        ]
        if not seen:
            return known
        now = self._clock.now()

        def mark(connection: Connection) -> None:
            for key in seen:
                _set_state(connection, known.id, key.kind, KeyState.RETIRED, now)
                connection.execute(
                    update(sender_keys)
                    .where(sender_keys.c.id == key.id)
                    .values(state=KeyState.SIGNING.value, changed_at=now)
                )
                event = SenderKeySigning(
                    principal=principal, domain=known.domain, selector=key.selector
                )
                journal.write(connection, [(now, event)])

        await self._database.write(mark)
        await self.load()
        return self.get(domain)

    async def remove(self, domain: str, principal: str) -> None:
        """Its keys are gone for good. Raises NotFound."""
        known = self.get(domain)
        now = self._clock.now()

        def drop(connection: Connection) -> None:
            connection.execute(delete(sender_keys).where(sender_keys.c.domain_id == known.id))
            connection.execute(delete(sender_domains).where(sender_domains.c.id == known.id))
            event = SenderDomainRemoved(principal=principal, domain=known.domain)
            journal.write(connection, [(now, event)])

        await self._database.write(drop)
        await self.load()

    async def _made(
        self, domain: str, kinds: Sequence[KeyKind], selector: str | None
    ) -> list[_Stored]:
        now = self._clock.now()
        stem = read_selector(selector or self._free(()))
        made = []
        for kind in dict.fromkeys(kinds):
            name = stem if len(set(kinds)) == 1 else read_selector(f"{stem}-{kind.value[:2]}")
            private = await asyncio.to_thread(_MAKERS[kind])
            key = SenderKey(
                id=self._ids.new("dkm"),
                domain=domain,
                selector=name,
                kind=kind,
                state=KeyState.WAITING,
                record=record_for(private.public_key()),
                created_at=now,
                changed_at=now,
            )
            secret = signing_keys.to_secret(private)
            made.append(_Stored(key, self._keyring.seal(secret, _binding(key))))
        return made

    def _free(self, taken: Collection[str]) -> str:
        """A selector of the day that no key of the domain has had."""
        day = f"pb{self._clock.now():%Y%m%d}"
        stems = itertools.chain([day], (f"{day}-{number}" for number in itertools.count(2)))
        return next(stem for stem in stems if not any(each.startswith(stem) for each in taken))

    def _open(self, stored: Sequence[_Stored]) -> dict[str, tuple[Signer, ...]]:
        """A key that cannot be opened signs nothing; the domain's page tells it by its state."""
        signers: dict[str, tuple[Signer, ...]] = {}
        for each in stored:
            key = each.key
            if key.state is not KeyState.SIGNING:
                continue
            try:
                private = signing_keys.from_secret(self._keyring.open(each.sealed, _binding(key)))
            except CannotOpen:
                continue
            signer = Signer(domain=key.domain, selector=key.selector, key=private)
            signers[key.domain] = (*signers.get(key.domain, ()), signer)
        return signers


_MAKERS: dict[KeyKind, Callable[[], signing_keys.SigningKey]] = {
    KeyKind.RSA: signing_keys.make_rsa,
    KeyKind.ED25519: signing_keys.make_ed25519,
}


_ORDER = (KeyState.WAITING, KeyState.SIGNING, KeyState.RETIRED)


def has_signing_keys(connection: Connection) -> bool:
    """Whether there is a key that only the key file opens."""
    return connection.scalar(select(sender_keys.c.id).limit(1)) is not None


def _binding(key: SenderKey) -> bytes:
    """A sealed key opens for its domain and selector only."""
    return f"pillarbox sender key 1\0{key.domain}\0{key.selector}".encode()


def _store_keys(
    connection: Connection, domain_id: str, keys: Sequence[_Stored], principal: str
) -> None:
    for each in keys:
        key = each.key
        row = {
            "id": key.id,
            "domain_id": domain_id,
            "selector": key.selector,
            "kind": key.kind.value,
            "state": key.state.value,
            "record": key.record,
            "sealed": each.sealed,
            "created_at": key.created_at,
            "changed_at": key.changed_at,
        }
        connection.execute(insert(sender_keys), row)
        event = SenderKeyAdded(principal=principal, domain=key.domain, selector=key.selector)
        journal.write(connection, [(key.created_at, event)])


def _set_state(
    connection: Connection, domain_id: str, kind: KeyKind, state: KeyState, now: object
) -> None:
    """Of every key of this kind that signs now."""
    keys = sender_keys.c
    connection.execute(
        update(sender_keys)
        .where(
            keys.domain_id == domain_id,
            keys.kind == kind.value,
            keys.state == KeyState.SIGNING.value,
        )
        .values(state=state.value, changed_at=now)
    )


def _read(connection: Connection) -> tuple[tuple[SenderDomain, ...], list[_Stored]]:
    domains = connection.execute(select(sender_domains).order_by(sender_domains.c.domain)).all()
    rows = connection.execute(select(sender_keys).order_by(sender_keys.c.id.desc())).all()
    names = {row.id: row.domain for row in domains}
    stored = [
        _Stored(
            SenderKey(
                id=row.id,
                domain=names[row.domain_id],
                selector=row.selector,
                kind=KeyKind(row.kind),
                state=KeyState(row.state),
                record=row.record,
                created_at=row.created_at,
                changed_at=row.changed_at,
            ),
            bytes(row.sealed),
        )
        for row in rows
        if row.domain_id in names
    ]
    return tuple(
        SenderDomain(
            id=row.id,
            domain=row.domain,
            created_at=row.created_at,
            keys=tuple(
                sorted(
                    (each.key for each in stored if each.key.domain == row.domain),
                    key=lambda key: _ORDER.index(key.state),
                )
            ),
        )
        for row in domains
    ), stored
