"""The console on a real port, and Debian's Chromium to look at it with."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from pillarbox.base.clock import SystemClock
from pillarbox.base.config import Listen
from pillarbox.inlets.http.server import Server
from support.desk import open_counter
from support.visit import Visit

CHROMIUM = shutil.which("chromium")


@asynccontextmanager
async def _browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
async def visit(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Visit]:
    """A visit; parametrize indirectly with options of a browser context."""
    if CHROMIUM is None:
        pytest.fail("chromium is not installed: run `sudo sh scripts/install-test-peers`")
    options = getattr(request, "param", {})
    async with open_counter(tmp_path, SystemClock()) as counter:
        server = Server(counter.app, Listen("127.0.0.1", 0))
        running = asyncio.create_task(server.run())
        try:
            async with _browser() as browser:
                context = await browser.new_context(**options)
                yield Visit(counter, f"http://127.0.0.1:{server.port}", context)
                await context.close()
        finally:
            server.stop()
            await running
