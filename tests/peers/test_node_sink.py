"""The Node.js relay the other tests rely on does what they rely on."""

from __future__ import annotations

import base64
import smtplib
import ssl
from pathlib import Path

import pytest

from support.node_sink import NodeSink, Options, node_sink

CONTENT = b"Subject: x\r\n\r\n.dot\r\n\xff\r\n\r\n"


def connected(sink: NodeSink) -> smtplib.SMTP:
    trust = ssl.create_default_context(cafile=sink.ca_pem)
    if sink.options.tls == "implicit":
        return smtplib.SMTP_SSL(sink.host, sink.port, timeout=5, context=trust)
    client = smtplib.SMTP(sink.host, sink.port, timeout=5)
    if sink.options.tls == "starttls":
        client.starttls(context=trust)
    return client


@pytest.mark.parametrize("tls", ["implicit", "starttls", "none"])
def test_it_keeps_the_octets_and_the_envelope(tmp_path: Path, tls: str) -> None:
    """By each way to connect, content comes back as it was sent."""
    with node_sink(tmp_path, Options(tls=tls)) as sink, connected(sink) as client:  # type: ignore[arg-type]
        client.login(sink.options.username, sink.options.password)
        client.sendmail("a@b.example", ["c@d.example", "e@f.example"], CONTENT)

        [kept] = sink.wait_kept(1)

    assert kept.octets == CONTENT
    assert kept.envelope_from == "a@b.example"
    assert kept.envelope_to == ("c@d.example", "e@f.example")
    assert kept.record["secure"] is (tls != "none")
    assert kept.record["login"]["method"] in {"CRAM-MD5", "PLAIN"}


@pytest.mark.parametrize(("token", "code"), [("an-access-token", 235), ("an-old-token", 535)])
def test_it_knows_an_access_token(tmp_path: Path, token: str, code: int) -> None:
    """XOAUTH2 with the right token signs in; with another it is told so."""
    with node_sink(tmp_path) as sink, connected(sink) as client:
        client.ehlo()
        said = f"user={sink.options.username}\x01auth=Bearer {token}\x01\x01"
        answer = client.docmd("AUTH", f"XOAUTH2 {base64.b64encode(said.encode()).decode()}")
        if answer[0] == 334:  # the reason comes as a challenge, to be answered with nothing
            answer = client.docmd("")

        assert answer[0] == code


def test_it_refuses_what_it_is_told_to(tmp_path: Path) -> None:
    """A recipient and a size."""
    options = Options(rejected={"gone@d.example": (550, "5.1.1 no such user")}, size=100, auth=())
    with node_sink(tmp_path, options) as sink, connected(sink) as client:
        client.ehlo()
        assert client.mail("a@b.example", ["SIZE=101"])[0] == 552
        client.mail("a@b.example")
        assert client.rcpt("gone@d.example") == (550, b"5.1.1 no such user")
