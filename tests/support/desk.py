"""A desk with a real database, for tests of the HTTP inlet, and a client that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from pillarbox.accept.accept import Acceptance
from pillarbox.access.keys import Keys
from pillarbox.access.principal import OPERATOR
from pillarbox.access.tenants import Tenants
from pillarbox.base.clock import Clock
from pillarbox.base.config import Config
from pillarbox.base.db.bell import Bell
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import Keyring
from pillarbox.base.secret import Secret
from pillarbox.diagnosis.diagnose import Diagnosis
from pillarbox.diagnosis.surroundings import Surroundings
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.server import build
from pillarbox.oauth.tokens import Tokens
from pillarbox.queue.browse import Page
from pillarbox.queue.queue import Queue
from pillarbox.relays.access_tokens import AccessTokens
from pillarbox.relays.connecting import Connecting
from pillarbox.relays.connecting import Surroundings as ConsentSurroundings
from pillarbox.relays.registry import Registry
from pillarbox.senders.domains import SenderDomains
from support.clinic import OFF_THE_NET
from support.clocks import HandClock
from support.databases import open_database

OPERATOR_TOKEN = "operator-token-for-tests"
HELLO = {"from": "ann@example.org", "to": "bob@example.org", "subject": "Hi", "text": "Hello"}


@dataclass(slots=True)
class Counter:
    """The application, and somebody who asks it with a key."""

    desk: Desk
    app: FastAPI
    clock: Clock
    key: str
    client: httpx2.AsyncClient
    is_ready: list[bool] = field(default_factory=lambda: [True])

    async def ask(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        content: bytes | str | None = None,
        **headers: str,
    ) -> httpx2.Response:
        """One request with the key; header names with _ for -. An empty value leaves one out."""
        sent = {"authorization": f"Bearer {self.key}"}
        sent |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if value}
        if content is not None:
            sent.setdefault("content-type", "application/json")
            return await self.client.request(method, path, content=content, headers=sent)
        return await self.client.request(method, path, json=json, headers=sent)

    async def count(self) -> int:
        """How many messages are stored."""
        found, _ = await self.desk.queue.messages(Page(limit=100))
        return len(found)


@asynccontextmanager
async def open_counter(
    folder: Path, clock: Clock | None = None, around: Surroundings = OFF_THE_NET
) -> AsyncIterator[Counter]:
    """Everything from the route to the file, except what carries mail."""
    clock = clock or HandClock()
    async with open_database("sqlite", folder) as database:
        ids = Ids(clock)
        queue = Queue(database, clock, Bell())
        keyring = Keyring.load_or_create(folder / "secret.key")
        registry = Registry(database, keyring, clock, ids)
        access_tokens = AccessTokens(registry, Tokens(database, keyring, clock, ids), clock)
        keys = Keys(database, clock, ids)
        tenants = Tenants(database, clock, ids)
        await registry.load()
        await keys.load()
        senders = SenderDomains(database, keyring, clock, ids)
        await senders.load()
        is_ready = [True]
        desk = Desk(
            config=Config(home=folder),
            clock=clock,
            queue=queue,
            registry=registry,
            keys=keys,
            tenants=tenants,
            senders=senders,
            acceptance=Acceptance(queue, registry, clock, ids),
            diagnosis=Diagnosis(registry, clock, around, access_tokens),
            connecting=Connecting(
                registry,
                access_tokens,
                ConsentSurroundings(
                    database=database,
                    keyring=keyring,
                    clock=clock,
                    redirect_uri="http://127.0.0.1:8425/oauth/callback",
                ),
            ),
            database=database,
            operator_token=Secret(OPERATOR_TOKEN),
            is_ready=lambda: is_ready[0],
        )
        desk.acceptance.sign_by(senders.signers)
        desk.acceptance.keep_apart(desk.scopes)
        app = build(desk)
        _, key = await keys.create("tests", OPERATOR)
        async with client_of(app) as client:
            yield Counter(desk, app, clock, key, client, is_ready)


def client_of(
    app: FastAPI, *, host: str = "127.0.0.1:8425", peer: str = "127.0.0.1"
) -> httpx2.AsyncClient:
    """Somebody at this address who asks for this host."""
    transport = httpx2.ASGITransport(app=app, client=(peer, 40000), raise_app_exceptions=True)
    return httpx2.AsyncClient(transport=transport, base_url=f"http://{host}")
