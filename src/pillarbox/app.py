"""
Wiring: everything is built once, here, and handed to whoever needs it.

Reading `open_app` from top to bottom is the shortest tour of pillarbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from sqlalchemy import Connection

from pillarbox.accept.accept import Acceptance
from pillarbox.accept.capacity import Capacity
from pillarbox.accept.scopes import Scopes
from pillarbox.access.keys import Keys
from pillarbox.access.tenants import Tenants
from pillarbox.base import home, log, runfile
from pillarbox.base.clock import Clock
from pillarbox.base.config import Config, Listen
from pillarbox.base.db.database import Database
from pillarbox.base.db.location import without_password
from pillarbox.base.db.open import OpenDatabase
from pillarbox.base.db.room import room_of
from pillarbox.base.errors import Unavailable, Unusable
from pillarbox.base.ids import Ids, token
from pillarbox.base.memory import collect_less_often, return_large_blocks
from pillarbox.base.sealing import Keyring
from pillarbox.base.secret import Secret
from pillarbox.delivery.equipment import Equipment
from pillarbox.delivery.supervisor import Supervisor
from pillarbox.delivery.sweeper import Sweeper
from pillarbox.diagnosis.diagnose import Diagnosis
from pillarbox.diagnosis.rounds import Rhythm, Rounds
from pillarbox.diagnosis.surroundings import Surroundings
from pillarbox.inlets.http import server as http
from pillarbox.inlets.http.desk import Desk
from pillarbox.oauth.tokens import Tokens
from pillarbox.queue.queue import Queue
from pillarbox.queue.retention import Retention
from pillarbox.relays.access_tokens import AccessTokens
from pillarbox.relays.connecting import CALLBACK_PATH, Connecting
from pillarbox.relays.connecting import Surroundings as ConsentSurroundings
from pillarbox.relays.ehlo import ehlo_name_from
from pillarbox.relays.registry import Registry
from pillarbox.relays.sharing import Sharing
from pillarbox.relays.upkeep import Upkeep
from pillarbox.relays.versions import Relay, has_secrets
from pillarbox.senders.domains import SenderDomains, has_signing_keys

_LOOK_SECONDS = 10.0  # for what other processes changed, when no notice of it came

PARTS = frozenset({"http", "worker"})
_log = log.logger("app")


@dataclass(frozen=True, slots=True)
class App:
    """A pillarbox that is open: its inlet as an ASGI application, and the operator's token."""

    config: Config
    desk: Desk
    supervisor: Supervisor
    asgi: http.Application
    operator_token: str


@asynccontextmanager
async def open_app(
    config: Config, *, deliver: bool = True, drain_seconds: float = 0
) -> AsyncIterator[App]:
    """
    Open the database, wire everything and, with deliver, carry mail until the block ends.

    drain_seconds is how long what is due at the end of the block may still take to leave.
    Raises Unusable when the database, the key file or the home folder cannot be used.
    """
    async with AsyncExitStack() as stack:
        home.prepare(config)
        database = await stack.enter_async_context(OpenDatabase(config.database))
        keyring = await _keyring(config, database)
        clock, bell, ids = database.clock, database.bell, Ids(database.clock)
        queue = Queue(database, clock, bell)
        registry, keys, tenants, senders = await _loaded(database, keyring, ids)
        ehlo_name = ehlo_name_from(urlsplit(config.public_url).hostname)
        sharing = Sharing(database, clock, ids.new("prc")) if database.is_shared else None
        consents = _consents(config, database, keyring, registry, ids)
        tokens, connecting = await stack.enter_async_context(consents)
        equipment = Equipment(
            queue, registry, clock, ids, ehlo_name, sharing=sharing, tokens=tokens
        )
        supervisor = Supervisor(equipment, bell)
        acceptance = Acceptance(queue, registry, clock, ids, _capacity(config, queue, clock))
        _teach(acceptance, registry, tenants, senders)
        operator_token = token()
        desk = Desk(
            config=config,
            clock=clock,
            database=database,
            queue=queue,
            registry=registry,
            keys=keys,
            tenants=tenants,
            senders=senders,
            acceptance=acceptance,
            diagnosis=Diagnosis(registry, clock, Surroundings(ehlo_name=ehlo_name), tokens),
            connecting=connecting,
            operator_token=Secret(operator_token),
            is_ready=lambda: supervisor.is_alive,
            sessions=equipment.sessions,
        )
        if database.is_shared:
            await stack.enter_async_context(_following(desk))
        if deliver:
            beside = _beside_mail(config, database, queue, desk)
            carrying = _delivering(supervisor, beside, drain_seconds, not database.is_shared)
            await stack.enter_async_context(carrying)
        yield App(config, desk, supervisor, http.build(desk), operator_token)


async def _loaded(
    database: Database, keyring: Keyring, ids: Ids
) -> tuple[Registry, Keys, Tenants, SenderDomains]:
    """What every request asks, read into memory once."""
    clock = database.clock
    registry = Registry(database, keyring, clock, ids)
    keys = Keys(database, clock, ids)
    tenants = Tenants(database, clock, ids)
    senders = SenderDomains(database, keyring, clock, ids)
    await registry.load()
    await keys.load()
    await tenants.load()
    await senders.load()
    return registry, keys, tenants, senders


def _teach(
    acceptance: Acceptance, registry: Registry, tenants: Tenants, senders: SenderDomains
) -> None:
    """Whose mail may go where, and who signs it."""
    acceptance.sign_by(senders.signers)
    acceptance.keep_apart(Scopes(registry, tenants.get))


