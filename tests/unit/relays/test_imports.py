"""Other systems' settings become relays, with what behaves differently said."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.errors import Invalid
from pillarbox.relays.change import RelayChange
from pillarbox.relays.import_.formats import FORMATS, imported
from pillarbox.relays.relay import RelaySettings

GUIDES = Path(__file__).parents[3] / "docs/guides/coming-from"
SYSTEMS = ["umbraco", "bold-bi", "thingsboard", "logto", "nodemailer"]


def made(system: str, settings: Any, **more: Any) -> RelaySettings:
    change = RelayChange.read(imported(system, settings).fields | more)
    assert change.problems() == ()
    return change.apply_to()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_example_of_each_guide_is_true(system: str) -> None:
    """What stands there becomes what the guide says."""
    text = (GUIDES / f"{system}.md").read_text()
    theirs, ours = map(json.loads, re.findall(r"```json\n(.*?)```", text, re.S))

    settings = made(system, theirs)

    assert {name: settings.shown(name) for name in ours} == ours
    assert f"--format {system}" in text


@pytest.mark.parametrize(
    ("system", "settings", "expected"),
    [
        ("umbraco", {"Host": "h.example", "Port": 0}, {"tls": "starttls", "port": 587}),
        ("umbraco", {"Host": "h.example", "Port": 465}, {"tls": "implicit"}),
        ("umbraco", {"PickupDirectoryLocation": "/var/mail/out", "From": "a@b.example"},
         {"kind": "pickup", "directory": "/var/mail/out"}),
        ("thingsboard", {"smtpHost": "h.example", "smtpProtocol": "smtps", "smtpPort": 465},
         {"tls": "implicit", "port": 465}),
        ("thingsboard", {"smtpHost": "h.example", "smtpPort": "587", "enableTls": True,
                         "enableProxy": True, "proxyHost": "p.example", "proxyPort": 3128,
                         "proxyUser": "us", "proxyPassword": "s"},
         {"proxy_kind": "http", "proxy_host": "p.example", "proxy_port": 3128}),
        ("nodemailer", {"host": "h.example", "port": 465}, {"tls": "implicit"}),
        ("nodemailer", {"host": "h.example", "greetingTimeout": 1, "socketTimeout": 9_000_000},
         {"greeting_timeout_seconds": 5, "command_timeout_seconds": 900}),
        ("url", "smtp://ann:p%40ss@mail.example.org:2525",
         {"tls": "starttls", "port": 2525, "username": "ann"}),
        ("url", "smtps://mail.example.org", {"tls": "implicit", "port": 465, "auth": "none"}),
    ],
)  # fmt: skip
def test_what_others_say_in_their_own_way(
    system: str, settings: Any, expected: dict[str, Any]
) -> None:
    """Port 0, texts for numbers, milliseconds, and passwords in addresses."""
    found = made(system, settings)
    assert {name: found.shown(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("system", "settings", "words"),
    [
        ("umbraco", {"Host": "h.example"}, "nobody can take it away"),
        ("logto", {"host": "h.example", "tls": {"rejectUnauthorized": False}}, "always are"),
        ("logto", {"host": "h.example", "auth": {"refreshToken": "x"}}, "connect the relay"),
        ("thingsboard", {"smtpHost": "h.example", "enableOauth2": True}, "connect the relay"),
    ],
)
def test_what_behaves_differently_is_said(system: str, settings: Any, words: str) -> None:
    assert words in " ".join(imported(system, settings).notes)


@pytest.mark.parametrize(
    ("system", "settings", "field"),
    [
        ("sendmail", {}, "format"),
        ("umbraco", [], "settings"),
        ("umbraco", "text", "settings"),
        ("url", {"host": "x"}, "settings"),
        ("url", "http://mail.example.org", "settings"),
        ("url", "smtp://h:port", "settings"),
        ("bold-bi", {"EmailAccount": "Microsoft365"}, "settings/EmailAccount"),
    ],
)
def test_what_cannot_be_read_is_refused(system: str, settings: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        imported(system, settings)
    assert caught.value.field == field


def test_every_format_has_a_guide_or_needs_none() -> None:
    """An export and an address explain themselves."""
    assert set(FORMATS) == {*SYSTEMS, "pillarbox", "url"}


@pytest.mark.parametrize(
    ("system", "settings", "field"),
    [
        ("nodemailer", {"auth": "x"}, "settings/auth"),
        ("logto", {"tls": True}, "settings/tls"),
        ("thingsboard", {"enableTls": [1]}, "settings/enableTls"),
        ("thingsboard", {"enableProxy": {}}, "settings/enableProxy"),
    ],
)
def test_a_setting_of_another_shape_is_named(
    system: str, settings: dict[str, Any], field: str
) -> None:
    """Whoever imports it is told which one."""
    with pytest.raises(Invalid) as caught:
        imported(system, settings)
    assert caught.value.field == field


def test_a_time_that_is_no_time_any_more() -> None:
    """It becomes the longest that we take."""
    found = imported("nodemailer", {"host": "h.example", "socketTimeout": 10**400})
    assert found.fields["command_timeout_seconds"] == 900
