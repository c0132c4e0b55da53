"""Threats A1 to A3, one variant each: a stored secret does not follow to another destination."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from pillarbox.base.secret import Secret
from support.desk import Counter, open_counter

CANARY = "canary-91c2-secret"
CA_PEM = trustme.CA().cert_pem.bytes().decode()
PROXY = {"proxy_kind": "http", "proxy_host": "p.example.org", "proxy_port": 3128}
OFFICE = {
    "name": "office",
    "host": "mail.example.org",
    "username": "ann",
    "password": CANARY,
    **PROXY,
}
ELSEWHERE: dict[str, dict[str, Any]] = {
    "host": {"host": "evil.example.net"},
    "preset": {"preset": "gmail", "username": "ann"},
    "port": {"port": 2465},
    "TLS mode": {"tls": "starttls"},
    "port and TLS mode": {"port": 587},
    "user name": {"username": "eve"},
    "proxy host": {"proxy_host": "evil.example.net"},
    "proxy port": {"proxy_port": 1080},
    "proxy kind": {"proxy_kind": "socks5"},
    "no proxy": {"proxy_kind": None},
    "CA": {"authorities": CA_PEM},
    "pin": {"pin": "a" * 64},
    "server name": {"server_name": "evil.example.net"},
}
MASKS = ["•", "••••••••", "********", "…", "Secret(…)", "[REDACTED]", "unchanged"]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path) as counter:
        got = await counter.ask("POST", "/v1/relays", OFFICE)
        assert got.status_code == 201, got.text
        yield counter


def stored(counter: Counter) -> Secret | None:
    registry = counter.desk.registry
    return registry.secrets(registry.get("office")).password


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_a_patch_asks_for_the_secret_again(office: Counter, change: dict[str, Any]) -> None:
    """And until it is given, everything stays as it was."""
    got = await office.ask("PATCH", "/v1/relays/office", change)

    assert got.status_code == 422, got.text
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]
    assert stored(office) == Secret(CANARY)
    assert (await office.ask("GET", "/v1/relays/office")).json()["version"] == 1


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_a_diagnosis_of_typed_values_uses_no_stored_secret(
    office: Counter, change: dict[str, Any]
) -> None:
    """It is refused before anybody is contacted."""
    typed = {name: value for name, value in OFFICE.items() if name not in ("name", "password")}

    got = await office.ask("POST", "/v1/relays/diagnose", typed | change)

    assert got.status_code == 422
    assert "/password" in [each["pointer"] for each in got.json()["errors"]]


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_an_undo_brings_no_secret_elsewhere(office: Counter, change: dict[str, Any]) -> None:
    """Back at the old destination the old secret opens; the new one stays where it was typed."""
    moved = await office.ask("PATCH", "/v1/relays/office", change | {"password": "other"})
    assert moved.status_code == 200, moved.text
    assert stored(office) == Secret("other")

    back = await office.ask("POST", "/v1/relays/office/versions/2/undo")
    assert back.status_code == 200, back.text
    assert stored(office) == Secret(CANARY)

    again = await office.ask("POST", "/v1/relays/office/versions/3/undo")
    assert again.status_code == 200, again.text
    assert stored(office) == Secret("other")


async def test_a_clone_asks_for_the_secret(office: Counter) -> None:
    """What reading a relay shows, written as a new one, has no secret in it."""
    shown = (await office.ask("GET", "/v1/relays/office")).json()
    fields = {name: shown[name] for name in OFFICE if name != "password"}

    got = await office.ask("POST", "/v1/relays", fields | {"name": "copy"})
    with_shown = fields | {"name": "copy", "password": shown["password"]}
    sly = await office.ask("POST", "/v1/relays", with_shown)

    for answer in (got, sly):
        assert [each["pointer"] for each in answer.json()["errors"]] == ["/password"]


@pytest.mark.parametrize("mask", MASKS)
async def test_a_mask_is_never_a_secret(office: Counter, mask: str) -> None:
    """Sent back by a form that showed dots, it is refused, and the secret stays."""
    got = await office.ask("PATCH", "/v1/relays/office", {"password": mask})

    assert got.status_code == 422
    assert stored(office) == Secret(CANARY)


async def test_a_reading_does_not_tell_how_long_a_secret_is(office: Counter) -> None:
    """The same answer for a short one and a long one."""
    answers = []
    for password in ("x", "x" * 4000):
        got = await office.ask("PATCH", "/v1/relays/office", {"password": password})
        answers.append(len(got.text))
    assert answers[0] == answers[1]


NOTHING: list[tuple[Any, str, Any]] = [
    # typed for, field, afterwards; ... means refused
    (None, "from", None),
    ("", "from", None),
    (None, "max_connections", 5),
    ("", "max_connections", 5),
    (0, "max_connections", ...),
    (None, "tls", "implicit"),
    ("", "port", 465),
    (None, "headers", {}),
    ("", "headers", {}),
    ({}, "headers", {}),
    ([], "headers", ...),
    (None, "bcc", []),
    ("", "bcc", []),
    ([], "bcc", []),
    ({}, "bcc", ...),
    ("", "password", ...),
    (False, "password", ...),
    ("", "name", ...),
    (None, "host", ...),
]


@pytest.mark.parametrize(("nothing", "field", "expected"), NOTHING)
async def test_nothing_means_what_a_person_expects(
    office: Counter, nothing: Any, field: str, expected: Any
) -> None:
    """The table of docs/life-of-a-setting.md."""
    full = {"from": "ann@example.org", "headers": {"X-App": "1"}, "bcc": "a@example.org"}
    await office.ask("PATCH", "/v1/relays/office", full | {"max_connections": 2})

    got = await office.ask("PATCH", "/v1/relays/office", {field: nothing})

    if expected is ...:
        assert got.status_code == 422, got.text
        assert field in got.json()["errors"][0]["pointer"]
    else:
        assert got.status_code == 200, got.text
        assert got.json()[field] == expected


async def test_null_removes_a_secret_that_nothing_needs(office: Counter) -> None:
    """And is refused, with the cure, while the relay signs in with it."""
    kept = await office.ask("PATCH", "/v1/relays/office", {"password": None})
    assert "set auth to none" in kept.json()["errors"][0]["detail"]
    gone = {"password": None, "auth": "none"}
    assert (await office.ask("PATCH", "/v1/relays/office", gone)).status_code == 200
