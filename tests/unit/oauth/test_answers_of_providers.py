"""A token endpoint's answer is a usable token, or a reason that names the cause."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pillarbox.base.http import HttpAnswer
from pillarbox.base.secret import Secret
from pillarbox.oauth.answers import account_of, covers, read_issued
from pillarbox.oauth.client import Client, Grant
from pillarbox.oauth.troubles import Fault, NoToken
from pillarbox.relays.token_answers import classify_token, in_words

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "the-client-secret-7f3a"
CLIENT = Client(
    provider="custom",
    grant=Grant.AUTHORIZATION_CODE,
    client_id="pillarbox",
    client_secret=Secret(SECRET),
    token_url="https://login.example/token",
    scopes="https://outlook.office.com/SMTP.Send offline_access",
)
GOOD = {"access_token": "at-1", "token_type": "Bearer", "expires_in": 3600}


def answer(told: Any, status: int = 200, **headers: str) -> HttpAnswer:
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    return HttpAnswer(status, {"content-type": "application/json"} | headers, content)


def refused(told: Any, status: int = 200, **headers: str) -> NoToken:
    with pytest.raises(NoToken) as caught:
        read_issued(answer(told, status, **headers), CLIENT, NOW)
    return caught.value


def test_a_token_is_renewed_five_minutes_early() -> None:
    """Of a short life, half; without a life, an hour is believed."""
    issued = read_issued(answer(GOOD | {"refresh_token": "rt-1"}), CLIENT, NOW)
    assert issued.access_token.reveal() == "at-1"
    assert issued.access_expires_at == NOW + timedelta(hours=1)
    assert issued.access_refresh_at == NOW + timedelta(minutes=55)
    assert issued.refresh_token == Secret("rt-1")

    short = read_issued(answer(GOOD | {"expires_in": "60"}), CLIENT, NOW)
    assert short.access_refresh_at == NOW + timedelta(seconds=30)
    silent = read_issued(answer({"access_token": "at", "token_type": "bearer"}), CLIENT, NOW)
    assert silent.access_expires_at == NOW + timedelta(hours=1)


def test_the_life_of_a_refresh_token_is_kept_where_it_is_told() -> None:
    """Google says 604799 seconds for an application in testing."""
    told = GOOD | {"refresh_token": "rt", "refresh_token_expires_in": 604_799}
    issued = read_issued(answer(told), CLIENT, NOW)
    assert issued.refresh_expires_at == NOW + timedelta(seconds=604_799)


@pytest.mark.parametrize(
    ("told", "status", "fault"),
    [
        (b"<html>Sign in</html>", 200, Fault.NOT_OAUTH),
        (b"", 200, Fault.NOT_OAUTH),
        (b"[]", 200, Fault.NOT_OAUTH),
        (b"[" * 100_000, 200, Fault.NOT_OAUTH),
        (b"\xff\xfe", 200, Fault.NOT_OAUTH),
        ({"token": "x"}, 404, Fault.NOT_OAUTH),
        ({}, 302, Fault.REDIRECTED),
        ({"token_type": "Bearer"}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"access_token": ""}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"access_token": 7}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"access_token": "a\x01b"}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"access_token": "a b\r\nRSET"}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"access_token": "a" * 20_000}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"token_type": "mac"}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"token_type": ["Bearer"]}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"refresh_token": "r\n"}, 200, Fault.NO_USABLE_TOKEN),
        (GOOD | {"scope": "openid"}, 200, Fault.SCOPE_MISSING),
        (GOOD | {"scope": ""}, 200, Fault.SCOPE_MISSING),
    ],
)
def test_an_answer_that_is_no_token_is_named(told: Any, status: int, fault: Fault) -> None:
    """Each with its own cause and cure; nothing of it goes on to a mail server."""
    refusal = refused(told, status, location="https://elsewhere.example/").refusal
    assert refusal.fault is fault
    assert classify_token(refusal).fix


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_of_the_provider_passes(status: int) -> None:
    """It rests the relay and asks for nobody."""
    refusal = refused(b"<html>", status).refusal
    assert refusal.is_passing
    assert not refusal.needs_consent


def test_an_ended_consent_needs_a_person() -> None:
    """And a client that is not believed does not: there the settings are wrong."""
    gone = refused({"error": "invalid_grant"}, 400).refusal
    assert gone.needs_consent
    assert not refused({"error": "invalid_client"}, 401).refusal.needs_consent


def test_a_provider_cannot_make_us_tell_secrets() -> None:
    """It may repeat what it was sent, in letters and escapes of its choice; we show one line."""
    description = f"wrong secret {SECRET}\x1b[31m\r\nfor you" + "x" * 5000
    error = refused({"error": "invalid_client", "error_description": description}, 401)
    words = in_words(error)
    assert SECRET not in words
    assert words.isprintable()
    assert len(words) < 700


@pytest.mark.parametrize(
    ("granted", "wanted", "is_enough"),
    [
        ("https://mail.google.com/", "https://mail.google.com/", True),
        ("https://www.googleapis.com/auth/gmail.send", "https://mail.google.com/", False),
        ("https://outlook.office365.com/SMTP.Send", CLIENT.scopes, True),
        ("smtp.send", CLIENT.scopes, True),
        ("https://outlook.office.com/IMAP.AccessAsUser.All", CLIENT.scopes, False),
        ("anything", "https://outlook.office365.com/.default", True),
        ("mail.send", "openid mail.send", True),
    ],
)
def test_what_was_granted_is_compared(granted: str, wanted: str, is_enough: bool) -> None:
    """The right to send counts; offline access and who somebody is do not."""
    assert covers(granted, wanted) is is_enough


@pytest.mark.parametrize("garbage", [None, 7, "a.b", "a.!!.c", "a.W10.c", "a.eyJlbWFpbCI6NX0.c"])
def test_an_id_token_that_is_none_names_nobody(garbage: object) -> None:
    assert account_of(garbage) is None


def test_an_id_token_without_bottom_names_nobody() -> None:
    claims = base64.urlsafe_b64encode(b"[" * 40_000).decode().rstrip("=")
    assert account_of(f"e30.{claims}.sig") is None


def test_an_id_token_names_the_account() -> None:
    claims = base64.urlsafe_b64encode(b'{"sub":"1","email":"ann@example.org"}').decode().rstrip("=")
    assert account_of(f"e30.{claims}.sig") == "ann@example.org"
