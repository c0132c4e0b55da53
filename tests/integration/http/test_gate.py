"""Who is let in, what is told when something goes wrong, and what everybody may see."""

from __future__ import annotations

import pytest

from pillarbox.inlets.http.openapi import describe
from support.desk import HELLO, OPERATOR_TOKEN, Counter, client_of

OPEN = {"/livez", "/readyz", "/docs", "/v1/openapi.json"}


async def test_every_api_route_needs_a_key(counter: Counter) -> None:
    """Routes that are added later, too: what is not named as open is closed."""
    asked = 0
    for path, operations in describe(counter.app)["paths"].items():
        for method in operations if path not in OPEN else ():
            filled = path.replace("{", "").replace("}", "")
            got = await counter.ask(method, filled, Authorization="")
            assert got.status_code == 401, (method, path)
            asked += 1
    assert asked > 15


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "missing_credentials"),
        ("Bearer", "invalid_credentials"),
        ("Bearer pb_x_y", "invalid_credentials"),
        ("Basic YTpi", "invalid_credentials"),
        (f"Bearer {OPERATOR_TOKEN}x", "invalid_credentials"),
        (f"Bearer {OPERATOR_TOKEN[:-1]}", "invalid_credentials"),
    ],
)
async def test_without_a_key_nothing_is_done(
    counter: Counter, authorization: str, code: str
) -> None:
    """401 with what to send, before the body is looked at."""
    got = await counter.ask("POST", "/v1/messages", HELLO, Authorization=authorization)

    assert (got.status_code, got.json()["code"]) == (401, code)
    assert got.headers["www-authenticate"].startswith("Bearer")
    assert got.headers["content-type"] == "application/problem+json"
    assert await counter.count() == 0


async def test_the_operator_of_the_machine_has_a_token(counter: Counter) -> None:
    """Whoever can read the home folder may do everything."""
    counter.key = OPERATOR_TOKEN
    made = (await counter.ask("POST", "/v1/messages", HELLO)).json()

    told = (await counter.ask("GET", f"/v1/messages/{made['id']}")).json()

    assert told["principal"] == "operator:local"


async def test_a_key_is_shown_once_and_works_until_revoked(counter: Counter) -> None:
    """Created, listed without its text, revoked."""
    made = await counter.ask("POST", "/v1/keys", {"name": "shop"})
    assert made.status_code == 201
    told = made.json()
    assert set(told) == {"id", "name", "key", "created_at", "revoked_at", "tenant"}
    own, counter.key = counter.key, told["key"]
    assert (await counter.ask("POST", "/v1/messages", HELLO)).status_code == 202
    counter.key = own
    listed = (await counter.ask("GET", "/v1/keys")).text
    assert told["id"] in listed
    assert told["key"] not in listed

    assert (await counter.ask("DELETE", f"/v1/keys/{told['id']}")).status_code == 204
    counter.key = told["key"]
    assert (await counter.ask("POST", "/v1/messages", HELLO)).status_code == 401


@pytest.mark.parametrize("body", [{}, {"name": 1}, {"name": ""}, {"name": "a\nb"}, {"nmae": "a"}])
async def test_a_key_needs_a_name(counter: Counter, body: dict[str, object]) -> None:
    got = await counter.ask("POST", "/v1/keys", body)

    assert got.status_code == 422
    assert {each["pointer"] for each in got.json()["errors"]} <= {"/name", "/nmae"}


async def test_a_request_has_an_id(counter: Counter) -> None:
    """The caller's own when it is one, else a new one; problems repeat it."""
    got = await counter.ask("GET", "/v1/messages/x", X_Request_Id="order-17")
    assert got.headers["x-request-id"] == got.json()["request_id"] == "order-17"

    for wrong in ("a b", "x" * 65, "a\tb"):
        got = await counter.ask("GET", "/livez", X_Request_Id=wrong)
        assert got.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/v1/messages/", 404, "not_found"),
        ("GET", "/relays/", 404, "not_found"),
        ("DELETE", "/v1/messages", 405, "method_not_allowed"),
        ("POST", "/livez", 405, "method_not_allowed"),
    ],
)
async def test_what_there_is_not(
    counter: Counter, method: str, path: str, status: int, code: str
) -> None:
    """The router's own refusals are problems like all others."""
    got = await counter.ask(method, path)

    assert (got.status_code, got.json()["code"]) == (status, code)
    assert got.headers["content-type"] == "application/problem+json"
    if status == 405:
        assert got.headers["allow"]


