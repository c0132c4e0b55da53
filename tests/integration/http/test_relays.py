"""Relays over HTTP: added, read, changed, diagnosed and removed, and their secrets never told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pillarbox.relays.pacing import Complaint
from pillarbox.relays.suspension import Trouble
from pillarbox.relays.versions import Relay
from support.clocks import HandClock
from support.desk import HELLO, OPERATOR_TOKEN, Counter

CANARY = "canary-7f3a91-secret"
SMTP = {
    "name": "office",
    "host": "mail.example.org",
    "port": 465,
    "tls": "implicit",
    "auth": "password",
    "username": "ann",
    "password": CANARY,
    "from": "Ann <ann@example.org>",
}


async def added(counter: Counter, **fields: Any) -> dict[str, Any]:
    got = await counter.ask("POST", "/v1/relays", SMTP | fields)
    assert got.status_code == 201, got.text
    return dict(got.json())


async def test_the_first_relay_is_the_sandbox(counter: Counter) -> None:
    """Nothing has to be configured."""
    [sandbox] = (await counter.ask("GET", "/v1/relays")).json()["data"]

    assert (sandbox["name"], sandbox["kind"], sandbox["default"]) == ("sandbox", "sandbox", True)
    assert sandbox["status"]["state"] == "working"
    assert "host" not in sandbox


async def test_a_relay_is_added(counter: Counter) -> None:
    """201, where it is, and everything but the secret."""
    got = await counter.ask("POST", "/v1/relays", SMTP)

    told = got.json()
    assert got.status_code == 201
    assert got.headers["location"] == f"/v1/relays/{told['id']}"
    assert got.headers["etag"] == '"1"'
    assert {name: told[name] for name in SMTP if name != "password"} == {
        name: value for name, value in SMTP.items() if name != "password"
    }
    assert told["password"] == {"set": True, "updated_at": "2026-11-20T12:00:00.000Z"}
    assert told["client_key"] == {"set": False, "updated_at": None}
    assert told["status"]["state"] == "untested"
    for reference in (told["id"], "office"):
        assert (await counter.ask("GET", f"/v1/relays/{reference}")).json() == told


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({"port": 0, "tls": "ssl", "hots": "x"}, {"/port", "/tls", "/hots"}),
        ({"name": "sandbox"}, {"/name"}),
        ({"name": None}, {"/name"}),
        ({"password": None}, {"/password"}),
        ({"password": "••••••"}, {"/password"}),
        ({"password": {"set": True}}, {"/password"}),
        ({"host": "smtp://mail.example.org"}, {"/host"}),
        ({"from": "ann\r\n@example.org"}, {"/from"}),
        ({"username": "ann\r\nRSET"}, {"/username"}),
        ({"default": "yes"}, {"/default"}),
        ({"default": False, "port": "x"}, {"/default", "/port"}),
        ({"headers": {"From": "x"}}, {"/headers/From"}),
        ({"pin": 1}, {"/pin"}),
    ],
)
async def test_bad_settings_are_named(
    counter: Counter, fields: dict[str, Any], pointers: set[str]
) -> None:
    """All of them, and nothing is stored."""
    got = await counter.ask("POST", "/v1/relays", SMTP | fields)

    assert got.status_code == 422, got.text
    assert {each["pointer"] for each in got.json()["errors"]} == pointers
    assert CANARY not in got.text
    assert len((await counter.ask("GET", "/v1/relays")).json()["data"]) == 1


async def test_a_change_keeps_what_it_does_not_name(counter: Counter) -> None:
    """The secret too, unless it is named or would go somewhere else."""
    relay = await added(counter)
    path = f"/v1/relays/{relay['id']}"

    got = await counter.ask("PATCH", path, {"max_connections": 2, "default": True})
    told = got.json()
    assert (told["version"], told["max_connections"], told["default"]) == (2, 2, True)
    assert told["password"]["set"] is True

    moved = await counter.ask("PATCH", path, {"host": "evil.example.org"})
    assert moved.status_code == 422
    assert [each["pointer"] for each in moved.json()["errors"]] == ["/password"]

    cleared = await counter.ask("PATCH", path, {"auth": "none", "password": None, "username": None})
    assert cleared.json()["password"] == {"set": False, "updated_at": None}


@pytest.mark.parametrize("how", ["header", "field"])
async def test_who_comes_second_is_told(counter: Counter, how: str) -> None:
    """With If-Match or version, a change of an older version is refused."""
    relay = await added(counter)
    path = f"/v1/relays/{relay['id']}"

    async def change(version: int) -> int:
        if how == "header":
            headers = {"If_Match": f'"{version}"'}
            return (await counter.ask("PATCH", path, {"port": 465}, **headers)).status_code
        return (await counter.ask("PATCH", path, {"port": 465, "version": version})).status_code

    assert await change(1) == 200
    assert await change(1) == 409
    assert await change(2) == 200


@pytest.mark.parametrize(("tag", "status"), [("*", 200), ("x", 422), ('"9"', 409)])
async def test_entity_tags(counter: Counter, tag: str, status: int) -> None:
    relay = await added(counter)
    got = await counter.ask("PATCH", f"/v1/relays/{relay['id']}", {}, If_Match=tag)

    assert got.status_code == status
    if status == 422:
        assert got.json()["errors"][0]["header"] == "If-Match"


async def test_a_relay_is_removed(counter: Counter) -> None:
    """But not the default one: mail must always have somewhere to go."""
    relay = await added(counter)

    assert (await counter.ask("DELETE", f"/v1/relays/{relay['id']}")).status_code == 204
    assert (await counter.ask("GET", f"/v1/relays/{relay['id']}")).status_code == 404
    got = await counter.ask("DELETE", "/v1/relays/sandbox")
    assert (got.status_code, got.json()["code"]) == (409, "conflict")


async def test_a_message_outlives_its_relay(counter: Counter) -> None:
    """It is held, and can still be looked at."""
    relay = await added(counter)
    sent = (await counter.ask("POST", "/v1/messages", HELLO | {"relay": "office"})).json()
    assert sent["relay"] == "office"
    await counter.ask("DELETE", "/v1/relays/office")

    told = (await counter.ask("GET", f"/v1/messages/{sent['id']}")).json()

    assert (told["state"], told["relay"]) == ("held", relay["id"])


async def test_a_saved_relay_is_diagnosed_and_remembered(counter: Counter) -> None:
    """A relay that does not answer: a report, not an error, and a status."""
    relay = await added(counter, host="127.0.0.1", port=1)

    got = await counter.ask("POST", f"/v1/relays/{relay['id']}/diagnose", {"to": "b@example.org"})

    report = got.json()
    assert (got.status_code, report["ok"], report["relay"]) == (200, False, "office")
    failed = next(step for step in report["steps"] if step["status"] == "fail")
    assert failed["stage"] == "connect"
    assert failed["fix"]
    told = (await counter.ask("GET", "/v1/relays/office")).json()
    assert told["status"]["state"] == "not working"
    assert CANARY not in got.text


async def test_the_sandbox_is_well(counter: Counter) -> None:
    got = await counter.ask("POST", "/v1/relays/sandbox/diagnose")

    assert got.json()["ok"] is True


async def test_typed_settings_are_diagnosed_without_being_saved(counter: Counter) -> None:
    """With their own secret, and nothing is stored."""
    body = SMTP | {"host": "127.0.0.1", "port": 1, "to": "bob@example.org"}

    got = await counter.ask("POST", "/v1/relays/diagnose", body)

    assert (got.status_code, got.json()["ok"]) == (200, False)
    assert CANARY not in got.text
    assert len((await counter.ask("GET", "/v1/relays")).json()["data"]) == 1


async def test_settings_are_proposed_for_an_address(counter: Counter) -> None:
    """Each change may be posted as a relay as it is, with a name and a password."""
    got = await counter.ask("POST", "/v1/relays/propose", {"address": "ann@gmail.com"})

    told = got.json()
    assert (got.status_code, told["address"]) == (200, "ann@gmail.com")
    [best] = told["proposals"]
    assert (best["source"], best["sure"], best["answers"]) == ("domain", "certain", False)
    relay = {"name": "mine", "password": CANARY, **best["change"]}
    assert (await counter.ask("POST", "/v1/relays", relay)).status_code == 201


async def test_an_address_of_nobody_we_know_says_where_we_looked(counter: Counter) -> None:
    """Nothing found is an answer, not an error."""
    got = await counter.ask("POST", "/v1/relays/propose", {"address": "ann@b.example"})

    assert (got.status_code, got.json()["proposals"]) == (200, [])
    assert {each["source"] for each in got.json()["looked"]} == {"mx", "autoconfig", "srv", "name"}


@pytest.mark.parametrize("body", [{}, {"address": "ann"}, {"address": None}, {"mail": "a@b.c"}])
async def test_what_is_no_address_is_refused(counter: Counter, body: dict[str, Any]) -> None:
    """With the field that is wrong."""
    assert (await counter.ask("POST", "/v1/relays/propose", body)).status_code == 422


async def test_typed_settings_are_never_mixed_with_stored_ones(counter: Counter) -> None:
    """A stored password cannot be sent to a host that somebody typed (CVE-2024-5967)."""
    await added(counter)
    body = {name: value for name, value in SMTP.items() if name != "password"}

    got = await counter.ask("POST", "/v1/relays/diagnose", body | {"host": "127.0.0.1"})

    assert got.status_code == 422
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]


async def test_a_test_message_is_a_message(counter: Counter) -> None:
    """Stored and carried like any other."""
    got = await counter.ask(
        "POST",
        "/v1/relays/sandbox/test-message",
        {"to": "Bob <bob@example.org>", "from": "ann@example.org"},
    )

    assert (got.status_code, got.json()["relay"]) == (202, "sandbox")
    assert got.json()["deliveries"][0]["to"] == "bob@example.org"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/to"),
        ({"to": ["a@b.example"]}, "/to"),
        ({"to": "a@b.example", "cc": "x"}, "/cc"),
        ({"to": "a@b.example"}, "/from"),
    ],
)
async def test_a_test_message_with_mistakes(
    counter: Counter, body: dict[str, Any], pointer: str
) -> None:
    """The sandbox has no sender of its own, so it must be named."""
    got = await counter.ask("POST", "/v1/relays/sandbox/test-message", body)

    assert got.status_code == 422
    assert [each["pointer"] for each in got.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/diagnose"),
        ("POST", "/test-message"),
    ],
)
async def test_a_relay_that_is_not_there(counter: Counter, method: str, path: str) -> None:
    body = None if method in {"GET", "DELETE"} else {"to": "bob@example.org"}
    if method == "PATCH":
        body = {}
    got = await counter.ask(method, f"/v1/relays/nowhere{path}", body)

    assert (got.status_code, got.json()["code"]) == (404, "not_found")


async def test_a_secret_goes_in_and_never_out(
    counter: Counter, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in an answer, a page, a number or a log line, also when things go wrong."""
    secrets = {"password": CANARY, "proxy_password": f"{CANARY}-2"}
    relay = await added(
        counter,
        **secrets,
        host="127.0.0.1",
        port=1,
        proxy_kind="socks5",
        proxy_host="127.0.0.1",
        proxy_port=1,
        proxy_username="p",
    )
    path = f"/v1/relays/{relay['id']}"
    sent = (await counter.ask("POST", "/v1/messages", HELLO | {"relay": relay["id"]})).json()
    asked = [
        ("GET", path, None),
        ("GET", "/v1/relays", None),
        ("PATCH", path, {"port": 2, **secrets}),
        ("PATCH", path, {"port": -1, **secrets}),
        ("PATCH", path, {"password": [CANARY]}),
        ("POST", "/v1/relays", SMTP | {"name": "office", "pasword": CANARY}),
        ("POST", f"{path}/diagnose", None),
        ("POST", "/v1/relays/diagnose", SMTP | secrets | {"host": "127.0.0.1", "port": 1}),
        ("POST", f"{path}/test-message", {"to": "bob@example.org"}),
        ("GET", f"/v1/messages/{sent['id']}", None),
        ("GET", "/v1/events", None),
        ("GET", "/v1/keys", None),
        ("GET", "/v1/openapi.json", None),
        ("GET", "/metrics", None),
        ("GET", "/readyz", None),
        ("GET", "/docs", None),
        ("GET", "/", None),
        ("GET", "/relays", None),
        ("GET", f"/messages/{sent['id']}", None),
    ]
    told = [await counter.ask(method, where, body) for method, where, body in asked]

    for (method, where, _), got in zip(asked, told, strict=True):
        everything = got.text + json.dumps(dict(got.headers))
        assert CANARY not in everything, (method, where)
    printed = capfd.readouterr()
    assert CANARY not in printed.out + printed.err
    assert counter.key not in "".join(got.text for got in told)


