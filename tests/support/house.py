"""A pillarbox without inlets, opened by hand: for tests of accepting and carrying mail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pillarbox.accept.accept import Acceptance
from pillarbox.accept.submission import Submission
from pillarbox.access.principal import OPERATOR
from pillarbox.base.clock import Clock, SystemClock
from pillarbox.base.db.bell import Bell
from pillarbox.base.db.database import Database
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import Keyring
from pillarbox.delivery.equipment import Equipment
from pillarbox.delivery.supervisor import Supervisor
from pillarbox.mail.mailbox import Mailbox
from pillarbox.oauth.tokens import Tokens
from pillarbox.queue.message import Message
from pillarbox.queue.queue import Queue
from pillarbox.queue.state import FINAL, DeliveryState
from pillarbox.relays.access_tokens import AccessTokens
from pillarbox.relays.change import RelayChange
from pillarbox.relays.registry import Registry
from pillarbox.relays.versions import Decision, Relay
from support.databases import open_database
from support.ledger_relay import LedgerRelay


@dataclass(slots=True)
class House:
    """Everything but the doors."""

    database: Database
    queue: Queue
    registry: Registry
    acceptance: Acceptance
    equipment: Equipment
    bell: Bell

    async def add_relay(self, **fields: Any) -> Relay:
        """A relay that becomes the default."""
        change = RelayChange.read({"name": "test", **fields})
        decision = Decision(change=change, principal=str(OPERATOR), make_default=True)
        return await self.registry.add(decision)

    async def carry_by(self, server: LedgerRelay, **fields: Any) -> Relay:
        """The server as a relay that becomes the default."""
        return await self.add_relay(host="127.0.0.1", port=server.port, tls="none", **fields)

    async def send(self, *to: str, **changes: Any) -> str:
        """Accept a small message; its id."""
        draft = {
            "from_": Mailbox.parse("Shop <shop@x.test>"),
            "to": tuple(map(Mailbox.parse, to)),
            "subject": "hello",
            "text": ".hello\n..world\n",
        } | changes.pop("draft", {})
        submission = Submission(principal=OPERATOR, inlet="python", draft=draft, **changes)
        receipt = await self.acceptance.accept(submission)
        self.bell.ring()
        return receipt.message_id

    async def until(
        self, message_id: str, *, seconds: float = 20, **wanted: DeliveryState
    ) -> Message:
        """The message once it is final, or in the `state` asked for. Raises TimeoutError."""
        states = {wanted["state"]} if "state" in wanted else FINAL
        return await self.when(message_id, lambda message: message.state in states, seconds)

    async def when(
        self, message_id: str, is_so: Callable[[Message], bool], seconds: float = 20
    ) -> Message:
        async with asyncio.timeout(seconds):
            while not is_so(message := await self.queue.message(message_id)):
                await self.equipment.clock.sleep(0.01)
        return message


@asynccontextmanager
async def open_house(
    folder: Path, *, kind: str = "sqlite", clock: Clock | None = None
) -> AsyncIterator[House]:
    """Open what is in the folder, or something new."""
    clock, bell = clock or SystemClock(), Bell()
    ids = Ids(clock)
    async with open_database(kind, folder) as database:
        queue = Queue(database, clock, bell)
        keyring = Keyring.load_or_create(folder / "key")
        registry = Registry(database, keyring, clock, ids)
        tokens = AccessTokens(registry, Tokens(database, keyring, clock, ids), clock)
        await registry.load()
        acceptance = Acceptance(queue, registry, clock, ids)
        equipment = Equipment(queue, registry, clock, ids, "localhost", tokens=tokens)
        yield House(database, queue, registry, acceptance, equipment, bell)


@asynccontextmanager
async def delivering(house: House) -> AsyncIterator[Supervisor]:
    """Carry mail until the block ends."""
    supervisor = Supervisor(house.equipment, house.bell)
    running = asyncio.create_task(supervisor.run(alone=True))
    try:
        yield supervisor
    finally:
        await supervisor.stop()
        await running


async def looked_round(house: House, supervisor: Supervisor, times: int = 5) -> None:
    """Return when the supervisor has looked for due mail so often: by then it has acted."""
    for _ in range(times):
        before = supervisor._looked_at
        while supervisor._looked_at == before:
            house.bell.ring()
            await house.equipment.clock.sleep(0.01)
