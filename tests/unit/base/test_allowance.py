"""Octets of memory for large things: in line, never more than there are, none lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pillarbox.base.allowance import Allowance


class Holder:
    """Somebody who asks for octets, and keeps them until told."""

    def __init__(self, allowance: Allowance, octets: int) -> None:
        self._allowance, self._octets = allowance, octets
        self._over = asyncio.Event()
        self.has_it = False
        self.task = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        async with self._allowance.hold(self._octets):
            self.has_it = True
            await self._over.wait()
        self.has_it = False

    async def end(self) -> None:
        self._over.set()
        await self.task
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def asked(allowance: Allowance, *octets: int) -> list[Holder]:
    holders = [Holder(allowance, each) for each in octets]
    await settle()
    return holders


async def test_who_comes_first_is_served_first() -> None:
    """Also when a later one would fit: many small ones must not starve a large one."""
    allowance = Allowance(10)
    first, large, small = await asked(allowance, 6, 8, 1)
    assert [each.has_it for each in (first, large, small)] == [True, False, False]

    await first.end()
    assert [large.has_it, small.has_it] == [True, True]


async def test_more_than_there_is_is_all_of_it() -> None:
    allowance = Allowance(10)
    giant, other = await asked(allowance, 1000, 1)
    assert [giant.has_it, other.has_it] == [True, False]

    await giant.end()
    assert other.has_it


async def test_who_gives_up_costs_nobody_anything() -> None:
    """In the middle of the line, at its head, and at the moment in which the turn came."""
    allowance = Allowance(10)
    first, head, middle, last = await asked(allowance, 10, 9, 5, 5)
    middle.task.cancel()
    await settle()
    head.task.cancel()
    await settle()
    assert not last.has_it
    await first.end()
    assert last.has_it

    (next_,) = await asked(allowance, 10)
    last._over.set()
    await asyncio.sleep(0)
    next_.task.cancel()
    with suppress(asyncio.CancelledError):
        await next_.task
    await settle()
    (all_of_it,) = await asked(allowance, 10)
    assert all_of_it.has_it


async def test_who_fails_gives_back() -> None:
    allowance = Allowance(10)
    with suppress(ValueError):
        async with allowance.hold(10):
            raise ValueError
    (after,) = await asked(allowance, 10)
    assert after.has_it
