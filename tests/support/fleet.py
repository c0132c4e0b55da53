"""Pillarbox as several processes on one PostgreSQL: a front that takes in, workers that carry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import hurried
from support.ledger_relay import LedgerRelay
from support.postgres import Postgres
from support.program import Program, new_program
from support.waiting import until


@dataclass(slots=True)
class Fleet:
    """patience is for hurried.py; without it everything is as installed."""

    folder: Path
    server: Postgres
    url: str
    patience: Mapping[str, float] = field(default_factory=dict)
    front: Program = field(init=False)
    workers: list[Program] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.front = self.new("front")

    def new(self, name: str) -> Program:
        """One more, not started. All have one key to seal with."""
        folder = self.folder / name
        folder.mkdir()
        box = new_program(
            folder,
            PILLARBOX_DATABASE_URL=self.url,
            PILLARBOX_SECRET_KEY_FILE=str(self.folder / "secret.key"),
        )
        if self.patience:
            box.command = hurried.command(self.patience)
        return box

    def start(self, workers: int) -> None:
        self.front.start("--only", "http")
        for number in range(workers):
            worker = self.new(f"worker-{number}")
            worker.start("--only", "worker", wait=False)
            self.workers.append(worker)

    def add_relay(self, relay: LedgerRelay, *settings: str) -> str:
        """The relay as default; a key that the front knows."""
        where = ("--host", "127.0.0.1", "--port", str(relay.port), "--tls", "none", "--default")
        added = self.front.run("relay", "add", "ledger", *where, *settings)
        assert added.returncode == 0, added.stderr
        key = self.front.new_key()
        until(
            lambda: self.front.ask("GET", "/v1/relays/ledger", key=key).status == 200,
            what="the notice of a key and a relay that another process made",
        )
        return key

    def faults(self) -> list[str]:
        """What is wrong with the database: each page that holds a row is read and checked."""
        return self.server.faults(self.url)

    def rows(self, query: str) -> list[Any]:
        """What the database says."""
        return asyncio.run(self.server.execute(query, url=self.url))

    def kill9(self) -> None:
        for box in (self.front, *self.workers):
            box.kill9()


@contextmanager
def fleet(
    folder: Path, *, workers: int, patience: Mapping[str, float] | None = None
) -> Iterator[Fleet]:
    """On a server of its own, which may be stopped."""
    with ExitStack() as stack:
        server = Postgres()
        stack.callback(server.remove)
        server.start()
        ships = Fleet(folder, server, asyncio.run(server.create()), patience or {})
        stack.callback(ships.kill9)
        ships.start(workers)
        yield ships
