"""What works today and may not tomorrow, or not for every message."""

from __future__ import annotations

from typing import Any

import pytest

from pillarbox.diagnosis.case import Case
from pillarbox.diagnosis.cautions import settings_step
from pillarbox.diagnosis.findings import Status, Step
from pillarbox.relays import presets
from pillarbox.relays.change import RelayChange
from pillarbox.relays.relay import Secrets, endpoint

M365 = "smtp.office365.com"


def step(**typed: Any) -> Step:
    settings = RelayChange.read({"from": "ann@a.example", **typed}).apply_to(None)
    return settings_step(Case(settings=settings, endpoint=endpoint(settings, Secrets())))


def test_settings_without_anything_to_say_are_ok() -> None:
    """They are repeated as they were understood."""
    found = step(host="mail.example.org", port=587)

    assert found.status is Status.OK
    assert found.evidence == "mail.example.org port 587, tls starttls; no contradictions"


def test_a_password_at_microsoft_ends_and_the_preset_says_when() -> None:
    """Such dates move, so they stand in one place: with the provider's other facts."""
    found = step(host=M365, username="ann@a.example")

    preset = presets.by_host(M365)
    assert preset is not None
    assert preset.notes
    assert found.status is Status.WARN
    assert found.cause == preset.notes
    assert "December 2026" in found.cause


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"host": "mail.example.org", "from": None}, "no from"),
        ({"host": "smtp.gmail.com", "username": "ann@b.example"}, "may refuse"),
        ({"kind": "pickup", "directory": "/var/mail", "from": None}, "no from"),
    ],
)
def test_what_is_worth_a_warning(typed: dict[str, Any], words: str) -> None:
    """Each has its fix, and none makes a relay unwell."""
    found = step(**typed)

    assert found.status is Status.WARN
    assert words in (found.cause or "")
    assert (found.fix or "").startswith("Set from to")


@pytest.mark.parametrize(
    "typed",
    [
        {"host": "smtp.gmail.com", "username": "ann@A.example"},
        {"host": "smtp.gmail.com", "username": "ann"},
        {"host": "smtp.sendgrid.net", "username": "apikey"},
        {"host": "mail.example.org", "username": "ann@b.example"},
        {"kind": "sandbox", "from": None},
    ],
)
def test_what_is_nobodys_business(typed: dict[str, Any]) -> None:
    """Where the login is not the mailbox, any domain may be in From."""
    assert step(**typed).status is Status.OK


def test_two_cautions_are_both_said() -> None:
    """One does not hide the other."""
    found = step(host=M365, username="ann@b.example")

    assert "December 2026" in (found.cause or "")
    assert "may refuse" in (found.cause or "")
