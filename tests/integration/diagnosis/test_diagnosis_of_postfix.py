"""What a diagnosis says about a real server, set up rightly and in every usual wrong way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pillarbox.diagnosis.findings import Status
from pillarbox.mail.outcome import Stage
from pillarbox.smtp.endpoint import TlsMode
from support.clinic import Clinic, failing, step
from support.house import open_house
from support.peers import free_ports
from support.postfix import HOSTNAME, PASSWORD, Postfix, Rules, postfix

RULES = Rules(
    rejected={
        "gone@b.example": "550 5.1.1 no such user",
        "grey@b.example": "450 4.7.1 come back later",
    },
    senders={"app@a.example": "app@pillarbox.test", "boss@a.example": "someone-else"},
    settings={"smtpd_delay_reject": "no"},
)
STARTTLS_ORDER = [
    "configuration", "dns", "connect", "greeting", "ehlo", "tls", "auth", "mail", "rcpt", "quit",
]  # fmt: skip
IMPLICIT_ORDER = [
    "configuration", "dns", "connect", "tls", "greeting", "ehlo", "auth", "mail", "rcpt", "quit",
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postfix]:
    with postfix(tmp_path_factory.mktemp("diagnosis"), RULES) as running:
        yield running


@pytest.fixture
def clinic() -> Clinic:
    return Clinic(hosts={HOSTNAME: "127.0.0.1", "other.test": "127.0.0.1"})


@pytest.fixture
def right(server: Postfix) -> dict[str, Any]:
    """Settings that work, with STARTTLS."""
    return {
        "host": HOSTNAME,
        "port": server.starttls_port,
        "tls": "starttls",
        "username": server.username,
        "password": server.password,
        "from": "app@a.example",
        "authorities": server.ca_pem.read_text(),
    }


@pytest.mark.parametrize(
    ("tls", "order"), [("starttls", STARTTLS_ORDER), ("implicit", IMPLICIT_ORDER)]
)
async def test_right_settings_are_well_from_end_to_end(
    tls: str, order: list[str], clinic: Clinic, server: Postfix, right: dict[str, Any]
) -> None:
    """Every step is taken, in the order of the session, and says what was found."""
    port = server.implicit_port if tls == "implicit" else server.starttls_port

    report = await clinic.diagnose({**right, "tls": tls, "port": port}, to="ann@b.example")

    assert report.is_well
    assert report.failure is None
    assert [each.stage.value for each in report.steps] == order
    assert {each.status for each in report.steps} == {Status.OK}
    assert step(report, Stage.DNS).evidence == "1 address: 127.0.0.1"
    assert step(report, Stage.CONNECT).evidence == f"connected to 127.0.0.1 port {port}"
    assert step(report, Stage.GREETING).evidence == f"220 {HOSTNAME} ESMTP Postfix"
    assert "sign-in by PLAIN, LOGIN" in step(report, Stage.EHLO).evidence
    assert "messages up to 10.2 MB" in step(report, Stage.EHLO).evidence
    assert "TLS 1.3" in step(report, Stage.TLS).evidence
    assert f"certificate for localhost, {HOSTNAME}, 127.0.0.1" in step(report, Stage.TLS).evidence
    assert step(report, Stage.AUTH).evidence.startswith("SCRAM-SHA-256: 235 2.7.0")
    assert step(report, Stage.RCPT).evidence == "250 2.1.5 Ok"
    assert all(each.milliseconds is not None for each in report.steps[1:])
    assert "C: RCPT TO:<ann@b.example>" in report.transcript
    assert server.delivered() == []


async def test_without_a_recipient_only_the_sender_is_asked_about(
    clinic: Clinic, right: dict[str, Any]
) -> None:
    """A skipped step says why, and does not make the relay unwell."""
    report = await clinic.diagnose(right)

    assert report.is_well
    assert step(report, Stage.MAIL).status is Status.OK
    assert step(report, Stage.RCPT).status is Status.SKIP
    assert "no recipient was given" in step(report, Stage.RCPT).evidence


async def test_without_any_sender_nobody_is_asked_about(
    clinic: Clinic, right: dict[str, Any]
) -> None:
    """Typed settings are not done yet: that they have no from is no warning."""
    del right["from"]

    report = await clinic.diagnose(right)

    assert report.is_well
    assert "no sender" in step(report, Stage.MAIL).evidence
    configuration = step(report, Stage.CONFIGURATION)
    assert configuration.status is Status.OK


async def test_a_wrong_password_is_the_sign_in_step(clinic: Clinic, right: dict[str, Any]) -> None:
    """The server's own words stand beside ours, and no other port is tried."""
    clinic.doors = ((right["port"], TlsMode.STARTTLS),)

    report = await clinic.diagnose({**right, "password": "hunter2-canary"})

    broken = failing(report, Stage.AUTH)
    assert broken.evidence.startswith("535 5.7.8")
    assert broken.cause == f"{HOSTNAME} refused the user name or the password."
    assert "Enter them again" in (broken.fix or "")
    assert broken.advice_id == "auth.wrong-password"
    assert report.proposals == ()
    assert "hunter2" not in str(report)


