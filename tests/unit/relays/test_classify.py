"""The catalogue of replies: each entry with the sentences it was made for."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from pillarbox.mail.outcome import Blame, Lack, Loss, Lost, Stage, Withheld
from pillarbox.mail.reply import Reply
from pillarbox.relays import catalogue, presets
from pillarbox.relays.classify import Quota, Suspends, Where, classify, provider_of
from pillarbox.relays.relay import RelaySettings
from pillarbox.smtp.endpoint import TlsMode

USUAL_STAGE = {
    "account": "auth",
    "recipient": "rcpt",
    "message": "end of data",
    "reputation": "end of data",
}
REPLIES = [entry for entry in catalogue.entries() if "examples" in entry]


def _reply(text: str) -> Reply:
    return Reply(int(text[:3]), tuple(line[4:] for line in text.split("\n")))


def _stage(entry: Any) -> Stage:
    return Stage(entry.get("stages", [USUAL_STAGE.get(entry["kind"], "mail")])[0])


def _examples(*, anywhere: bool = False) -> list[Any]:
    """Each sentence with each of its providers, or those that mean the same on any host."""
    return [
        pytest.param(entry, example, provider, id=f"{entry['id']} {example[:20]}")
        for entry in REPLIES
        if not anywhere or ("text" in entry and not entry.get("here_only"))
        for example in entry["examples"]
        for provider in entry.get("providers", [None])
    ]


@pytest.mark.parametrize(("entry", "example", "provider"), _examples())
def test_an_example_finds_its_entry(entry: Any, example: str, provider: str | None) -> None:
    """Every sentence in the file is understood as its own entry says."""
    verdict = classify(_stage(entry), _reply(example), Where(provider=provider))
    assert verdict.advice == entry["id"]


@pytest.mark.parametrize(("entry", "example", "provider"), _examples(anywhere=True))
def test_a_distinctive_sentence_is_known_on_any_host(
    entry: Any, example: str, provider: str | None
) -> None:
    """A person who typed a host by hand gets the same advice."""
    assert classify(_stage(entry), _reply(example), Where()).advice == entry["id"]


@pytest.mark.parametrize("entry", REPLIES, ids=lambda entry: entry["id"])
def test_an_entry_is_well_formed(entry: Any) -> None:
    """Only known words, patterns that compile, providers that exist, text that ends."""
    allowed = {"id", "providers", "here_only", "text", "status", "codes", "stages", "kind"}
    allowed |= {"blame", "blame_if_it_carries", "permanent", "suspends", "quota"}
    allowed |= {"cause", "fix", "examples"}
    assert set(entry) <= allowed
    assert "text" in entry or "status" in entry
    re.compile(entry.get("text", ""))
    known = {preset.provider for preset in presets.every()}
    assert set(entry.get("providers", ())) <= known
    assert (entry["kind"] == "quota") <= ("quota" in entry)


def test_ids_are_unique_and_texts_are_sentences() -> None:
    """Ids are for scripts and people to hold on to; the texts follow the house voice."""
    ids = [entry["id"] for entry in catalogue.entries()]
    assert len(ids) == len(set(ids))
    for entry in catalogue.entries():
        for text in (entry["cause"], entry["fix"]):
            assert text.endswith(".")
            assert not re.search(r"(?i)please|successful|!", text)


@pytest.mark.parametrize(
    ("reply", "provider"),
    [
        ("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.", None),
        ("535 5.7.8 Username and Password not accepted.", "gmail"),
        ("535 Authentication Credentials Invalid", "ses"),
        ("451 Authentication failed: Could not authenticate", "sendgrid"),
        ("535 5.7.8 Nein", None),
        ("550 5.7.1 nope", None),
    ],
)
def test_a_refused_sign_in_stops_the_relay_and_fails_no_mail(
    reply: str, provider: str | None
) -> None:
    """Blame the relay, wait for a person, even where the code says “temporary” (SendGrid)."""
    verdict = classify(Stage.AUTH, _reply(reply), Where(provider=provider))
    assert (verdict.blame, verdict.permanent) == (Blame.RELAY, False)
    assert verdict.suspends is Suspends.PERSON


def test_454_at_sign_in_does_not_ask_for_a_new_password() -> None:
    """RFC 4954 §6: the server has a fault, the password may be right."""
    for text in ("454 4.7.0 Temporary authentication failure", "454 later"):
        verdict = classify(Stage.AUTH, _reply(text))
        assert verdict.suspends is Suspends.REST
        assert verdict.rest_for is not None


def test_a_used_up_day_is_not_a_permanent_failure() -> None:
    """Google says 550 5.4.5, Microsoft 554: mail waits all the same."""
    for text, provider in (
        ("550 5.4.5 Daily user sending limit exceeded.", "gmail"),
        ("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", None),
    ):
        verdict = classify(Stage.END_OF_DATA, _reply(text), Where(provider=provider))
        assert (verdict.quota, verdict.suspends) == (Quota.DAY, Suspends.REST)
        assert not verdict.permanent


def test_status_codes_match_whole() -> None:
    """5.7.139 is not 5.7.13, 5.1.10 is not 5.1.1, and ranges end where they end."""
    microsoft = Where(provider="microsoft-365")
    for text, advice in (
        ("550 5.1.10 x", "microsoft.recipient-unknown"),
        ("550 5.1.1 x", "recipient.unknown"),
        ("550 5.7.12 x", "microsoft.recipient-policy"),
        ("550 5.7.120 x", "refused.recipient"),
        ("550 5.7.649 x", "microsoft.banned-ip"),
        ("550 5.7.650 x", "refused.recipient"),
    ):
        assert classify(Stage.RCPT, _reply(text), microsoft).advice == advice


def test_a_sentence_may_run_over_several_lines() -> None:
    """Servers break lines where they like and repeat the status on each."""
    text = "535-5.7.8 Username and Password not\n535 5.7.8 accepted. For more information"
    assert classify(Stage.AUTH, _reply(text)).advice == "google.wrong-password"


@pytest.mark.parametrize(
    "reply",
    [
        '550 5.1.1 <"basic authentication is disabled"@evil.example>: User unknown',
        '550 5.1.1 "basic authentication is disabled"@evil.example: User unknown',
        "550 5.1.1 TenantAttribution@evil.example User unknown",
        "550 5.1.1 <a@b.example>: host mx.evil.example said: 535 basic authentication is disabled",
    ],
)
def test_whoever_chooses_an_address_does_not_choose_the_verdict(reply: str) -> None:
    """Echoed addresses and other servers' words cannot stop a relay."""
    verdict = classify(Stage.RCPT, _reply(reply))
    assert verdict.blame is Blame.RECIPIENT
    assert verdict.suspends is Suspends.NO