def _trouble(relay: Relay, **changes: Any) -> Trouble:
    trouble = Trouble(
        relay_id=relay.id,
        relay_version=relay.version,
        relay_name=relay.name,
        needs_person=True,
        cause="The password is wrong.",
        advice="auth.wrong-password",
    )
    return replace(trouble, **changes)


async def test_a_person_lets_a_relay_go_on(counter: Counter) -> None:
    """The rest ends, the journal says who ended it, and a relay that is well stays as it is."""
    registry = counter.desk.registry
    relay = registry.default()
    await registry.rest(_trouble(relay))
    before = (await counter.ask("GET", f"/v1/relays/{relay.name}")).json()["status"]

    first = await counter.ask("POST", f"/v1/relays/{relay.name}/resume")
    again = await counter.ask("POST", f"/v1/relays/{relay.id}/resume")

    assert (before["state"], before["connections"]) == ("suspended", 0)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["status"]["state"] == "working"
    events = (await counter.ask("GET", "/v1/events?limit=100")).json()["data"]
    (resumed,) = [each for each in events if each["name"] == "relay.resumed"]
    assert resumed["principal"].startswith("key:")


async def test_a_slowed_relay_says_why_and_how_many_sessions_it_has(counter: Counter) -> None:
    registry, now = counter.desk.registry, counter.clock.now()
    relay = registry.default()
    complaint = Complaint(
        relay_id=relay.id,
        relay_name=relay.name,
        most=relay.settings.max_connections,
        began_at=now,
        cause="Too many sessions.",
        advice="pace.connections",
    )
    await registry.rest(_trouble(relay, needs_person=False, complaint=complaint))

    status = (await counter.ask("GET", f"/v1/relays/{relay.name}")).json()["status"]
    metrics = (await counter.ask("GET", "/metrics")).text

    assert (status["state"], status["connections"]) == ("slowed", 2)
    assert status["cause"] == "Too many sessions."
    assert status["fix"]
    assert f'pillarbox_relay_slowed{{relay="{relay.name}"}} 1.0' in metrics
    assert f'pillarbox_relay_connections_allowed{{relay="{relay.name}"}} 2.0' in metrics


