"""
Traps that other systems' mail settings fell into, one test with the name of each.

`TRAPS` lists them all, as users reported them. A trap of something that pillarbox does not do
yet says what that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import Failed, Loss, Lost, Stage
from pillarbox.queue.state import DeliveryState
from pillarbox.relays.ehlo import ehlo_name_from
from pillarbox.smtp.endpoint import Deadlines, Endpoint, TlsMode
from pillarbox.smtp.session import Session, open_session
from pillarbox.smtp.transcript import Transcript
from support.clinic import Clinic, failing, saying, serving
from support.clocks import SetClock
from support.counting_relay import counting_relay
from support.desk import HELLO, Counter, open_counter
from support.house import delivering, looked_round, open_house

TRAPS = {
    "timeout that covers reads only": "timeout_that_covers_reads_only",
    "STARTTLS silently skipped": "starttls_silently_skipped",
    "port 0 default": "port_0_default",
    "whole-form reset when switching to Custom": "whole_form_reset_when_switching_to_custom",
    "GET leaking secrets": "get_leaking_secrets",
    "PATCH that drops a secret because it was omitted": "patch_that_drops_an_omitted_secret",
    "empty string removed from config": "empty_string_removed_from_config",
    "null numbers rejected": "null_numbers_rejected",
    "test using stored instead of typed values": "test_using_stored_instead_of_typed_values",
    "test only to oneself": "test_only_to_oneself",
    "rate-limited mail lost": "rate_limited_mail_lost",
    "reply-to leaking from another record": "reply_to_leaking_from_another_record",
    "success shown when nothing was sent": "success_shown_when_nothing_was_sent",
    "health check green on any banner": "health_check_green_on_any_banner",
    "link built from request Host header": "link_built_from_request_host_header",
    "default sample sender counting as configured": "default_sample_sender_counts",
    "security mail sent after the code expired": "security_mail_sent_after_the_code_expired",
    "non-ASCII EHLO name": "non_ascii_ehlo_name",
    "login name not an address used as From": "login_name_used_as_from",
    "secrets in exports": "secrets_in_exports",
}
ELSEWHERE = {
    "token not shared over cluster nodes": "journeys/test_consent_to_mail.py::"
    "test_eight_processes_refresh_a_token_once",
    "refresh without safety margin": "unit/oauth/test_answers_of_providers.py::"
    "test_a_token_is_renewed_five_minutes_early",
    "provider error callback unhandled": "integration/oauth/test_consent_over_http.py::"
    "test_whoever_says_no_is_told_what_that_means",
    "state cookie but no PKCE": "integration/oauth/test_consent_over_http.py::"
    "test_a_consent_by_browser",
    "90-day clock not started at first consent": "integration/oauth/"
    "test_consents_that_go_wrong.py::test_people_are_told_before_something_ends",
}
LATER = {
    "invitation rolled back or user deleted because mail failed": "accounts",
    "HTML injection through names in templates": "templates",
}
CANARY = "canary-5d1f-secret"
OFFICE = {
    "name": "office",
    "host": "mail.example.org",
    "username": "ann",
    "password": CANARY,
    "from": "Ann <ann@example.org>",
}
ENVELOPE = Envelope(None, (Address.parse("ann@example.test"),))
LARGE = Content.pass_gate(b"Subject: hi\r\n\r\n" + (b"x" * 900 + b"\r\n") * 30_000)
SHORT = Deadlines(greeting=2, command=2, data=2, block=0.3, final=30)


def test_every_trap_has_its_test() -> None:
    """27 of them; none is forgotten, and none is called done that has no test."""
    assert len(TRAPS) + len(ELSEWHERE) + len(LATER) == 27
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (Path(__file__).parents[2] / file).read_text()
    assert {f"test_{name}" for name in TRAPS.values()} <= set(globals())


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path) as opened:
        yield opened


@pytest.fixture
async def office(counter: Counter) -> Counter:
    got = await counter.ask("POST", "/v1/relays", OFFICE)
    assert got.status_code == 201, got.text
    return counter


async def told(counter: Counter, method: str, path: str, body: Any = None) -> dict[str, Any]:
    got = await counter.ask(method, path, body)
    assert got.status_code < 300, got.text
    return dict(got.json())


async def test_timeout_that_covers_reads_only() -> None:
    """A relay that stops reading our octets is given up as soon as one that says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (b"220 relay.test", b"250 relay.test", b"250 ok", b"250 ok", b"354 go"):
            writer.write(reply + b"\r\n")
            if reply != b"354 go":
                await reader.readline()
        await writer.wait_closed()

    async with serving(serve) as port:
        where = Endpoint(host="127.0.0.1", port=port, tls=TlsMode.NONE, deadlines=SHORT)
        session = await open_session(where, None, transcript=Transcript(SystemClock()))
        assert isinstance(session, Session)
        async with asyncio.timeout(15):
            (outcome,) = (await session.transact(ENVELOPE, LARGE)).values()

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.answer, Lost)
    assert outcome.answer.loss is Loss.TIMEOUT


