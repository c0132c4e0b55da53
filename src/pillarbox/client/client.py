"""
The Python API: the same calls in this process or against a server.

    async with Pillarbox("sqlite:///mail.db") as box:
        message = await box.send(to="ann@example.org", subject="Hello", text="Hello, Ann.")
        message = await box.messages.wait(message.id)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, Unpack

from pillarbox.base import config as configuration
from pillarbox.base.clock import Clock, SystemClock
from pillarbox.base.config import Config
from pillarbox.base.errors import Conflict, Invalid, PillarboxError
from pillarbox.base.http import Http
from pillarbox.client import local
from pillarbox.client.answers import Event, Message
from pillarbox.client.calls import (
    Domains,
    Journal,
    Keys,
    Messages,
    Providers,
    Restored,
    Routes,
)
from pillarbox.client.connection import Connection, not_there
from pillarbox.client.fields import MessageFields
from pillarbox.client.following import follow
from pillarbox.client.portal import T
from pillarbox.client.relay_calls import Relays
from pillarbox.client.tenant_calls import Tenants

if TYPE_CHECKING:  # whoever talks to a server needs no database library
    from sqlalchemy import Connection as SqlConnection

    from pillarbox.app import App


class Pillarbox:
    """
    A pillar box to drop mail in, as an async context manager.

    `Pillarbox("https://mail.example.org", key="pb_…")` is a server. `Pillarbox()` is the home
    of the configuration, `Pillarbox("sqlite:///mail.db")` a database: through the server that
    runs on it, or in this process, which then carries the mail while the box is open.
    `deliver=False` leaves that to somebody else.
    """

    def __init__(
        self,
        where: str | Config | None = None,
        *,
        key: str | None = None,
        deliver: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._where = where
        self._key = key
        self._deliver = deliver
        self._clock: Clock = clock or SystemClock()
        self._open = AsyncExitStack()
        self._app: App | None = None
        self.server_url: str | None = None
        """Where the server that answers is; None when this process answers."""

    if not TYPE_CHECKING:  # for people who forget to open it; a checker would believe any name

        def __getattr__(self, name: str) -> Any:
            raise not_there(self, name, "async with Pillarbox(…) as box")

    async def __aenter__(self) -> Self:
        connection = self._connection = Connection(await self._http(), self._clock)
        self.messages = Messages(connection)
        self.relays = Relays(connection)
        self.routes = Routes(connection)
        self.domains = Domains(connection)
        self.keys = Keys(connection)
        self.tenants = Tenants(connection)
        self.journal = Journal(connection)
        self.providers = Providers(connection)
        self.restored = Restored(connection)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def send(self, **message: Unpack[MessageFields]) -> Message:
        """
        Hand over a message. It is stored when this returns, and is not lost any more.

        Raises Rejected with every problem, Unavailable when it could not be stored.
        """
        return await self.messages.send(message)

    async def send_many(
        self, messages: Sequence[MessageFields], *, idempotency_key: str | None = None
    ) -> Sequence[Message | PillarboxError]:
        """
        Hand over up to 100 messages at once; for each the stored message, or its error.

        Raises as `messages.send_many` does.
        """
        return await self.messages.send_many(messages, idempotency_key=idempotency_key)

    async def in_transaction(self, work: Callable[[SqlConnection], T]) -> T:
        """
        Run work in one transaction of the database, and commit.

        work is a function of a SQLAlchemy Connection, for statements of your own and for
        `pillarbox.enqueue`: what it raises undoes both. It must not wait for anything else,
        and it may be run again when another transaction was faster. Raises Conflict when a
        server answers for the database: then use a connection of your own (PostgreSQL).
        """
        if self._app is None:
            raise Conflict(
                f"{self.server_url} has the database, not this process; on PostgreSQL, use "
                "pillarbox.enqueue with a connection of your own"
            )
        from pillarbox.client.outbox import transact

        return await transact(self._app, work)

    async def events(self, *, after: int | None = None) -> AsyncIterator[Event]:
        """
        Everything that happens from now on, or after the event with this id; without end.

        A server that goes away is waited for; no event is missed and none comes twice.
        Raises Unavailable when it cannot be reached to begin with.
        """
        async for event in follow(self._connection, after):
            yield event

    async def _http(self) -> Http:
        if isinstance(self._where, str) and self._where.startswith(("http://", "https://")):
            return await self._reach(self._where, self._key)
        if self._key is not None:
            raise Invalid("a key goes with a server's address", field="key")
        config = self._config()
        if server := await local.find_server(config, self._clock):
            return await self._reach(server.url, server.token)
        inside = local.in_process(config, deliver=self._deliver)
        http, self._app = await self._open.enter_async_context(inside)
        return http

    async def _reach(self, url: str, key: str | None) -> Http:
        self.server_url = url
        return await self._open.enter_async_context(local.remote(url, key))

    def _config(self) -> Config:
        if isinstance(self._where, Config):
            return self._where
        config = configuration.load()
        return config if self._where is None else local.config_for(self._where, config)
