"""Nothing that is secret and nothing that moves a cursor gets into a report."""

from __future__ import annotations

import base64

import pytest

from pillarbox.base.secret import Secret
from pillarbox.diagnosis.discretion import discreet
from pillarbox.diagnosis.findings import Report, Status, Step
from pillarbox.diagnosis.words import MAX_EVIDENCE, in_words, listed, seconds_in_words
from pillarbox.mail.outcome import Stage
from pillarbox.mail.reply import Reply
from pillarbox.relays.relay import Secrets
from pillarbox.smtp.capabilities import Capabilities

PASSWORD = "grüße-Zk3v9QpX7w"
SECRETS = Secrets(password=Secret(PASSWORD), proxy_password=Secret("proxy-secret"))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def shown(evidence: str, secrets: Secrets = SECRETS) -> str:
    step = Step(stage=Stage.AUTH, status=Status.FAIL, evidence=evidence)
    report = discreet(Report(steps=(step,), transcript=(evidence,)), secrets)
    assert report.steps[0].evidence.isprintable()
    if len(evidence) <= MAX_EVIDENCE and evidence.isprintable():
        assert report.transcript[0] == report.steps[0].evidence
    return report.steps[0].evidence


@pytest.mark.parametrize(
    "quoted",
    [
        PASSWORD,
        "proxy-secret",
        encoded(PASSWORD),
        encoded(f"\0ann\0{PASSWORD}"),
        encoded(f"\0anna\0{PASSWORD}").rstrip("="),
        f"“{PASSWORD}”",
    ],
)
def test_a_secret_is_hidden_however_a_server_quotes_it(quoted: str) -> None:
    """As it is, and as we said it."""
    found = shown(f"502 what is AUTH PLAIN {quoted}")

    assert found.strip("”").replace("“", "") == "502 what is AUTH PLAIN (hidden)"


@pytest.mark.parametrize(
    "harmless",
    [
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled",
        "250 2.0.0 Ok: queued as 4bXyZ012345678",
        "220 AM0PR01CA0123.outlook.office365.com Microsoft ESMTP MAIL Service ready",
    ],
)
def test_what_is_not_secret_stays(harmless: str) -> None:
    """People search for these words."""
    assert shown(harmless) == harmless
    assert shown(harmless, Secrets()) == harmless


def test_evidence_is_one_bounded_line() -> None:
    """Escapes are shown, not obeyed, and nothing goes on for ever."""
    assert shown("a\x1b[2J\nb\u202ec", Secrets()) == "a\\x1b[2J\\nb\\u202ec"
    assert len(shown("x" * 5000, Secrets())) == MAX_EVIDENCE


def test_numbers_and_capabilities_in_words() -> None:
    """As a person would say them."""
    reply = Reply(250, ("mail.test", "SIZE 26214400", "AUTH PLAIN LOGIN", "8BITMIME", "STARTTLS"))

    assert in_words(Capabilities.parse(reply)) == (
        "mail.test offers sign-in by PLAIN, LOGIN, messages up to 26.2 MB, STARTTLS, 8-bit content"
    )
    assert in_words(Capabilities.parse(Reply(250, ("mail.test",)))) == "mail.test offers no sign-in"
    assert [seconds_in_words(each) for each in (0.44, 1.0, 9.7)] == [
        "0.4 seconds",
        "1 second",
        "10 seconds",
    ]
    assert listed((465,)) == "465"
    assert listed((465, 587, 25)) == "465, 587 and 25"


def test_a_short_secret_takes_no_letters_out_of_sentences() -> None:
    """It is hidden where we said it, as a word; other steps keep all of theirs."""
    secrets = Secrets(password=Secret("a"))
    greeting = "220 a mail relay at example.org"
    lines = (
        f"S: {greeting}",
        "C: AUTH PLAIN (credentials)",
        "S: 535 bad a, bad day",
        "C: QUIT",
        "S: 221 a",
    )
    greeted = Step(stage=Stage.GREETING, status=Status.OK, evidence=greeting)
    signed = Step(stage=Stage.AUTH, status=Status.FAIL, evidence="535 bad a, bad day")

    report = discreet(Report(steps=(greeted, signed), transcript=lines), secrets)

    assert report.steps[0].evidence == greeting
    assert report.steps[1].evidence == "535 bad (hidden), bad day"
    assert report.transcript == (lines[0], lines[1], "S: 535 bad (hidden), bad day", *lines[3:])
