"""What a diagnosis says about servers that do what no healthy one does."""

from __future__ import annotations

import asyncio
import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from pillarbox.diagnosis import visit
from pillarbox.diagnosis.findings import Status
from pillarbox.mail.outcome import Stage
from pillarbox.smtp.endpoint import TlsMode
from support.clinic import Clinic, Serve, failing, saying, serving, step
from support.house import open_house
from support.peers import free_ports

HOST = "relay.test"
CANARY = "canary-Zk3v9QpX7w"
NOW = datetime.now(UTC)


@pytest.fixture
def clinic() -> Clinic:
    return Clinic(hosts={HOST: "127.0.0.1"})


def typed(port: int, **more: Any) -> dict[str, Any]:
    return {"host": HOST, "port": port, "tls": "implicit", "from": "me@a.example", **more}


def context(
    authority: trustme.CA, *, days: float = 90, since: datetime | None = None
) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that ends in so many days."""
    begins = since or NOW - timedelta(days=400)
    certificate = authority.issue_cert(
        HOST, not_before=begins, not_after=NOW + timedelta(days=days)
    )
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(made)
    return made


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def plain_server(
    *, offers: str = "", answers: str = "250 2.0.0 fine", heard: list[str] | None = None
) -> Serve:
    """Knows EHLO and answers everything else the same way; {line} in it is what it heard."""
    lines = heard if heard is not None else []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test ESMTP\r\n")
        while line := (await reader.readline()).decode(errors="replace").rstrip():
            lines.append(line)
            hello = "".join(f"250-{offer}\r\n" for offer in offers.split(";") if offer)
            reply = f"{hello}250 HELP" if line.startswith("EHLO") else answers.format(line=line)
            prefix = "250-relay.test\r\n" if line.startswith("EHLO") else ""
            writer.write(f"{prefix}{reply}\r\n".encode())

    return serve


async def test_an_expired_certificate_says_when_it_ended(clinic: Clinic) -> None:
    """The date and the names come from a second look that believes nothing."""
    authority = trustme.CA()
    async with serving(saying("220 x\r\n"), context(authority, days=-3)) as port:
        report = await clinic.diagnose(typed(port, authorities=pem(authority)))

    broken = failing(report, Stage.TLS)
    ended = NOW - timedelta(days=3)
    assert f"expired on {ended.day} {ended:%B %Y}" in broken.evidence
    assert f"certificate for {HOST};" in broken.evidence
    assert "SHA-256 " in broken.evidence
    assert broken.cause == f"The certificate of {HOST} has expired."
    assert "renew" in (broken.fix or "")
    assert broken.advice_id == "tls.expired"


async def test_a_certificate_that_is_not_valid_yet(clinic: Clinic) -> None:
    """Usually it is this machine's clock."""
    authority = trustme.CA()
    tomorrow = NOW + timedelta(days=1)
    async with serving(saying("220 x\r\n"), context(authority, since=tomorrow)) as port:
        report = await clinic.diagnose(typed(port, authorities=pem(authority)))

    broken = failing(report, Stage.TLS)
    assert f"valid from {tomorrow.day} {tomorrow:%B %Y}" in broken.evidence
    assert "clock" in (broken.fix or "")


async def test_a_wrong_pin_shows_the_fingerprint_that_was_seen(clinic: Clinic) -> None:
    """Which is right is for a person to say."""
    authority = trustme.CA()
    async with serving(saying("220 x\r\n"), context(authority)) as port:
        report = await clinic.diagnose(typed(port, pin="ab" * 32))

    broken = failing(report, Stage.TLS)
    assert broken.advice_id == "tls.pin"
    assert "SHA-256 " in broken.evidence


async def test_a_certificate_that_expires_soon_is_a_warning(clinic: Clinic) -> None:
    """Twenty-one days before, while there is time."""
    authority = trustme.CA()
    async with serving(plain_server(), context(authority, days=20.5)) as port:
        soon = await clinic.diagnose(typed(port, authorities=pem(authority)))
    async with serving(plain_server(), context(authority, days=22.5)) as port:
        later = await clinic.diagnose(typed(port, authorities=pem(authority)))

    assert soon.is_well
    assert step(soon, Stage.TLS).status is Status.WARN
    assert step(soon, Stage.TLS).cause == "The certificate expires in 20 days."
    assert step(later, Stage.TLS).status is Status.OK


async def test_a_silent_server_costs_no_patience(clinic: Clinic) -> None:
    """The report says how long we waited."""
    async with serving(saying("")) as port:
        report = await clinic.diagnose(typed(port, tls="starttls"))

    broken = failing(report, Stage.GREETING)
    assert broken.evidence == "the relay did not answer in time; we waited 0.5 seconds"
    assert "says nothing" in (broken.cause or "")
    assert broken.milliseconds == pytest.approx(500, abs=250)


