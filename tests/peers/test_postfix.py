"""The Postfix the other tests rely on does what they rely on."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest

from support.peers import need
from support.postfix import USERNAME, Postfix, Rules, postfix

SENDER = "a@b.example"
ODD_CONTENT = (
    b"Received: from elsewhere\r\nBcc: hidden@x.example\r\nSubject: =?utf-8?q?a_b?=\r\n"
    b"X-Folded: one\r\n\ttwo\r\n\r\n..two dots\r\n.\xff 8 bit, " + b"x" * 990 + b"\r\n\r\n \r\n"
)


def logged_in(server: Postfix) -> smtplib.SMTP:
    client = smtplib.SMTP(server.host, server.starttls_port, timeout=5)
    client.starttls(context=ssl.create_default_context(cafile=server.ca_pem))
    client.login(server.username, server.password)
    return client


def test_content_comes_back_octet_for_octet(tmp_path: Path) -> None:
    """What Postfix adds is undone; what was sent stays, even where it looks the same."""
    with postfix(tmp_path) as server, logged_in(server) as client:
        client.sendmail(SENDER, ["c@d.example", "e@f.example"], ODD_CONTENT)

        arrived = server.wait_delivered(2)

    assert {mail.envelope_to for mail in arrived} == {"c@d.example", "e@f.example"}
    assert {mail.envelope_from for mail in arrived} == {SENDER}
    assert {mail.octets for mail in arrived} == {ODD_CONTENT}


def test_a_password_crosses_only_tls(tmp_path: Path) -> None:
    """Before STARTTLS, AUTH is neither offered nor taken; without AUTH, no mail is."""
    with (
        postfix(tmp_path) as server,
        smtplib.SMTP(server.host, server.starttls_port, timeout=5) as client,
    ):
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 503
        client.mail(SENDER)
        assert client.rcpt("c@d.example")[0] == 554


def test_two_servers_do_not_know_each_other(tmp_path: Path) -> None:
    """Each has its own queue and mailboxes, so tests may run side by side."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with postfix(tmp_path / "one") as one, postfix(tmp_path / "two") as two:
        with logged_in(one) as client:
            client.sendmail(SENDER, "c@d.example", b"Subject: x\r\n\r\n")

        assert len(one.wait_delivered(1)) == 1
        assert two.delivered() == []


def test_it_refuses_what_the_rules_refuse(tmp_path: Path) -> None:
    """A recipient, a size, and a sender address that belongs to another login."""
    rules = Rules(
        rejected={"gone@d.example": "550 5.1.1 no such user"},
        senders={SENDER: "someone-else", "x@y.example": USERNAME},
        settings={"message_size_limit": "2000"},
    )
    with postfix(tmp_path, rules) as server, logged_in(server) as client:
        assert client.mail("x@y.example", ["SIZE=3000"])[0] == 552
        client.rset()  # without it Postfix holds the refused SIZE against the next MAIL, too
        assert client.mail("x@y.example")[0] == 250
        assert client.rcpt("gone@d.example")[0] == 550
        client.rset()
        client.mail(SENDER)
        assert client.rcpt("c@d.example")[0] == 553


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks_can_use_the_implicit_tls_port(tmp_path: Path, mechanism: str) -> None:
    """A client by other people signs in with each mechanism and its mail arrives."""
    swaks = need("swaks")
    with postfix(tmp_path) as server:
        login = ["--auth-user", server.username, "--auth-password", server.password]
        server_at = ["--server", f"127.0.0.1:{server.implicit_port}", "--tls-on-connect"]
        trust = ["--tls-ca-path", str(server.ca_pem), "--tls-verify"]
        envelope = ["--from", SENDER, "--to", "c@d.example"]
        sent = subprocess.run(
            [swaks, *server_at, *trust, "--auth", mechanism, *login, *envelope],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert sent.returncode == 0, sent.stdout + sent.stderr

        [arrived] = server.wait_delivered(1)

    assert b"\r\nX-Mailer: swaks" in arrived.octets


def test_a_user_without_root_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postfix cannot run without root; the failure says that instead of a daemon's last words."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(pytest.fail.Exception, match="as root"), postfix(tmp_path):
        pass
