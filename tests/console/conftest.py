"""The console on a real port, and Debian's Chromium to look at it with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.config import Listen
from pillarbox.inlets.http.server import Server
from support.browser import chromium
from support.desk import open_counter
from support.visit import Visit


@pytest.fixture
async def visit(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Visit]:
    """A visit; parametrize indirectly with options of a browser context."""
    options = getattr(request, "param", {})
    async with open_counter(tmp_path, SystemClock()) as counter:
        server = Server(counter.app, Listen("127.0.0.1", 0))
        running = asyncio.create_task(server.run())
        try:
            async with chromium() as browser:
                context = await browser.new_context(**options)
                yield Visit(counter, f"http://127.0.0.1:{server.port}", context)
                await context.close()
        finally:
            server.stop()
            await running