async def test_tls_at_once_on_a_starttls_port_is_corrected(
    clinic: Clinic, right: dict[str, Any]
) -> None:
    """The proposal is a change that works when it is made."""
    wrong = {**right, "tls": "implicit"}

    report = await clinic.diagnose(wrong)

    broken = failing(report, Stage.TLS)
    assert broken.evidence == "the server does not speak TLS on this port"
    assert f"answers on port {right['port']}, but not with TLS" in (broken.cause or "")
    assert broken.fix == (
        f"Port {right['port']} of {HOSTNAME} begins in the clear and offers STARTTLS:"
        " set tls to starttls."
    )
    [proposal] = report.proposals
    assert proposal.asks_again == ("password",)
    assert (await clinic.diagnose({**wrong, **proposal.change})).is_well


async def test_starttls_on_an_implicit_port_is_corrected(
    clinic: Clinic, server: Postfix, right: dict[str, Any]
) -> None:
    """Such a server says nothing; the report says how long we waited for it."""
    wrong = {**right, "port": server.implicit_port}

    report = await clinic.diagnose(wrong)

    broken = failing(report, Stage.GREETING)
    assert broken.evidence == "the relay did not answer in time; we waited 0.5 seconds"
    assert broken.fix == (
        f"Port {server.implicit_port} of {HOSTNAME} speaks TLS from the first octet:"
        " set tls to implicit."
    )
    assert (await clinic.diagnose({**wrong, **report.proposals[0].change})).is_well


async def test_a_closed_port_leads_to_the_open_ones(
    clinic: Clinic, server: Postfix, right: dict[str, Any]
) -> None:
    """Both doors of the same host are found, and nothing secret is said there."""
    clinic.doors = (
        (server.implicit_port, TlsMode.IMPLICIT),
        (server.starttls_port, TlsMode.STARTTLS),
    )
    [closed] = free_ports(1)
    sign_ins = server.transcript().count("sasl_username")

    report = await clinic.diagnose({**right, "port": closed})

    broken = failing(report, Stage.CONNECT)
    assert f"nothing listens on port {closed}" in (broken.cause or "")
    assert [dict(each.change) for each in report.proposals] == [
        {"port": server.implicit_port, "tls": "implicit"},
        {"port": server.starttls_port, "tls": "starttls"},
    ]
    assert broken.fix == report.proposals[0].why
    assert server.transcript().count("sasl_username") == sign_ins
    assert set(clinic.asked) == {HOSTNAME}


async def test_a_closed_port_without_a_way_out_says_where_we_looked(
    clinic: Clinic, right: dict[str, Any]
) -> None:
    """Then it is the host or a firewall, and nobody has to try the ports by hand."""
    closed, also_closed = free_ports(2)
    clinic.doors = ((also_closed, TlsMode.IMPLICIT),)

    report = await clinic.diagnose({**right, "port": closed})

    broken = failing(report, Stage.CONNECT)
    assert report.proposals == ()
    assert f"We tried {also_closed} as well: none answers" in (broken.fix or "")


