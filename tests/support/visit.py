"""A browser at the console, which notes what a good page does not do."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Page

from support.desk import Counter


class Visit:
    """Opens pages; `complaints` are of the browser, and of requests to elsewhere."""

    def __init__(self, counter: Counter, url: str, context: BrowserContext) -> None:
        self.counter = counter
        self.url = url
        self._context = context
        self.complaints: list[str] = []

    async def open(self, path: str) -> Page:
        """A page of the console, once it is loaded."""
        page = await self._context.new_page()
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda asked: self._note_foreign(asked.url))
        await page.goto(f"{self.url}{path}", wait_until="load")
        return page

    def _note_foreign(self, url: str) -> None:
        if not url.startswith((self.url, "data:")):
            self.complaints.append(f"asked for {url}")
