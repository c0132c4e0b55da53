"""Diagnoses of servers on this machine, which have names of their own and little patience."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

from pillarbox.base import dns
from pillarbox.base.clock import SystemClock
from pillarbox.diagnosis.diagnose import Diagnosis
from pillarbox.diagnosis.findings import Report, Status, Step
from pillarbox.diagnosis.ports import Door
from pillarbox.diagnosis.surroundings import Surroundings
from pillarbox.mail.address import Address
from pillarbox.mail.outcome import Stage
from pillarbox.relays.change import RelayChange
from pillarbox.relays.registry import Registry
from pillarbox.smtp.endpoint import Deadlines

IMPATIENT = Deadlines(connect=2, greeting=0.5, command=2)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Clinic:
    """
    Names that exist here and their addresses, doors to look behind, and names looked up.

    With a lookup its A and AAAA records are the addresses, and hosts is for nothing.
    """

    hosts: dict[str, str] = field(default_factory=dict)
    doors: Sequence[Door] = ()
    patience: Deadlines = IMPATIENT
    asked: list[str] = field(default_factory=list)
    lookup: dns.Lookup | None = None

    def diagnosis(self, registry: Registry | None = None) -> Diagnosis:
        around = Surroundings(resolver=self.resolve, doors=self.doors, patience=self.patience)
        return Diagnosis(cast("Registry", registry), SystemClock(), around)

    async def diagnose(
        self, typed: dict[str, Any], *, sender: str | None = None, to: str | None = None
    ) -> Report:
        """Of typed values. Whatever comes of it can be written as JSON."""
        report = await self.diagnosis().of_change(
            RelayChange.read(typed),
            mail_from=Address.parse(sender) if sender else None,
            rcpt_to=Address.parse(to) if to else None,
        )
        json.dumps(report.to_json())
        return report

    async def resolve(self, host: str) -> list[str]:
        self.asked.append(host)
        if self.lookup:
            return [*await self.lookup(host, "AAAA"), *await self.lookup(host, "A")]
        if host not in self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.hosts[host].split()


async def no_names(host: str) -> list[str]:
    """A resolver where nothing but literal addresses leads anywhere."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def no_records(name: str, kind: dns.Kind) -> tuple[str, ...]:
    """A name server that knows nobody."""
    return ()


OFF_THE_NET = Surroundings(resolver=no_names, lookup=no_records)
"""Where a test asks for a diagnosis that must not leave this machine."""


def failing(report: Report, stage: Stage) -> Step:
    """The one step that failed. It is at this stage, and everything after it was skipped."""
    assert not report.is_well
    statuses = [step.status for step in report.steps]
    place = statuses.index(Status.FAIL)
    step = report.steps[place]
    assert step.stage is stage, step
    before = {each.stage for each in report.steps[:place] if each.status is Status.SKIP}
    assert before <= {Stage.TLS}  # skipped where tls is none
    assert set(statuses[place + 1 :]) <= {Status.SKIP}
    return step


def step(report: Report, stage: Stage) -> Step:
    """The first step of this stage."""
    return next(step for step in report.steps if step.stage is stage)


@asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of our own on 127.0.0.1; its port. All its connections end with the block."""
    talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        talks[talk] = writer
        with suppress(ConnectionError, ssl.SSLError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(until_gone, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in talks.values():
            if not writer.transport.is_closing():  # Python 3.11.2 cannot abort twice
                writer.transport.abort()
        await asyncio.gather(*talks)


def saying(greeting: str) -> Serve:
    """Greets, and then listens without answering."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting.encode())
        await reader.read()

    return serve