@pytest.mark.parametrize("stage", [s for s in Stage if s is not Stage.CONFIGURATION])
@pytest.mark.parametrize("code", [220, 354, 421, 432, 450, 454, 500, 530, 535, 550, 554, 599])
def test_every_reply_gets_a_verdict(stage: Stage, code: int) -> None:
    """Whatever a server says; and the relay's fault is never permanent."""
    verdict = classify(stage, Reply(code, ("…",)))
    assert verdict.cause
    assert not (verdict.blame is Blame.RELAY and verdict.permanent)
    assert not (code < 500 and verdict.permanent)


@pytest.mark.parametrize("loss", [each for each in Loss if each is not Loss.LET_GO])
@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.GREETING, Stage.TLS, Stage.MAIL])
@pytest.mark.parametrize("tls", list(TlsMode))
def test_every_loss_gets_advice(loss: Loss, stage: Stage, tls: TlsMode) -> None:
    """With the relay's own host in it, and no mail lost. What we let go says nothing of it."""
    where = Where(host="mail.example.org", port=587, tls=tls)
    verdict = classify(stage, Lost(loss, "…"), where)
    assert verdict.blame is Blame.RELAY
    assert not verdict.permanent
    assert verdict.suspends is not Suspends.NO
    assert "?" not in verdict.cause + verdict.fix
    assert "{" not in verdict.cause + verdict.fix
    assert verdict.advice != "network.lost"


