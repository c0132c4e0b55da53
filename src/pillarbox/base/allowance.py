"""What large things may take of the memory at one moment; who needs more than is left waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Allowance:
    """
    So many octets. They are given in the order in which they were asked for, so that many who
    need little do not keep somebody waiting who needs much.
    """

    def __init__(self, octets: int) -> None:
        self._most = octets
        self._left = octets
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, octets: int) -> AsyncIterator[None]:
        """Wait for them, and keep them while the block lasts. More than all of them is all."""
        wanted = min(octets, self._most)
        await self._take(wanted)
        try:
            yield
        finally:
            self._give_back(wanted)

    async def _take(self, wanted: int) -> None:
        if wanted <= self._left and not self._line:
            self._left -= wanted
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(wanted)  # it was ours already
            else:
                self._line.remove((wanted, turn))
                self._call()
            raise

    def _give_back(self, octets: int) -> None:
        self._left += octets
        self._call()

    def _call(self) -> None:
        """Those at the head of the line for whom there is enough."""
        while self._line and self._line[0][0] <= self._left:
            wanted, turn = self._line.popleft()
            if not turn.done():
                self._left -= wanted
                turn.set_result(None)
