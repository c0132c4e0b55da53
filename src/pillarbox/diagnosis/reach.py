"""
Each address of a host, tried by itself: a dead one hides behind one that works.

A session takes the first address that answers (RFC 8305), so nobody notices the others until
the one that works is gone.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pillarbox.base import dial
from pillarbox.base.clock import Clock
from pillarbox.base.dial import Destination, Knock
from pillarbox.diagnosis.case import Case
from pillarbox.diagnosis.findings import Step, Tried, warned
from pillarbox.diagnosis.visit import Visit, step_of
from pillarbox.mail.outcome import Stage

REACH_SECONDS = 3.0  # all are tried side by side

_DEAD = frozenset({Knock.REFUSED, Knock.SILENT, Knock.UNREACHABLE})
_FIX = {
    Knock.REFUSED: "Nothing listens there: have its operator start the server on that address,"
    " or take the address out of DNS.",
    Knock.SILENT: "A session may wait for it in vain: look for a firewall on the way, here or"
    " there, or have its operator take the address out of DNS.",
    Knock.UNREACHABLE: "Look at the routes of this machine, or have its operator take the address"
    " out of DNS.",
}


async def reach(case: Case, seen: Visit, clock: Clock) -> tuple[Tried, ...]:
    """
    What each address does, in the order in which they are tried; () if that says nothing.

    The one that the visit went to is not asked again. Through a proxy nobody but the proxy
    knows.
    """
    addresses = _found(seen)
    if case.endpoint.proxy or case.question.is_brief or len(addresses) < 2:
        return ()
    destination = Destination(
        host=case.endpoint.host,
        port=case.endpoint.port,
        local_address=case.endpoint.local_address,
        seconds=REACH_SECONDS,
    )
    used = seen.connection.ip if seen.connection else None

    async def attempt(ip: str) -> Tried:
        if ip == used:
            waited = seen.transcript.milliseconds().get(Stage.CONNECT)
            return Tried(ip=ip, knock=Knock.OPEN, milliseconds=waited)
        began = clock.monotonic()
        found = await dial.knock(destination, ipaddress.ip_address(ip))
        return Tried(ip=ip, knock=found, milliseconds=(clock.monotonic() - began) * 1000)

    return tuple(await asyncio.gather(*map(attempt, addresses)))


def with_addresses(steps: Sequence[Step], tried: tuple[Tried, ...]) -> tuple[Step, ...]:
    """The same steps; the one that connects knows every address, and warns of dead ones."""
    return tuple(
        _told(step, tried) if step.stage is Stage.CONNECT and tried else step for step in steps
    )


def _told(step: Step, tried: tuple[Tried, ...]) -> Step:
    step = replace(step, addresses=tried)
    if any(each.knock is Knock.OPEN for each in tried):
        for cause, fix in _cautions(tried):
            step = warned(step, cause, fix)
    return step


def _cautions(tried: Sequence[Tried]) -> Iterator[tuple[str, str]]:
    """
    A cause and a fix for each way of being dead.

    Without a route to a family nothing is lost: the next address is tried in the same moment.
    That is a fact about many machines, and shown, but no reason to warn.
    """
    open_families = {each.family for each in tried if each.knock is Knock.OPEN}
    for knock in Knock:
        dead = [each for each in tried if each.knock is knock and knock in _DEAD]
        if not dead:
            continue
        shown = " and ".join(each.ip for each in dead)
        gone = {each.family for each in dead} - open_families
        over = f": only {min(open_families)} works, not {min(gone)}" if gone else ""
        yield f"{_DOES[knock].format(shown, s='s' * (len(dead) == 1))}{over}.", _FIX[knock]


_DOES = {
    Knock.REFUSED: "{0} refuse{s} connections",
    Knock.SILENT: "No answer from {0}",
    Knock.UNREACHABLE: "{0} cannot be reached",
}


def _found(seen: Visit) -> list[str]:
    """The checked addresses, as they were noted. None, if the name led nowhere."""
    if seen.failed and step_of(seen.failed.stage) is Stage.DNS:
        return []
    return (seen.noted(Stage.DNS) or "").split(", ")
