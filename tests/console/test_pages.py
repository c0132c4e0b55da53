"""The console in a real browser: what people see, and what foreign mail cannot do to them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support import carried
from support.desk import HELLO
from support.visit import Visit

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mP8z8BQz0AEYBxVSF+FABJADveWkH6o"
    "AAAAAElFTkSuQmCC"
)
HOSTILE = """\
<html><head><title>t</title><meta http-equiv="refresh" content="0;url=https://evil.example/">
<base href="https://evil.example/"><link rel="stylesheet" href="https://evil.example/a.css">
<style>@import url(https://evil.example/b.css); p{background:url(https://evil.example/c.png)}</style>
</head><body onload="top.document.title='pwned'">
<script>top.document.title = 'pwned'; document.body.innerHTML = 'pwned'</script>
<img src="https://evil.example/pixel.gif" onerror="top.document.title='pwned'">
<img src="x" onerror="top.document.title='pwned'"><svg onload="top.document.title='pwned'"></svg>
<a id="out" href="javascript:top.document.title='pwned'">out</a>
<iframe srcdoc="<script>top.document.title='pwned'</script>"></iframe>
<form action="https://evil.example/"><input name="a" autofocus onfocus="alert(1)"></form>
<object data="https://evil.example/"></object><embed src="https://evil.example/">
<p style="color: red">Hello <b>Bob</b></p><img id="logo" src="cid:logo" width="10" height="10">
</body></html>
"""

DARK = {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}}


async def send(visit: Visit, **fields: Any) -> str:
    got = await visit.counter.ask("POST", "/v1/messages", HELLO | fields)
    assert got.status_code == 202, got.text
    return str(got.json()["id"])


async def captured(visit: Visit, **fields: Any) -> str:
    """A message that the sandbox has taken."""
    message_id = await send(visit, **fields)
    desk = visit.counter.desk
    sandbox = desk.registry.get("sandbox")
    await carried.carry(desk.queue, desk.clock, sandbox.id, carried.CAPTURED)
    return message_id


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Somewhere that hostile mail would like to reach, and everything that reached it."""
    calls: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(await reader.readline())
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", calls


async def filled(visit: Visit) -> dict[str, str]:
    """A bit of everything, with texts as long as they come. Paths by name."""
    desk = visit.counter.desk
    long = "word" * 60 + " and more words" * 40
    first = await captured(visit, subject=long, html="<p>Hi</p>", to=f"{'x' * 64}@example.org")
    relay = {"name": "office", "host": "mail.example.org", "auth": "none", "from": "a@b.example"}
    made = (await visit.counter.ask("POST", "/v1/relays", relay)).json()
    failed = await send(visit, relay="office", to=["bob@example.org", "cy@example.org"])
    await carried.carry(
        desk.queue, desk.clock, made["id"], carried.NO_SUCH_USER, advice="recipient.unknown"
    )
    await send(visit, relay="office", subject="Greylisted")
    await carried.carry(desk.queue, desk.clock, made["id"], carried.GREYLISTED)
    return {
        "overview": "/",
        "captured": "/captured",
        "relays": "/relays",
        "mail": f"/captured/{first}",
        "text": f"/captured/{first}?view=text",
        "message": f"/messages/{failed}",
        "docs": "/docs",
    }


async def test_an_empty_console_says_what_to_type(visit: Visit) -> None:
    """A newcomer sees the next command on each page."""
    for path, command in (("/", "send"), ("/captured", "send"), ("/relays", "relay add")):
        page = await visit.open(path)
        assert f"pillarbox {command}" in await page.inner_text("pre")
    assert visit.complaints == []


@pytest.mark.parametrize("visit", [{}, DARK, PHONE], ids=["desk", "dark", "phone"], indirect=True)
async def test_pages_are_well_made(visit: Visit) -> None:
    """No complaint, nothing from elsewhere, nothing wider than the screen, and readable."""
    for name, path in (await filled(visit)).items():
        page = await visit.open(path)
        assert await page.evaluate(WIDER) == [], name
        assert await page.evaluate(FAINT) == [], name
        assert await page.evaluate(UNNAMED) == [], name
        assert await page.evaluate("document.querySelectorAll('h1').length") == 1, name
        assert await page.evaluate("document.documentElement.lang") == "en"
        await page.close()
    assert visit.complaints == []


async def test_the_overview_leads_to_the_whole_story(visit: Visit) -> None:
    """From a failed message in the list to what the relay said, and what to do."""
    await filled(visit)
    page = await visit.open("/?state=failed")
    await page.click("a.subject")

    shown = await page.inner_text("main")

    assert "550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown" in shown
    assert "There is no such mailbox." in shown
    assert "C: RCPT TO:<bob@example.org>" in shown
    assert "2 recipients" in shown


async def test_pages_work_without_a_script(visit: Visit) -> None:
    """There is none: the policy would not let it run."""
    message_id = await captured(visit)
    page = await visit.open(f"/captured/{message_id}")

    assert await page.evaluate("document.scripts.length") == 0


async def test_captured_mail_is_shown_as_its_reader_sees_it(visit: Visit) -> None:
    """HTML in a frame with its own picture, text, headers, and files to save."""
    pdf = base64.b64encode(b"%PDF").decode()
    logo = {"filename": "logo.png", "content": PNG, "content_id": "logo"}
    message_id = await captured(
        visit, html=HOSTILE, attachments=[logo, {"filename": "größe.html", "content": pdf}]
    )
    page = await visit.open(f"/captured/{message_id}")
    frame = page.frame_locator("iframe.frame")

    assert await frame.locator("p b").inner_text() == "Bob"
    width = "picture => picture.naturalWidth"
    assert await frame.locator("img[src^='data:image/png']").evaluate(width) == 10
    async with page.expect_download() as saving:
        await page.click("text=größe.html")
    assert (await saving.value).suggested_filename == "größe.html"
    await page.click("text=Headers")
    assert "Message-ID: <msg_" in await page.inner_text("main")
    await page.click("text=Text")
    assert "Hello" in await page.inner_text(".reading")


async def test_foreign_html_can_do_nothing(visit: Visit) -> None:
    """No script, no request, no navigation: the page around it stays as it was."""
    async with listener() as (place, calls):
        message_id = await captured(visit, html=HOSTILE.replace("https://evil.example", place))
        page = await visit.open(f"/captured/{message_id}")
        frame = page.frame_locator("iframe.frame")
        await frame.locator("a").first.click()
        await page.wait_for_load_state("networkidle")

    assert "pwned" not in await page.title()
    assert "pwned" not in await frame.locator("body").inner_text()
    assert await page.locator("iframe.frame").get_attribute("sandbox") == ""
    assert calls == []
    assert page.url.endswith(message_id)


async def test_the_frame_alone_can_do_nothing_either(visit: Visit) -> None:
    """Opened on its own, the policy of the answer still holds."""
    async with listener() as (place, calls):
        message_id = await captured(visit, html=HOSTILE.replace("https://evil.example", place))
        page = await visit.open(f"/captured/{message_id}/body")
        await page.wait_for_load_state("networkidle")

    assert await page.title() == "Message"
    assert page.url.endswith("/body")
    assert calls == []


async def test_words_of_strangers_are_words(visit: Visit) -> None:
    """Subjects, names and answers of relays are text on every page."""
    trick = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    message_id = await captured(visit, subject=trick, tags=["a"], metadata={"note": trick})

    for path in ("/", "/captured", f"/captured/{message_id}", f"/messages/{message_id}"):
        page = await visit.open(path)
        assert trick in await page.inner_text("main")
    assert visit.complaints == []


async def test_a_link_that_leads_nowhere(visit: Visit) -> None:
    """A page that says so, with a way back."""
    page = await visit.open("/messages/msg_nothing")

    assert "There is nothing here" in await page.inner_text("main")


WIDER = """() => document.documentElement.scrollWidth > document.documentElement.clientWidth
  ? ['the page scrolls sideways'] : []"""

UNNAMED = """() => [...document.querySelectorAll('a, button, iframe, img')]
  .filter(each => !(each.innerText || each.title || each.hasAttribute('alt')
    || each.getAttribute('aria-label') || '').toString().trim()
    && !each.hasAttribute('alt') && !each.querySelector('img[alt]'))
  .map(each => each.outerHTML.slice(0, 80))"""

# WCAG 2.2 §1.4.3: text has a contrast of at least 4.5 to what is behind it.
FAINT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color, under) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = `rgb(${under.join(',')})`; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v =>
      v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    const chain = [];
    for (let each = element; each; each = each.parentElement) chain.unshift(each);
    return chain.reduce((under, each) => rgba(getComputedStyle(each).backgroundColor, under),
      [255, 255, 255]);
  };
  const faint = [];
  for (const each of document.querySelectorAll('body *')) {
    const own = [...each.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !each.checkVisibility() || each.closest('.skip')) continue;
    const under = behind(each);
    const a = light(rgba(getComputedStyle(each).color, under)), b = light(under);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${each.outerHTML.slice(0, 80)}`);
  }
  return faint;
}"""
