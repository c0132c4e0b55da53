"""
Whatever is done to relays, in whatever order: a secret opens for where it was typed for.

Threats A1 to A3: a stored password that is sent to a changed host, port, account or proxy,
with another trust, by a change, an undo, a copy of a row or a hand in the database.
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import trustme
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select, update

from pillarbox.base.errors import Refused
from pillarbox.base.sealing import CannotOpen
from pillarbox.relays.change import RelayChange
from pillarbox.relays.relay import Slot
from pillarbox.relays.tables import relay_versions
from pillarbox.relays.versions import Decision, Relay
from support.house import House, open_house

AUTHORITIES = [trustme.CA().cert_pem.bytes().decode() for _ in range(2)]
NAMES = ("one", "two")
SERVER = ("kind", "host", "port", "tls", "authorities", "pin", "server_name", "auth", "username")
PROXY = ("proxy_kind", "proxy_host", "proxy_port", "proxy_username")
WHERE = {Slot.PASSWORD: (*SERVER, *PROXY), Slot.PROXY_PASSWORD: PROXY}
"""What a person means by “where I typed it for”, said here a second time on purpose."""

CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "host": st.sampled_from(["a.example.org", "b.example.org", "localhost"]),
    "port": st.sampled_from([None, 465, 587, 2525]),
    "tls": st.sampled_from([None, "implicit", "starttls", "none"]),
    "username": st.sampled_from([None, "ann", "bob"]),
    "auth": st.sampled_from([None, "none", "password"]),
    "authorities": st.sampled_from([None, *AUTHORITIES]),
    "pin": st.sampled_from([None, "a" * 64, "b" * 64]),
    "server_name": st.sampled_from([None, "c.example.org"]),
    "proxy_kind": st.sampled_from([None, "http", "socks5"]),
    "proxy_host": st.sampled_from([None, "p.example.org", "q.example.org"]),
    "proxy_port": st.sampled_from([None, 3128]),
    "proxy_username": st.sampled_from([None, "us", "them"]),
    "preset": st.sampled_from([None, "gmail", "sendgrid"]),
    "max_connections": st.integers(1, 3),
    "minimum_tls": st.sampled_from([None, "1.3"]),
}
SECRETS = {
    "password": st.sampled_from([None, "new"]),
    "proxy_password": st.sampled_from([None, "new"]),
}
GIVEN = st.fixed_dictionaries(SECRETS)
SOME = st.fixed_dictionaries({}, optional=CHANGES | SECRETS)


class Relays(RuleBasedStateMachine):
    """Two relays, and everything that can be done to them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(mkdtemp())
        self.stack = AsyncExitStack()
        self.house: House = self.runner.run(self.stack.enter_async_context(open_house(self.folder)))
        self.typed = 0
        self.typed_for: dict[str, tuple[Slot, dict[str, Any]]] = {}

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)

    def relay(self, name: str) -> Relay | None:
        return next((each for each in self.house.registry.all() if each.name == name), None)

    def with_canaries(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Each secret that is typed is one of a kind."""
        said = dict(fields)
        for slot in WHERE:
            if said.get(slot.value) == "new":
                self.typed += 1
                said[slot.value] = f"canary-{self.typed}"
        return said

    def note(self, relay: Relay, said: dict[str, Any]) -> None:
        for slot, names in WHERE.items():
            if said.get(slot.value):
                where = {name: relay.settings.shown(name) for name in names}
                self.typed_for[said[slot.value]] = (slot, where | {"relay": relay.id})

    def decide(self, work: Any) -> Relay | None:
        """What is refused changes nothing."""
        try:
            done: Relay = self.runner.run(work)
        except Refused:
            return None
        return done

    @rule(name=st.sampled_from(NAMES), fields=SOME, proxy=st.booleans())
    def add_or_change(self, name: str, fields: dict[str, Any], proxy: bool) -> None:
        registry, known = self.house.registry, self.relay(name)
        said = self.with_canaries(fields)
        if known is None:
            usual = {"host": "a.example.org", "username": "ann", "password": "new"}
            said = self.with_canaries(usual | said) | {"name": name}
        decision = Decision(change=RelayChange.read(said), principal="test")
        work = registry.change(name, decision) if known else registry.add(decision)
        if changed := self.decide(work):
            self.note(changed, said)

    @rule(
        name=st.sampled_from(NAMES),
        version=st.integers(1, 8),
        fields=st.fixed_dictionaries(SECRETS),
    )
    def undo(self, name: str, version: int, fields: dict[str, Any]) -> None:
        said = {slot: text for slot, text in self.with_canaries(fields).items() if text}
        decision = Decision(change=RelayChange.read(said), principal="test")
        if changed := self.decide(self.house.registry.undo(name, version, decision)):
            self.note(changed, said)

    @precondition(lambda self: self.relay("one") and self.relay("two"))
    @rule()
    def copy_a_row(self) -> None:
        """A hand in the database gives one relay the sealed secrets of the other."""
        one, two = self.relay("one"), self.relay("two")
        assert one is not None
        assert two is not None
        self.by_hand(two, secrets=self.row(one).secrets)

    @precondition(lambda self: self.relay("one"))
    @rule(host=st.sampled_from(["a.example.org", "evil.example.net"]))
    def move_a_row(self, host: str) -> None:
        """A hand in the database sends a relay elsewhere."""
        one = self.relay("one")
        assert one is not None
        self.by_hand(one, settings=self.row(one).settings | {"host": host})

    def row(self, relay: Relay) -> Any:
        columns = relay_versions.c
        query = select(relay_versions).where(
            columns.relay_id == relay.id, columns.version == relay.version
        )
        return self.runner.run(self.house.database.read(lambda it: it.execute(query).one()))

    def by_hand(self, relay: Relay, **values: Any) -> None:
        columns = relay_versions.c
        of_relay = (columns.relay_id == relay.id, columns.version == relay.version)
        change = update(relay_versions).where(*of_relay).values(**values)

        def write(connection: Any) -> None:
            connection.execute(change)

        self.runner.run(self.house.database.write(write))
        self.runner.run(self.house.registry.refresh())

    @invariant()
    def a_secret_opens_only_where_it_was_typed_for(self) -> None:
        for relay in self.house.registry.all():
            for slot in relay.sealed:
                try:
                    opened = self.house.registry._vault.open(relay, slot).reveal()
                except CannotOpen:
                    continue
                typed_slot, where = self.typed_for[opened]
                now = {name: relay.settings.shown(name) for name in WHERE[slot]}
                assert (typed_slot, where) == (slot, now | {"relay": relay.id})


TestRelays = Relays.TestCase
TestRelays.settings = settings(stateful_step_count=20)