async def test_a_fault_of_ours_is_not_told_but_logged(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with the id that the log has it under; not one word of what was sent."""

    async def broken(*_: object) -> None:
        raise LookupError("canary-in-the-message")

    monkeypatch.setattr(type(counter.desk.queue), "enqueue", broken)
    got = await counter.ask("POST", "/v1/messages", HELLO, X_Request_Id="req-1")

    assert (got.status_code, got.json()["code"]) == (500, "internal_error")
    assert "req-1" in got.json()["detail"]
    printed = caplog.text
    assert "req-1" in printed
    assert "LookupError" in printed
    assert "canary" not in got.text + printed


async def test_when_the_database_is_gone(counter: Counter) -> None:
    """503 with when to come again; nothing is promised."""
    await counter.desk.database.close()

    got = await counter.ask("POST", "/v1/messages", HELLO)

    assert got.status_code == 503
    assert int(got.headers["retry-after"]) > 0


async def test_a_relay_that_does_not_work_is_told_and_decides_nothing(counter: Counter) -> None:
    """Mail is taken all the same. Anybody may ask, so its name is not said."""
    body = {"name": "quite-private", "host": "127.0.0.1", "port": 1, "tls": "none"}
    added = await counter.ask("POST", "/v1/relays", body | {"auth": "none"})
    await counter.ask("POST", f"/v1/relays/{added.json()['id']}/diagnose")
    got = await counter.ask("GET", "/readyz", Authorization="")

    assert (got.status_code, got.json()["ok"]) == (200, True)
    assert got.json()["checks"][-1]["ok"] is False
    assert "quite-private" not in got.text


async def test_health(counter: Counter) -> None:
    """Ready while the database can be written and mail is carried; alive in any case."""
    assert (await counter.ask("GET", "/livez", Authorization="")).status_code == 200
    ready = await counter.ask("GET", "/readyz", Authorization="")
    assert (ready.status_code, ready.json()["ok"]) == (200, True)

    counter.is_ready[0] = False
    tired = await counter.ask("GET", "/readyz", Authorization="")
    assert tired.status_code == 503
    assert [each["ok"] for each in tired.json()["checks"]] == [True, False, True]

    await counter.desk.database.close()
    counter.clock.move(seconds=2)  # type: ignore[attr-defined]  # the hand clock of the desk
    gone = await counter.ask("GET", "/readyz", Authorization="")
    assert [each["ok"] for each in gone.json()["checks"]] == [False, False, True]


async def test_numbers_for_machines(counter: Counter) -> None:
    """Prometheus' format; from this machine, or with a key."""
    await counter.ask("POST", "/v1/messages", HELLO)

    here = await counter.ask("GET", "/metrics", Authorization="")
    assert here.status_code == 200
    assert here.headers["content-type"].startswith("text/plain; version=")
    assert 'pillarbox_deliveries{relay="sandbox",state="queued"} 1.0' in here.text
    assert 'pillarbox_http_answers_total{method="POST",status="202"} 1.0' in here.text
    async with client_of(counter.app, peer="192.0.2.7") as elsewhere:
        assert (await elsewhere.get("/metrics")).status_code == 401
        key = {"authorization": f"Bearer {counter.key}"}
        assert (await elsewhere.get("/metrics", headers=key)).status_code == 200


async def test_events_are_read_from_a_cursor(counter: Counter) -> None:
    """Oldest first; the cursor leads on, now and later."""
    first = (await counter.ask("GET", "/v1/events?limit=1")).json()
    assert [each["name"] for each in first["data"]] == ["relay.added"]
    assert first["has_more"] is True
    rest = (await counter.ask("GET", f"/v1/events?after={first['next_cursor']}")).json()
    assert [each["name"] for each in rest["data"]] == ["key.created"]

    await counter.ask("POST", "/v1/messages", HELLO)
    new = (await counter.ask("GET", f"/v1/events?after={rest['next_cursor']}")).json()
    assert [each["name"] for each in new["data"]] == ["message.accepted"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [("gmail", "gmail"), ("ann@gmail.com", "gmail"), ("Gmial", "gmail"), ("ses", "ses")],
)
async def test_providers_are_found(counter: Counter, query: str, expected: str) -> None:
    """By name, address, and nearly."""
    found = (await counter.ask("GET", "/v1/providers", None)).json()["data"]
    assert len(found) > 20
    meant = (await counter.ask("GET", f"/v1/providers?q={query}")).json()["data"]

    assert meant
    assert all(expected in each["id"] for each in meant)


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("evil.example", "127.0.0.1"),
        ("evil.example:8425", "127.0.0.1"),
        ("127.0.0.1.evil.example", "127.0.0.1"),
        ("localhost.evil.example", "127.0.0.1"),
        ("localhost", "192.0.2.7"),
        ("127.0.0.1:8425", "10.0.0.1"),
        ("127.0.0.1:8425", "2001:db8::1"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/relays", "/captured", "/captured/x/body", "/messages/x"])
async def test_the_console_stays_on_this_machine(
    counter: Counter, host: str, peer: str, path: str
) -> None:
    """A foreign name is DNS rebinding, a foreign peer is a stranger: neither sees a page."""
    async with client_of(counter.app, peer=peer) as client:
        got = await client.get(path, headers={"host": host})

    assert got.status_code == (421 if peer == "127.0.0.1" else 404)
    assert got.headers["content-type"] == "application/problem+json"
    assert "sandbox" not in got.text


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_a_forwarded_request_is_from_elsewhere(counter: Counter, name: str) -> None:
    """A proxy on this machine must not open the console to the world."""
    got = await counter.client.get("/", headers={name: "192.0.2.7"})

    assert got.status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8425", "localhost:1", "[::1]:8425", "LOCALHOST"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_the_console_opens_on_this_machine(counter: Counter, host: str, peer: str) -> None:
    async with client_of(counter.app, peer=peer) as client:
        got = await client.get("/", headers={"host": host})

    assert got.status_code == 200


async def test_a_parameter_that_stands_twice_is_refused(counter: Counter) -> None:
    """One of the two would be ignored in silence, and nobody knows which was meant."""
    got = await counter.ask("GET", "/v1/providers?q=gmail&q=sendgrid")

    assert got.status_code == 422
    assert got.json()["errors"][0]["parameter"] == "q"