async def test_starttls_silently_skipped() -> None:
    """Without the offer neither the account nor the sender is said in the clear."""
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test\r\n")
        while line := await reader.readline():
            heard.append(line.decode(errors="replace").strip())
            writer.write(b"250 AUTH PLAIN\r\n")

    async with serving(serve) as port:
        report = await Clinic(hosts={"relay.test": "127.0.0.1"}).diagnose(
            {"host": "relay.test", "port": port, "tls": "starttls", "username": "a"}
            | {"password": CANARY, "from": "a@example.org"}
        )

    failing(report, Stage.TLS)
    assert not {"AUTH", "MAIL", "RCPT"} & {line.partition(" ")[0] for line in heard}


async def test_port_0_default(counter: Counter) -> None:
    """Nobody listens there: left out it follows from the TLS mode, and typed it is refused."""
    assert (await told(counter, "POST", "/v1/relays", OFFICE))["port"] == 465
    got = await counter.ask("PATCH", "/v1/relays/office", {"port": 0})
    assert [each["pointer"] for each in got.json()["errors"]] == ["/port"]


async def test_whole_form_reset_when_switching_to_custom(counter: Counter) -> None:
    """Leaving a preset leaves what it filled in, and what was typed beside it."""
    own = {"name": "g", "preset": "gmail", "username": "a@gmail.com", "password": CANARY}
    before = await told(counter, "POST", "/v1/relays", own | {"max_connections": 2})

    after = await told(counter, "PATCH", "/v1/relays/g", {"preset": None})

    differs = {name for name in before if before[name] != after[name]}
    assert differs == {"preset", "version", "origins"}


async def test_get_leaking_secrets(counter: Counter) -> None:
    """Every secret, not only the password, is shown as being there and no more."""
    proxy = {"proxy_kind": "http", "proxy_host": "p.example.org", "proxy_port": 3128}
    secret = {"proxy_username": "us", "proxy_password": CANARY}
    shown = await told(counter, "POST", "/v1/relays", OFFICE | proxy | secret)

    got = await counter.ask("GET", f"/v1/relays/{shown['id']}")

    assert CANARY not in got.text
    for slot in ("password", "proxy_password"):
        assert set(got.json()[slot]) == {"set", "updated_at"}


async def test_patch_that_drops_an_omitted_secret(office: Counter) -> None:
    """What is not named stays, so a form may leave the password out."""
    assert (await told(office, "PATCH", "/v1/relays/office", {"port": 465}))["password"]["set"]


async def test_empty_string_removed_from_config(office: Counter) -> None:
    """An empty user name is one: the relay then signs in nowhere, as it was asked to."""
    nobody = {"auth": "none", "username": "", "password": None}
    shown = await told(office, "PATCH", "/v1/relays/office", nobody)
    assert (shown["auth"], shown["username"], shown["password"]["set"]) == ("none", None, False)


async def test_null_numbers_rejected(office: Counter) -> None:
    """An empty field of a form means “you choose”, for each number there is."""
    before = await told(office, "GET", "/v1/relays/office")
    numbers = [name for name, value in before.items() if isinstance(value, int | float)]
    numbers = [name for name in numbers if name not in ("version", "default")] + ["max_octets"]

    for nothing in (None, ""):
        after = await told(office, "PATCH", "/v1/relays/office", dict.fromkeys(numbers, nothing))
        assert {name: after[name] for name in numbers} == {name: before[name] for name in numbers}


async def test_test_using_stored_instead_of_typed_values(office: Counter) -> None:
    """What is on the screen is what is tried."""
    met: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(1)
        writer.write(b"554 no\r\n")

    async with serving(serve) as port:
        typed = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "a@example.org"}
        report = await told(office, "POST", "/v1/relays/diagnose", typed)

    assert (report["ok"], met) == (False, [1])


async def test_test_only_to_oneself(counter: Counter) -> None:
    """A test message goes to whoever is named."""
    letter = {"to": "anybody@example.com", "from": "ann@example.org"}
    message = await told(counter, "POST", "/v1/relays/sandbox/test-message", letter)
    assert [each["to"] for each in message["deliveries"]] == ["anybody@example.com"]


