"""Debian's Chromium, without a window, and what a person does in it at an authorization server."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
_LOCAL = ("http://127.0.0.1", "http://localhost", "https://127.0.0.1", "https://localhost")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser, until the block ends."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is not installed: run `sudo sh scripts/install-test-peers`")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def person() -> AsyncIterator[Page]:
    """An empty page of somebody who is signed in nowhere and sees nothing but this machine."""
    async with chromium() as browser:
        context = await browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(15_000)
        await _keep_local(context)
        yield await context.new_page()
        await context.close()


async def sign_in(page: Page, account: str) -> None:
    """Type the address and a password, if the server asks who it is."""
    name = page.get_by_placeholder("Enter any login")
    if await name.count():
        await name.fill(account)
        await page.get_by_placeholder("and password").fill("any")
        await page.get_by_role("button", name="Sign-in").click()


async def allow(page: Page, account: str) -> None:
    """Sign in and say yes to everything that is asked for, until the server sends us away."""
    await sign_in(page, account)
    await page.get_by_role("button", name="Continue").click()


async def refuse(page: Page, account: str) -> None:
    """Sign in and say no."""
    await sign_in(page, account)
    await page.get_by_role("link", name="[ Cancel ]").click()


async def enter_code(page: Page, verification_url: str, user_code: str) -> None:
    """
    What a person does with the code of a device, up to the question who they are.

    An address with the code in it spares the typing (RFC 8628 §3.3.1).
    """
    await page.goto(verification_url)
    if user_code not in verification_url:
        await page.get_by_role("textbox").fill(user_code)
        await page.get_by_role("button", name="Continue").click()
    await page.get_by_text("Confirm Device").wait_for()
    await page.get_by_role("button", name="Continue").click()


async def _keep_local(context: BrowserContext) -> None:
    """The pages ask for fonts of other hosts; nobody waits for those."""

    async def decide(route: Route) -> None:
        await (route.continue_() if route.request.url.startswith(_LOCAL) else route.abort())

    await context.route("**/*", decide)