@pytest.mark.parametrize("lack", list(Lack))
def test_every_lack_gets_advice(lack: Lack) -> None:
    """What the server does not offer stops the message or the relay, never both."""
    verdict = classify(Stage.MAIL, Withheld(lack, "…"), Where(host="h.example", port=25))
    assert verdict.advice != "lack.other"
    assert verdict.permanent == (verdict.blame is Blame.MESSAGE)
    assert (verdict.suspends is Suspends.PERSON) == (verdict.blame is Blame.RELAY)


@pytest.mark.parametrize(
    ("loss", "stage", "port", "tls", "advice", "hint"),
    [
        (Loss.NOT_TLS, Stage.TLS, 587, "implicit", "tls.implicit-on-starttls-port", "starttls"),
        (Loss.NOT_TLS, Stage.TLS, 4650, "implicit", "tls.not-tls", "465"),
        (Loss.NOT_TLS, Stage.TLS, 587, "starttls", "tls.starttls-broken", "465"),
        (
            Loss.TIMEOUT,
            Stage.GREETING,
            465,
            "starttls",
            "tls.starttls-on-implicit-port",
            "implicit",
        ),
        (Loss.TIMEOUT, Stage.GREETING, 587, "starttls", "network.slow-greeting", "again"),
        (Loss.TIMEOUT, Stage.CONNECT, 25, "starttls", "network.port-25-blocked", "587"),
        (Loss.TIMEOUT, Stage.CONNECT, 587, "starttls", "network.port-blocked", "2525"),
        (Loss.CLOSED, Stage.END_OF_DATA, 587, "starttls", "uncertain", "second copy"),
    ],
)
def test_the_advice_fits_port_and_mode(
    loss: Loss, stage: Stage, port: int, tls: str, advice: str, hint: str
) -> None:
    """The same loss means different things on different ports."""
    where = Where(host="mail.example.org", port=port, tls=TlsMode(tls))
    verdict = classify(stage, Lost(loss, "…"), where)
    assert verdict.advice == advice
    assert hint in verdict.fix


def test_the_provider_is_known_by_preset_and_by_host() -> None:
    """A preset says it; without one the host does, or its domain."""
    for settings, provider in (
        (RelaySettings(preset="google-workspace", host="smtp.gmail.com"), "gmail"),
        (RelaySettings(host="smtp.office365.com"), "microsoft-365"),
        (RelaySettings(host="contoso-example.mail.protection.outlook.com"), "microsoft-365"),
        (RelaySettings(host="email-smtp.me-south-1.amazonaws.com"), "ses"),
        (RelaySettings(host="mail.example.org"), None),
        (RelaySettings(host="notoutlook.com"), None),
        (RelaySettings(preset="gone-in-a-later-version", host="mail.example.org"), None),
    ):
        assert provider_of(settings) == provider


@pytest.mark.parametrize("filling", ["a", '"', "<", "relay ", "message from ("])
def test_a_hostile_reply_costs_no_more_than_a_long_one(filling: str) -> None:
    """64 KiB of whatever is worst for a pattern is judged by its class, at once."""
    before = time.process_time()
    verdict = classify(Stage.RCPT, Reply(550, (filling * (65536 // len(filling)),)))
    assert verdict.advice == "refused.recipient"
    assert time.process_time() - before < 1


def test_a_552_to_rcpt_is_not_for_good() -> None:
    """RFC 5321 §4.5.3.1.10: older servers say it for too many recipients."""
    verdict = classify(Stage.RCPT, Reply(552, ("what",)))

    assert (verdict.permanent, verdict.advice) == (False, "refused.later")