async def test_rate_limited_mail_lost(tmp_path: Path) -> None:
    """What may not begin yet waits, and no attempt of it counts."""
    async with open_house(tmp_path) as house, counting_relay() as relay:
        there = {"host": "127.0.0.1", "port": relay.port, "tls": "none"}
        await house.add_relay(**there, messages_per_minute=1)
        sent = [await house.send("ann@y.test") for _ in range(3)]
        async with delivering(house) as supervisor:
            await house.until(sent[0])
            await looked_round(house, supervisor)
            later = [await house.queue.message(each) for each in sent[1:]]

    assert {message.state for message in later} == {DeliveryState.QUEUED}
    assert {message.deliveries[0].attempts for message in later} == {0}


async def test_reply_to_leaking_from_another_record(counter: Counter) -> None:
    """Answers to the second message do not go to the first one's author."""
    first = HELLO | {"reply_to": "private@example.com"}
    await told(counter, "POST", "/v1/messages", first)
    second = await told(counter, "POST", "/v1/messages", HELLO)

    text = (await counter.ask("GET", f"/v1/messages/{second['id']}/content")).text

    assert "private@" not in text
    assert "Reply-To" not in text


async def test_success_shown_when_nothing_was_sent(tmp_path: Path) -> None:
    """The sandbox takes mail and says that it was not sent."""
    async with open_house(tmp_path) as house, delivering(house):
        message = await house.until(await house.send("ann@y.test"))

    assert "nothing was sent" in (message.deliveries[0].answer or "")


@pytest.mark.parametrize("banner", ["220 hello\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "+OK POP3\r\n"])
async def test_health_check_green_on_any_banner(banner: str) -> None:
    """Well is a relay that takes the sender, not one that says something."""
    async with serving(saying(banner)) as port:
        typed = {"host": "relay.test", "port": port, "tls": "none", "from": "a@example.org"}
        report = await Clinic(hosts={"relay.test": "127.0.0.1"}).diagnose(typed)

    assert not report.is_well


async def test_link_built_from_request_host_header(counter: Counter) -> None:
    """Whoever sends the request does not decide where our answers point."""
    asked = [
        await counter.ask("POST", "/v1/relays", OFFICE, host="evil.example.net"),
        await counter.ask("POST", "/v1/messages", HELLO, host="evil.example.net"),
        await counter.ask("GET", "/v1/openapi.json", host="evil.example.net"),
    ]
    for got in asked:
        assert got.status_code < 300
        assert "evil.example.net" not in got.text + str(got.headers)


async def test_default_sample_sender_counts(counter: Counter) -> None:
    """Nothing is sent from an address that nobody typed."""
    unsigned = {name: value for name, value in HELLO.items() if name != "from"}
    got = await counter.ask("POST", "/v1/messages", unsigned)
    assert [each["pointer"] for each in got.json()["errors"]] == ["/from"]


async def test_security_mail_sent_after_the_code_expired(tmp_path: Path) -> None:
    """A code that is worthless is not sent, whatever became of the relay meanwhile."""
    clock = SetClock()
    async with open_house(tmp_path, clock=clock) as house:
        message_id = await house.send("ann@y.test", stream="code")
        clock.ahead = (await house.queue.message(message_id)).expires_at - clock.now()
        clock.ahead *= 2
        async with delivering(house) as supervisor:
            await looked_round(house, supervisor)
            await house.queue.expire()
            message = await house.queue.message(message_id)

    assert message.state is DeliveryState.EXPIRED
    assert message.deliveries[0].tries == 0


async def test_non_ascii_ehlo_name(counter: Counter) -> None:
    """Servers close the connection on it: refused when typed, replaced when derived."""
    got = await counter.ask("POST", "/v1/relays", OFFICE | {"ehlo_name": "bücher.example"})
    assert [each["pointer"] for each in got.json()["errors"]] == ["/ehlo_name"]
    assert ehlo_name_from("bücher.example") == "localhost"


async def test_login_name_used_as_from(counter: Counter) -> None:
    """`apikey` is no address: without a sender the message is refused, not sent as apikey@."""
    relay = {"name": "s", "preset": "sendgrid", "password": CANARY}
    assert (await told(counter, "POST", "/v1/relays", relay))["username"] == "apikey"
    unsigned = {name: value for name, value in HELLO.items() if name != "from"}

    got = await counter.ask("POST", "/v1/messages", unsigned | {"relay": "s"})

    assert [each["pointer"] for each in got.json()["errors"]] == ["/from"]


async def test_secrets_in_exports(office: Counter) -> None:
    """What a relay was can be read back at every version, without its secrets."""
    await told(office, "PATCH", "/v1/relays/office", {"host": "b.example.org", "password": "x2"})
    for path in ("", "/export", "/versions", "/versions/1", "/versions/2", "/certificates"):
        got = await office.ask("GET", f"/v1/relays/office{path}")
        assert got.status_code == 200
        assert CANARY not in got.text
