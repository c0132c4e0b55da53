"""Every row of the list of replies that were seen: understood, or said why it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pillarbox.mail.outcome import Blame, Lack, Loss, Lost, Stage, Unknown, Withheld, refusal
from pillarbox.mail.reply import Reply
from pillarbox.relays import catalogue
from pillarbox.relays.classify import Suspends, Where, classify
from pillarbox.relays.token_answers import TokenRefusal, classify_token
from pillarbox.smtp.endpoint import TlsMode

ROWS = range(1, 170)
TOKENS = catalogue.group("token")

# Rows that are answers of a token endpoint, and the entry that knows each.
AT_THE_TOKEN_ENDPOINT = {
    49: "token.client-secret-expired",
    50: "token.client-secret-wrong",
    51: "token.client-unknown",
    52: "token.consent-needed",
    53: "token.admin-consent",
    54: "token.two-resources",
    55: "token.redirect-uri",
    56: "token.scope",
    57: "token.grant-gone",
    58: "token.provider-fault",
    59: "token.throttled",
}

# Rows without a reply: what was lost or missing, at which stage, on which port.
WITHOUT_A_REPLY = {
    161: (Withheld(Lack.AUTH, "…"), Stage.AUTH, 587, "lack.auth"),
    162: (Lost(Loss.REFUSED, "…"), Stage.CONNECT, 587, "network.refused"),
    163: (Lost(Loss.TIMEOUT, "…"), Stage.CONNECT, 587, "network.port-blocked"),
    164: (Lost(Loss.NAME_LOOKUP_FAILED, "…"), Stage.DNS, 587, "network.name-lookup"),
    165: (Lost(Loss.NOT_TLS, "…"), Stage.TLS, 587, "tls.implicit-on-starttls-port"),
    166: (Lost(Loss.CERTIFICATE_SELF_SIGNED, "…"), Stage.TLS, 465, "tls.self-signed"),
    167: (Lost(Loss.CERTIFICATE_NAME, "…"), Stage.TLS, 465, "tls.name"),
    168: (Lost(Loss.CERTIFICATE_UNTRUSTED, "…"), Stage.TLS, 465, "tls.untrusted"),
    169: (Lost(Loss.CLOSED, "…"), Stage.END_OF_DATA, 587, "uncertain"),
}

CANNOT_BE_MATCHED = {
    60: "Microsoft Graph over HTTP: pillarbox sends by SMTP",
    61: "Microsoft Graph over HTTP: pillarbox sends by SMTP",
    62: "Microsoft Graph over HTTP: pillarbox sends by SMTP",
    66: "a challenge, not a verdict: smtp/sasl.py answers it, and the 535 that follows is row 63",
    122: "an event that Mailgun reports later; the SMTP session went well",
    124: "an event that Postmark reports later; the SMTP session went well",
    125: "an error code of Postmark's HTTP API, with no sentence known over SMTP",
}


def _seen() -> Iterator[tuple[int, str | None, Stage, str, str]]:
    text = Path(__file__).with_name("replies-as-seen.txt").read_text("utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            row, provider, stage, advice, reply = line.split(" | ", 4)
            yield int(row), None if provider == "-" else provider, Stage(stage), advice, reply


SEEN = list(_seen())


def _reply(text: str) -> Reply:
    return Reply(int(text[:3]), tuple(line[4:] for line in text.split("\\n")))


def test_every_row_is_accounted_for_once() -> None:
    """Seen, at the token endpoint, without a reply, or named with the reason it cannot be."""
    replies = {row for row, *_ in SEEN}
    elsewhere = [*AT_THE_TOKEN_ENDPOINT, *WITHOUT_A_REPLY, *CANNOT_BE_MATCHED]
    assert sorted([*replies, *elsewhere]) == list(ROWS)


@pytest.mark.parametrize(
    ("row", "provider", "stage", "advice", "reply"), SEEN, ids=[f"{r[0]} {r[4][:30]}" for r in SEEN]
)
def test_a_row_is_understood(
    row: int, provider: str | None, stage: Stage, advice: str, reply: str
) -> None:
    """By its sentence or its code. The relay's fault fails no mail; quota is never for good."""
    verdict = classify(stage, _reply(reply), Where(provider=provider))
    assert verdict.advice == advice
    assert not advice.startswith("refused")
    assert not (verdict.blame is Blame.RELAY and verdict.permanent)
    assert not (verdict.quota and verdict.permanent)


@pytest.mark.parametrize("row", WITHOUT_A_REPLY)
def test_a_row_without_a_reply_is_understood(row: int) -> None:
    """What happened to the connection says what to do."""
    answer, stage, port, advice = WITHOUT_A_REPLY[row]
    where = Where(host="mail.example.org", port=port, tls=TlsMode.IMPLICIT)
    assert classify(stage, answer, where).advice == advice


def test_an_answer_that_may_have_come_after_the_dot_stays_uncertain() -> None:
    """Row 169: the catalogue explains it and never turns it into a failure."""
    answer, stage, *_ = WITHOUT_A_REPLY[169]
    assert isinstance(refusal(stage, answer), Unknown)


def test_accepted_and_suppressed_is_accepted() -> None:
    """Oracle's 254 (row 154) is a 2yz: the server took the message, and nothing is classified."""
    assert refusal(Stage.RCPT, Reply(254, ("4.7.1 suppressed",))) is None


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        pytest.param(entry, answer, id=f"{entry['id']} {answer[:20]}")
        for entry in TOKENS
        for answer in entry["answers"]
    ],
)
def test_an_answer_of_a_token_endpoint_is_understood(entry: catalogue.Entry, answer: str) -> None:
    """Each as it came; it stops or rests the relay, and fails no mail."""
    status, error, description = answer.split(" ", 2)
    verdict = classify_token(
        TokenRefusal(
            status=int(status),
            error=None if error == "-" else error,
            description=None if description == "-" else description,
        )
    )
    assert verdict.advice == entry["id"]
    assert (verdict.blame, verdict.permanent) == (Blame.RELAY, False)
    assert verdict.suspends in (Suspends.PERSON, Suspends.REST)


def test_the_rows_of_token_endpoints_have_entries() -> None:
    """A throttled or broken endpoint rests the relay; every other answer waits for a person."""
    known = {entry["id"]: entry["kind"] for entry in TOKENS}
    assert set(AT_THE_TOKEN_ENDPOINT.values()) <= set(known)
    resting = {each for each, kind in known.items() if kind == "later"}
    assert resting == {"token.throttled", "token.provider-down", "token.provider-fault"}


def test_a_policy_stands_before_a_password() -> None:
    """“… authentication unsuccessful …” is in each of Microsoft's refusals; the rest decides."""
    for sentence, advice in (
        ("SmtpClientAuthentication is disabled for the Tenant.", "microsoft.smtp-auth-off-tenant"),
        ("the user credentials were incorrect.", "microsoft.wrong-password"),
    ):
        reply = Reply(535, (f"5.7.139 Authentication unsuccessful, {sentence}",))
        assert classify(Stage.AUTH, reply).advice == advice
