"""The ledger relay tells the truth, and does with each recipient what its address says."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
import time
from pathlib import Path

import pytest

from support.ledger_relay import LedgerRelay, Options, ledger_relay

CONTENT = b"Message-ID: <1@x>\r\nX-Pillarbox-ID: msg_1\r\n\r\n.dot\r\n..\r\n\xff\r\n"
SENDER = "a@b.example"


def connected(relay: LedgerRelay) -> smtplib.SMTP:
    trust = ssl.create_default_context(cafile=relay.ca_pem)
    if relay.options.tls == "implicit":
        return smtplib.SMTP_SSL(relay.host, relay.port, timeout=5, context=trust)
    client = smtplib.SMTP(relay.host, relay.port, timeout=5)
    if relay.options.tls == "starttls":
        client.starttls(context=trust)
    return client


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_what_was_taken_is_in_the_ledger(tmp_path: Path, tls: str) -> None:
    """Ids, digest of the content as sent, and one line for each recipient, before the 250."""
    options = Options(tls=tls, username="u", password="p")  # type: ignore[arg-type]
    with ledger_relay(tmp_path, options) as relay, connected(relay) as client:
        client.login("u", "p")
        client.sendmail(SENDER, ["c@d.example", "e@f.example"], CONTENT)

        one, two = relay.entries()

    assert (one.message_id, one.pillarbox_id, one.sender) == ("<1@x>", "msg_1", SENDER)
    assert one.sha256 == two.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert [one.recipient, two.recipient] == ["c@d.example", "e@f.example"]


def test_a_wrong_password_opens_nothing(tmp_path: Path) -> None:
    """Neither by itself nor before MAIL."""
    with ledger_relay(tmp_path, Options(username="u", password="p")) as relay:
        with connected(relay) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("u", "wrong")
        with connected(relay) as client:
            client.ehlo()
            assert client.mail(SENDER)[0] == 530


def test_an_address_chooses_its_answer(tmp_path: Path) -> None:
    """Refused and deferred at RCPT; refused after the final dot; once only."""
    with ledger_relay(tmp_path) as relay, connected(relay) as client:
        client.ehlo()
        client.mail(SENDER)
        assert client.rcpt("fail-550@d.example")[0] == 550
        assert client.rcpt("defer-451-x@d.example")[0] == 451
        assert client.rcpt("once-fail-550@d.example")[0] == 550
        assert client.rcpt("once-fail-550@d.example")[0] == 250
        with pytest.raises(smtplib.SMTPDataError, match="452"):
            client.sendmail(SENDER, "dot-452@d.example", CONTENT)

        assert relay.entries() == []


@pytest.mark.parametrize(
    ("stage", "copies"),
    [("at-rcpt", 0), ("at-data", 0), ("before-dot", 0), ("at-dot", 0), ("after-dot", 1)],
)
def test_an_address_may_cut_the_line(tmp_path: Path, stage: str, copies: int) -> None:
    """Only what is dropped after the dot was kept."""
    with ledger_relay(tmp_path) as relay:
        client = connected(relay)
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            client.sendmail(SENDER, f"drop-{stage}@d.example", CONTENT)
        client.close()

        assert len(relay.entries()) == copies


def test_an_address_may_take_its_time(tmp_path: Path) -> None:
    """The answer to the dot comes that much later; the ledger does not wait for it."""
    with ledger_relay(tmp_path) as relay, connected(relay) as client:
        began = time.monotonic()
        client.sendmail(SENDER, "slow-200@d.example", CONTENT)

        assert time.monotonic() - began >= 0.2


def test_commands_may_come_in_one_packet(tmp_path: Path) -> None:
    """RFC 2920: a whole transaction, and the next envelope right behind the dot."""
    envelope = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
    with (
        ledger_relay(tmp_path) as relay,
        socket.create_connection(("127.0.0.1", relay.port), timeout=5) as client,
        client.makefile("rb") as answers,
    ):
        client.sendall(
            b"EHLO x\r\n" + (envelope + b"Subject: x\r\n\r\nx\r\n.\r\n") * 3 + b"QUIT\r\n"
        )
        codes = [line[:3] for line in answers if line[3:4] == b" "]

        assert codes == [b"220", b"250", *[b"250", b"250", b"354", b"250"] * 3, b"221"]
        assert len(relay.entries()) == 3


def test_it_comes_back_at_the_same_port(tmp_path: Path) -> None:
    """An outage: connections are refused, then taken again, and nothing is forgotten."""
    with ledger_relay(tmp_path) as relay:
        with connected(relay) as client:
            client.sendmail(SENDER, "c@d.example", CONTENT)
        relay.stop()
        with pytest.raises(ConnectionRefusedError):
            connected(relay)
        relay.start()
        with connected(relay) as client:
            client.sendmail(SENDER, "c@d.example", CONTENT)

        assert relay.copies() == {"<1@x>": 2}
