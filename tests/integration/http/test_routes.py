"""Routes over HTTP: all rules at once, by the names of relays, and nobody's change is lost."""

from __future__ import annotations

from support.desk import HELLO, Counter

SERVER = {"host": "mail.example.org", "tls": "implicit"}


async def two_relays(counter: Counter) -> None:
    for name in ("office", "spare"):
        got = await counter.ask("POST", "/v1/relays", SERVER | {"name": name})
        assert got.status_code == 201, got.text


async def test_there_are_no_rules_at_first(counter: Counter) -> None:
    got = await counter.ask("GET", "/v1/routes")

    assert got.json() == {"version": 0, "changed_at": None, "rules": []}


async def test_rules_are_replaced_and_mail_follows_them(counter: Counter) -> None:
    await two_relays(counter)
    rules = [
        {"when": {"recipient_domain": "example.org"}, "relays": ["office", "spare"]},
        {"when": {}, "relays": ["spare"]},
    ]

    put = await counter.ask("PUT", "/v1/routes", {"rules": rules})
    sent = await counter.ask("POST", "/v1/messages", HELLO)
    other = await counter.ask("POST", "/v1/messages", HELLO | {"to": "zoe@z.example"})

    assert put.status_code == 200, put.text
    assert (put.json()["version"], put.json()["rules"]) == (1, rules)
    assert put.headers["etag"] == '"1"'
    assert sent.json()["relay"] == "office"
    assert other.json()["relay"] == "spare"
    events = (await counter.ask("GET", "/v1/events?limit=100")).json()["data"]
    (changed,) = [each for each in events if each["name"] == "routes.changed"]
    assert changed["facts"] == {"version": 1, "rules": 2}


async def test_a_mistake_is_named_and_nothing_changes(counter: Counter) -> None:
    """Unknown relay, a sandbox that would stand in, and a field that there is not."""
    await two_relays(counter)
    unknown = await counter.ask("PUT", "/v1/routes", {"rules": [{"relays": ["nowhere"]}]})
    sandbox = await counter.ask("PUT", "/v1/routes", {"rules": [{"relays": ["office", "sandbox"]}]})
    typo = await counter.ask("PUT", "/v1/routes", {"rule": []})

    assert [each["pointer"] for each in unknown.json()["errors"]] == ["/rules/0/relays/0"]
    assert [each["pointer"] for each in sandbox.json()["errors"]] == ["/rules/0/relays/1"]
    assert {each["pointer"] for each in typo.json()["errors"]} == {"/rule", "/rules"}
    assert (await counter.ask("GET", "/v1/routes")).json()["version"] == 0


async def test_who_was_second_is_told(counter: Counter) -> None:
    await two_relays(counter)
    first = {"rules": [{"relays": ["office"]}], "version": 0}

    assert (await counter.ask("PUT", "/v1/routes", first)).status_code == 200
    assert (await counter.ask("PUT", "/v1/routes", first)).status_code == 409
    stale = await counter.ask("PUT", "/v1/routes", {"rules": []}, if_match='"7"')
    assert stale.status_code == 409