async def test_a_server_that_never_ends_is_left(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One octet at a time is not an answer: the whole visit has a limit, too."""
    monkeypatch.setattr(visit, "VISIT_SECONDS", 0.3)

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"220-go on\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as port:
        report = await clinic.diagnose(typed(port, tls="starttls"))

    broken = failing(report, Stage.GREETING)
    assert broken.evidence == "the relay was not done after 0.3 seconds"


@pytest.mark.parametrize("banner", ["SSH-2.0-OpenSSH_9.9\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_is_not_smtp_is_not_repeated(clinic: Clinic, banner: str) -> None:
    """A diagnosis is not a way to look at other services (threat A5)."""
    async with serving(saying(banner)) as port:
        report = await clinic.diagnose(typed(port, tls="starttls"))

    broken = failing(report, Stage.GREETING)
    assert broken.evidence == "what answered is not an SMTP server"
    assert "does not speak SMTP" in (broken.cause or "")
    assert "Check host and port" in (broken.fix or "")
    assert banner[:7] not in str(report)


async def test_a_server_that_offers_no_sign_in(clinic: Clinic) -> None:
    """Without AUTH no password is said, whatever it is set to."""
    heard: list[str] = []
    async with serving(plain_server(heard=heard)) as port:
        report = await clinic.diagnose(
            typed(port, tls="none", username="u", password=CANARY) | {"host": "127.0.0.1"}
        )

    broken = failing(report, Stage.AUTH)
    assert broken.evidence == "the relay does not offer AUTH on this connection"
    assert "does not offer to sign in" in (broken.cause or "")
    assert "set auth to none" in (broken.fix or "")
    assert heard
    assert not any("AUTH" in line for line in heard)


async def test_a_door_that_offers_no_sign_in_is_no_way_out(clinic: Clinic) -> None:
    """With a password, only a door where it can be said is proposed; without one, any is."""
    authority = trustme.CA()
    [closed] = free_ports(1)
    settings = typed(closed, authorities=pem(authority))
    async with serving(plain_server(), context(authority)) as port:
        clinic.doors = ((port, TlsMode.IMPLICIT),)
        with_password = await clinic.diagnose({**settings, "username": "u", "password": CANARY})
        without = await clinic.diagnose(settings)

    assert with_password.proposals == ()
    assert [dict(each.change) for each in without.proposals] == [{"port": port, "tls": "implicit"}]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
async def test_a_server_that_repeats_the_password_is_not_repeated(
    clinic: Clinic, mechanism: str
) -> None:
    """Neither as it is nor in base64, in no part of the report (threat A4)."""
    plain = base64.b64encode(f"\0user\0{CANARY}".encode()).decode()
    refuses = plain_server(
        offers=f"AUTH {mechanism}", answers="535 5.7.8 no: {line} " + f"{CANARY} ({plain})"
    )
    async with serving(refuses) as port:
        report = await clinic.diagnose(
            typed(port, tls="none", username="user", password=CANARY) | {"host": "127.0.0.1"}
        )

    broken = failing(report, Stage.AUTH)
    shown = f"{report.to_json()} {report!r}"
    assert "(hidden)" in broken.evidence
    assert CANARY not in shown
    assert plain not in shown
    assert base64.b64encode(CANARY.encode()).decode() not in shown


async def test_what_a_server_says_cannot_take_over_a_terminal(clinic: Clinic) -> None:
    """Escape sequences and endless lines end up as one bounded, printable line."""
    async with serving(saying("554 \x1b[2Jgo away‮ " + "x" * 3000 + "\r\n")) as port:
        report = await clinic.diagnose(typed(port, tls="starttls"))

    broken = failing(report, Stage.GREETING)
    assert broken.evidence.isprintable()
    assert len(broken.evidence) <= 600
    assert "\x1b" not in str(report.to_json())


async def test_every_address_is_listed_and_the_one_that_answered(clinic: Clinic) -> None:
    """IPv6 and IPv4 side by side: a firewall may open only one of them."""
    clinic.hosts[HOST] = "::1 127.0.0.1"
    async with serving(plain_server()) as port:
        report = await clinic.diagnose(typed(port, tls="none"))

    assert report.is_well
    assert step(report, Stage.DNS).evidence == "2 addresses: ::1, 127.0.0.1"
    assert step(report, Stage.CONNECT).evidence == f"connected to 127.0.0.1 port {port}"
    assert step(report, Stage.TLS).status is Status.WARN
    assert "Anybody on the way can read" in (step(report, Stage.TLS).cause or "")


async def test_a_proxy_that_says_no_is_the_connect_step(clinic: Clinic) -> None:
    """The name that is looked up is the proxy's, and its password stays with it."""
    clinic.hosts["proxy.test"] = "127.0.0.1"
    async with serving(saying("HTTP/1.1 403 Forbidden\r\n\r\n")) as port:
        report = await clinic.diagnose(
            typed(
                465,
                proxy_kind="http",
                proxy_host="proxy.test",
                proxy_port=port,
                proxy_username="us",
                proxy_password=CANARY,
            )
        )

    broken = failing(report, Stage.CONNECT)
    assert "The proxy did not let us through" in (broken.cause or "")
    assert step(report, Stage.DNS).evidence == "the proxy has 1 address: 127.0.0.1"
    assert clinic.asked == ["proxy.test"]
    assert CANARY not in str(report)


async def test_a_refused_greeting_is_a_failure_whatever_it_blames(clinic: Clinic) -> None:
    """Words about a blocked sender at the door still mean that nobody gets in."""
    async with serving(saying("554 5.7.1 blocked using zen.spamhaus.org\r\n")) as port:
        report = await clinic.diagnose(typed(port, tls="starttls"))

    broken = failing(report, Stage.GREETING)
    assert broken.evidence == "554 5.7.1 blocked using zen.spamhaus.org"


async def test_settings_with_faults_contact_nobody(clinic: Clinic) -> None:
    """Every fault is a step with its field, and both ways out of a contradiction are offered."""
    report = await clinic.diagnose(
        {"host": HOST, "port": 465, "tls": "starttls", "username": "u", "hots": "x"}
    )

    faults = [each for each in report.steps if each.status is Status.FAIL]
    assert {each.field for each in faults} == {"hots", "tls", "password"}
    assert {each.stage for each in faults} == {Stage.CONFIGURATION}
    assert {each.status for each in report.steps[len(faults) :]} == {Status.SKIP}
    assert [dict(each.change) for each in report.proposals] == [
        {"port": 465, "tls": "implicit"},
        {"port": 587, "tls": "starttls"},
    ]
    assert clinic.asked == []


async def test_the_sandbox_is_always_well(clinic: Clinic) -> None:
    """There is nothing to reach."""
    report = await clinic.diagnose({"kind": "sandbox"})

    assert report.is_well
    assert {each.status for each in report.steps} == {Status.OK}


async def test_a_pickup_folder_is_written_to(clinic: Clinic, tmp_path: Path) -> None:
    """The file that was tried is gone afterwards; a folder that is none fails, with its field."""
    pickup = {"kind": "pickup", "from": "me@a.example"}
    (tmp_path / "file").write_text("")

    well = await clinic.diagnose({**pickup, "directory": str(tmp_path)})
    missing = await clinic.diagnose({**pickup, "directory": str(tmp_path / "none")})
    no_folder = await clinic.diagnose({**pickup, "directory": str(tmp_path / "file")})

    assert well.is_well
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    for unwell in (missing, no_folder):
        assert unwell.failure is not None
        assert unwell.failure.field == "directory"


async def test_a_stored_password_that_cannot_be_opened(clinic: Clinic, tmp_path: Path) -> None:
    """With another key nothing is contacted, and the password is what to type again."""
    async with open_house(tmp_path) as house:
        await house.add_relay(**typed(465, username="u", password=CANARY))
    (tmp_path / "key").unlink()
    async with open_house(tmp_path) as house:
        relay = house.registry.get("test")

        report = await clinic.diagnosis(house.registry).of_relay(relay)

    assert report.failure is not None
    assert report.failure.field == "password"
    assert clinic.asked == []


async def test_starttls_typed_where_tls_begins_at_once(clinic: Clinic) -> None:
    """The same port is tried in the other mode, also when its certificate is not believed yet."""
    authority = trustme.CA()
    async with serving(saying("220 relay.test ESMTP\r\n"), context(authority)) as port:
        report = await clinic.diagnose(typed(port, tls="starttls"))

    assert [dict(each.change) for each in report.proposals] == [{"port": port, "tls": "implicit"}]
    assert "speaks TLS from the first octet" in ((report.failure and report.failure.fix) or "")


async def test_a_sender_that_may_need_a_sign_in(clinic: Clinic) -> None:
    """A policy against the sender, and sign-in was offered: probably it is wanted."""
    serve = plain_server(offers="AUTH PLAIN", answers="550 5.7.1 not from you")
    async with serving(serve) as port:
        report = await clinic.diagnose(typed(port, tls="none"))

    assert "set username and password" in (step(report, Stage.MAIL).fix or "")


async def test_a_diagnosis_does_not_promise_another_try(clinic: Clinic) -> None:
    """The catalogue speaks of mail, which is tried again by itself."""
    async with serving(saying("421 4.3.2 not now\r\n")) as port:
        report = await clinic.diagnose(typed(port, tls="none"))

    assert report.failure is not None
    assert "tried again" not in (report.failure.fix or "")


async def test_a_host_that_was_meant_is_tried_and_told_whether_it_answers(clinic: Clinic) -> None:
    """Up to EHLO, as other doors are; here it leads nowhere, and the proposal stays."""
    clinic.hosts["smtp.gmail.com"] = "169.254.0.1"
    report = await clinic.diagnose(
        {"host": "smtp.gmial.com", "port": 465, "tls": "implicit", "from": "me@a.example"}
    )

    [meant] = [each for each in report.proposals if "host" in each.change]
    assert clinic.asked == ["smtp.gmial.com", "smtp.gmail.com"]
    assert meant.change["host"] == "smtp.gmail.com"
    assert meant.why.endswith("It does not answer from here now.")