async def test_a_name_that_is_not_there(clinic: Clinic, right: dict[str, Any]) -> None:
    """Nothing is contacted, and nothing is guessed when nothing is near."""
    report = await clinic.diagnose({**right, "host": "mail.nowhere.test"})

    broken = failing(report, Stage.DNS)
    assert broken.cause == "There is no host named mail.nowhere.test."
    assert "spelling" in (broken.fix or "")
    assert report.proposals == ()
    assert set(clinic.asked) == {"mail.nowhere.test"}


async def test_a_certificate_for_another_name(clinic: Clinic, right: dict[str, Any]) -> None:
    """The names it is for are in the evidence, because one of them is what to type."""
    report = await clinic.diagnose({**right, "host": "other.test"})

    broken = failing(report, Stage.TLS)
    assert broken.advice_id == "tls.name"
    assert broken.cause == "The certificate belongs to another name than other.test."
    assert f"it shows a certificate for localhost, {HOSTNAME}, 127.0.0.1;" in broken.evidence
    assert "server_name" in (broken.fix or "")


async def test_an_authority_that_nobody_knows(clinic: Clinic, right: dict[str, Any]) -> None:
    """The fix is the authority or a pin, never to look away."""
    del right["authorities"]

    report = await clinic.diagnose(right)

    broken = failing(report, Stage.TLS)
    assert "authority" in (broken.cause or "")
    assert "authorities" in (broken.fix or "")


async def test_a_sender_that_the_account_may_not_use(clinic: Clinic, right: dict[str, Any]) -> None:
    """Asked about on purpose, or the relay's own from."""
    report = await clinic.diagnose(right, sender="boss@a.example", to="ann@b.example")

    broken = failing(report, Stage.MAIL)
    assert broken.evidence.startswith("553 5.7.1 <boss@a.example>: Sender address rejected")
    assert broken.cause
    assert broken.fix


async def test_a_recipient_that_is_refused_for_good(clinic: Clinic, right: dict[str, Any]) -> None:
    """A person who asked about somebody wants to know."""
    report = await clinic.diagnose(right, to="gone@b.example")

    broken = failing(report, Stage.RCPT)
    assert broken.evidence.startswith("550 5.1.1")
    assert broken.cause
    assert broken.fix


async def test_a_recipient_that_is_refused_for_now(clinic: Clinic, right: dict[str, Any]) -> None:
    """Greylisting is not a fault of the settings: it is a warning, and the relay is well."""
    report = await clinic.diagnose(right, to="grey@b.example")

    assert report.is_well
    assert step(report, Stage.RCPT).status is Status.WARN
    assert step(report, Stage.RCPT).evidence.startswith("450 4.7.1")


async def test_a_server_without_starttls_is_told_nothing(
    clinic: Clinic, right: dict[str, Any], tmp_path: Path
) -> None:
    """The way that has TLS is proposed instead."""
    with postfix(tmp_path, Rules(offers_starttls=False)) as bare:
        clinic.doors = ((bare.implicit_port, TlsMode.IMPLICIT),)
        wrong = {**right, "port": bare.starttls_port, "authorities": bare.ca_pem.read_text()}

        report = await clinic.diagnose(wrong)

    broken = failing(report, Stage.TLS)
    assert broken.advice_id == "lack.starttls"
    assert "does not offer STARTTLS" in broken.evidence
    assert [dict(each.change) for each in report.proposals] == [
        {"port": bare.implicit_port, "tls": "implicit"}
    ]


async def test_a_saved_relay_is_diagnosed_with_its_stored_password(
    clinic: Clinic, right: dict[str, Any], tmp_path: Path
) -> None:
    """The same engine, and the password stays inside."""
    async with open_house(tmp_path) as house:
        relay = await house.add_relay(**right)

        report = await clinic.diagnosis(house.registry).of_relay(relay)

    assert report.is_well
    assert step(report, Stage.AUTH).status is Status.OK
    assert PASSWORD not in str(report.to_json())