async def test_a_key_may_have_relays_tried_ten_times_a_minute(counter: Counter) -> None:
    """Or it would scan ports from this machine. Diagnoses and test mail count together."""
    unsaved = {"host": "127.0.0.1", "port": 1, "tls": "none"}
    letter = {"to": "bob@example.org", "from": "ann@example.org"}
    asks: list[tuple[str, dict[str, Any] | None]] = [
        *[("/v1/relays/diagnose", unsaved)] * 4,
        *[("/v1/relays/sandbox/diagnose", None)] * 3,
        *[("/v1/relays/sandbox/test-message", letter)] * 3,
    ]
    good = [(await counter.ask("POST", path, body)).status_code for path, body in asks]
    clock = counter.clock
    assert isinstance(clock, HandClock)
    clock.move(seconds=20.5)
    refused = [await counter.ask("POST", path, body) for path, body in asks[::4]]
    operator = await counter.ask(
        "POST", "/v1/relays/diagnose", unsaved, authorization=f"Bearer {OPERATOR_TOKEN}"
    )
    clock.move(seconds=39.5)
    later = await counter.ask("POST", "/v1/relays/sandbox/diagnose")

    assert good == [200] * 7 + [202] * 3
    assert [each.status_code for each in refused] == [429] * 3
    assert {each.json()["code"] for each in refused} == {"too_many_requests"}
    assert {each.headers["retry-after"] for each in refused} == {"40"}
    assert operator.status_code == 200, "the operator has the machine anyway"
    assert later.status_code == 200
    assert await counter.count() == 3


async def test_a_request_with_mistakes_does_not_count_as_a_trial(counter: Counter) -> None:
    for _ in range(12):
        wrong = await counter.ask("POST", "/v1/relays/diagnose", {"port": "many"})
        assert wrong.status_code == 422

    assert (await counter.ask("POST", "/v1/relays/sandbox/diagnose")).status_code == 200