@asynccontextmanager
async def _consents(
    config: Config, database: Database, keyring: Keyring, registry: Registry, ids: Ids
) -> AsyncIterator[tuple[AccessTokens, Connecting]]:
    """Who gets access tokens and who connects relays; meanwhile consents are looked after."""
    clock = database.clock
    kept = Tokens(database, keyring, clock, ids)
    tokens = AccessTokens(registry, kept, clock)
    around = ConsentSurroundings(
        database=database,
        keyring=keyring,
        clock=clock,
        redirect_uri=config.public_url + CALLBACK_PATH,
    )
    connecting = Connecting(registry, tokens, around)
    upkeep = Upkeep(database, registry, tokens, connecting, clock)
    try:
        async with _beside(upkeep.run(), "consents"):
            yield tokens, connecting
    finally:
        await kept.close()


def _capacity(config: Config, queue: Queue, clock: Clock) -> Capacity:
    has_room = room_of(config.database, clock)
    return Capacity(queue, clock, has_room=has_room, max_waiting=config.max_waiting)


async def _keyring(config: Config, database: Database) -> Keyring:
    """
    A new key only where nothing is sealed yet. Otherwise the file is missing, perhaps for a
    moment, and a new one would make every stored password unreadable for good.
    """
    if not config.key_file.exists() and await database.read(_has_sealed):
        return Keyring.load(config.key_file)
    return Keyring.load_or_create(config.key_file)


def _has_sealed(connection: Connection) -> bool:
    return has_secrets(connection) or has_signing_keys(connection)


async def serve(
    config: Config, on_ready: Callable[[str | None, Relay], None], parts: Collection[str] = PARTS
) -> None:
    """
    Run until SIGTERM or SIGINT: take in, carry, answer. Then finish what was begun.

    parts are `http` and `worker`; on a shared database each may run alone, in any number.
    on_ready is told the address once the port is ours (None without one), and the default
    relay. The inlet stops first, so that nothing is accepted that nobody would look at.
    Raises Unusable when the database can be written no more: who starts it again finds what
    is there.
    """
    return_large_blocks()
    async with open_app(config, deliver="worker" in parts) as app:
        collect_less_often()
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stopping.set)
        failing = asyncio.create_task(_stop_on_failure(app, stopping), name="database watch")
        try:
            if "http" in parts:
                await _answer(app, on_ready, stopping)
            else:
                on_ready(None, app.desk.registry.default())
                _log.info("ready", parts="worker", database=without_password(config.database))
                await stopping.wait()
            _log.info("stopping: finishing what was begun")
        finally:
            failing.cancel()
        if failing.done():
            raise Unusable(f"{failing.result()}. Look at the disk, then start again")


async def _answer(
    app: App, on_ready: Callable[[str | None, Relay], None], stopping: asyncio.Event
) -> None:
    """Listen, say so, and answer until it is time to stop."""
    config = app.config
    inlet = http.Server(app.asgi, config.http)
    url = f"http://{Listen(config.http.reachable, inlet.port)}"
    runfile.announce(config.home, url, app.operator_token)
    on_ready(url, app.desk.registry.default())
    _log.info("ready", http=url, database=without_password(config.database))

    async def stop_inlet() -> None:
        await stopping.wait()
        inlet.stop()

    watching = asyncio.create_task(stop_inlet(), name="signals")
    try:
        await inlet.run()
    finally:
        watching.cancel()
        runfile.withdraw(config.home)


async def _stop_on_failure(app: App, stopping: asyncio.Event) -> str:
    """Stop when the database can be written no more; return why."""
    cause = await app.desk.database.failed()
    _log.critical("stopping: nothing can be stored any more", cause=cause)
    stopping.set()
    return cause


@asynccontextmanager
async def _following(desk: Desk) -> AsyncIterator[None]:
    """Notice what other processes change: at once, or a little later."""

    async def follow() -> None:
        while True:
            await desk.database.changes.wait(_LOOK_SECONDS)
            with contextlib.suppress(Unavailable):
                await desk.registry.refresh()
                await desk.keys.refresh()
                await desk.tenants.load()
                await desk.senders.load()

    async with _beside(follow(), "following other processes"):
        yield


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Run it until the block ends."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


Beside = tuple[str, Coroutine[None, None, None]]


def _beside_mail(config: Config, database: Database, queue: Queue, desk: Desk) -> Sequence[Beside]:
    """What goes on while mail is carried."""
    sweeper = Sweeper(queue, desk.registry, database.clock, Retention())
    rhythm = Rhythm(timedelta(minutes=config.check_relays_minutes))
    rounds = Rounds(database, desk.registry, desk.diagnosis, database.clock, rhythm)
    return (("sweeper", sweeper.run()), ("rounds", rounds.run()))


@asynccontextmanager
async def _delivering(
    supervisor: Supervisor, beside: Sequence[Beside], drain_seconds: float, alone: bool
) -> AsyncIterator[None]:
    """Carry mail until the block ends well, and what is due then for a while longer."""
    carrying = asyncio.create_task(supervisor.run(alone=alone), name="supervisor")
    others = [asyncio.create_task(work, name=name) for name, work in beside]
    try:
        yield
        if drain_seconds:
            await supervisor.drain(drain_seconds)
    finally:
        for other in others:
            other.cancel()
        await supervisor.stop()
        await asyncio.gather(carrying, *others, return_exceptions=True)
