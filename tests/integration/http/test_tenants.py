"""Tenants by HTTP: what a tenant's key may do, and that it sees its own mail only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.routing import APIRoute

from pillarbox.access.policy import OF_TENANTS
from pillarbox.access.principal import OPERATOR
from pillarbox.access.tenants import Permission, TenantChange
from pillarbox.inlets.http.gate import OPEN
from pillarbox.inlets.http.server import _API
from pillarbox.mail.dkim import Signer
from pillarbox.queue.lanes import lane_of
from pillarbox.queue.tables import deliveries
from support.desk import HELLO, Counter, client_of, open_counter

ROUTES = sorted(
    (method, route.path)
    for module in _API
    for route in module.router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)
CLOSED = [each for each in ROUTES if each not in OF_TENANTS and each[1] not in {*OPEN, "/metrics"}]


@dataclass(slots=True)
class Shared:
    """A counter with two tenants and a key of each."""

    counter: Counter
    keys: dict[str, str]
    ids: dict[str, str]

    async def ask(self, who: str, method: str, path: str, json: Any = None, **headers: str) -> Any:
        key = self.keys[who]
        return await self.counter.ask(method, path, json, authorization=f"Bearer {key}", **headers)

    async def send(self, who: str, **changes: Any) -> str:
        answer = await self.ask(who, "POST", "/v1/messages", HELLO | changes)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def allow(self, who: str, **changes: Any) -> None:
        change = TenantChange(**changes)
        await self.counter.desk.tenants.change(who, change, OPERATOR)


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    async with open_counter(tmp_path) as counter:
        keys, ids = {"system": counter.key}, {}
        for name in ("acme", "globex"):
            tenant = await counter.desk.tenants.add(TenantChange(name=name), OPERATOR)
            _, keys[name] = await counter.desk.keys.create(name, OPERATOR, tenant=tenant.id)
            ids[name] = tenant.id
        yield Shared(counter, keys, ids)


def test_the_table_names_routes_that_there_are() -> None:
    """And the list of what is closed is a list of something."""
    assert set(OF_TENANTS) <= set(ROUTES)
    assert len(CLOSED) > 30


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_a_route_that_is_not_in_the_table_is_closed_to_tenants(
    method: str, path: str, shared: Shared
) -> None:
    """Refused before it is looked at, for every tenant alike; the system's key gets further."""
    asked = path.replace("{message_id}", "msg_1").replace("{", "").replace("}", "")
    for who in ("acme", "globex"):
        answer = await shared.ask(who, method, asked, {})
        assert answer.status_code == 403, (method, path)
        assert answer.json()["code"] == "denied"
    if not asked.endswith("/stream"):  # it does not end
        assert (await shared.ask("system", method, asked, {})).status_code != 403


@pytest.mark.parametrize(
    ("method", "path"), [each for each in OF_TENANTS if "{message_id}" in each[1]]
)
async def test_a_message_of_somebody_else_is_not_there(
    method: str, path: str, shared: Shared
) -> None:
    """The same to the letter as for an id that nobody has; its owner and the system reach it."""
    ids = {"acme": await shared.send("acme"), "system": await shared.send("system")}
    nobody = "msg_00000000000000000000000000"
    unknown = await shared.ask("globex", method, path.replace("{message_id}", nobody), {})
    for owner in ("acme", "system"):
        asked = path.replace("{message_id}", ids[owner])
        answer = await shared.ask("globex", method, asked, {})
        assert answer.status_code == 404
        assert _told(answer, ids[owner]) == _told(unknown, nobody)
    mine = path.replace("{message_id}", ids["acme"])
    for who in ("acme", "system"):
        assert (await shared.ask(who, method, mine, {})).status_code not in (403, 404)
    gone = await shared.ask("acme", method, path.replace("{message_id}", ids["system"]), {})
    assert gone.status_code == 404


def _told(answer: Any, message_id: str) -> str:
    body = answer.json()
    body.pop("request_id", None)
    body.pop("instance", None)
    return str(body).replace(message_id, "ID")


async def test_a_list_holds_what_is_the_tenants_own(shared: Shared) -> None:
    """Of every page and with every filter; the system sees all."""
    mine = sorted([await shared.send("acme"), await shared.send("acme")])
    theirs = await shared.send("globex")
    await shared.send("system")

    async def listed(who: str, query: str = "") -> list[str]:
        answer = await shared.ask(who, "GET", f"/v1/messages{query}")
        return [each["id"] for each in answer.json()["data"]]

    assert await listed("acme") == mine[::-1]
    assert await listed("acme", "?limit=1") == mine[1:]
    assert await listed("acme", f"?before={mine[0]}") == mine[1:]
    assert await listed("acme", "?to=bob@example.org&state=queued") == mine[::-1]
    assert await listed("globex") == [theirs]
    assert len(await listed("system")) == 4


async def test_metrics_are_the_operators(shared: Shared) -> None:
    """From elsewhere, where a key is asked for, a tenant's key does not do."""
    async with client_of(shared.counter.app, peer="192.0.2.7") as client:
        for who, wanted in (("acme", 403), ("system", 200)):
            headers = {"authorization": f"Bearer {shared.keys[who]}"}
            assert (await client.get("/metrics", headers=headers)).status_code == wanted


async def test_both_ways_in_keep_whose_it_is(shared: Shared) -> None:
    """A message alone and one of a batch: the story names the tenant, the lane is its own."""
    alone = await shared.send("acme")
    batch = await shared.ask("acme", "POST", "/v1/messages/batch", {"messages": [HELLO]})
    other = batch.json()["data"][0]["message"]["id"]

    for message_id in (alone, other):
        story = (await shared.ask("acme", "GET", f"/v1/messages/{message_id}")).json()
        assert story["tenant"] == shared.ids["acme"]
    lanes = await shared.counter.desk.database.read(
        lambda connection: set(
            connection.scalars(deliveries.select().with_only_columns(deliveries.c.lane))
        )
    )
    assert lanes == {lane_of(shared.ids["acme"])}


async def test_what_is_sent_again_stays_with_its_tenant(shared: Shared) -> None:
    """Also when the operator does it."""
    first = await shared.send("acme")
    again = await shared.ask("system", "POST", f"/v1/messages/{first}/resend", {})

    assert again.status_code == 202
    seen = await shared.ask("acme", "GET", f"/v1/messages/{again.json()['id']}")
    assert seen.status_code == 200
    assert (await shared.ask("globex", "GET", f"/v1/messages/{again.json()['id']}")).is_error


async def test_one_idempotency_key_of_two_tenants_is_two(shared: Shared) -> None:
    """And a repeat gets the receipt, also when the policy has changed meanwhile."""
    sent = {}
    for who in ("acme", "globex"):
        answer = await shared.ask(who, "POST", "/v1/messages", HELLO, idempotency_key="one")
        sent[who] = answer.json()["id"]
    assert sent["acme"] != sent["globex"]
    await shared.allow("acme", system_relays=Permission.FORBIDDEN)

    again = await shared.ask("acme", "POST", "/v1/messages", HELLO, idempotency_key="one")
    assert (again.status_code, again.json()["id"]) == (202, sent["acme"])


async def test_a_tenant_may_be_forbidden_the_systems_relay(shared: Shared) -> None:
    """At once, with the field and what to do; nothing is stored, and others go on."""
    await shared.allow("acme", system_relays=Permission.FORBIDDEN)

    answer = await shared.ask("acme", "POST", "/v1/messages", HELLO)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/relay"
    assert "--system-relays allowed" in answer.text
    assert await shared.counter.count() == 0
    await shared.send("globex")
    await shared.allow("acme", system_relays=Permission.ALLOWED)
    await shared.send("acme")


async def test_a_tenant_names_no_relay_but_the_one_it_may_use(shared: Shared) -> None:
    """Another relay of the system is to a tenant as one that there is not."""
    made = await shared.counter.ask("POST", "/v1/relays", {"name": "vip", "kind": "sandbox"})
    assert made.status_code == 201
    for name in ("vip", made.json()["id"], "nothing"):
        answer = await shared.ask("acme", "POST", "/v1/messages", HELLO | {"relay": name})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["detail"] == f"there is no relay “{name}”"
        listed = await shared.ask("acme", "GET", f"/v1/messages?relay={name}")
        assert listed.status_code == 404
    await shared.send("acme", relay="sandbox")


async def test_a_tenant_sends_from_its_senders_only(shared: Shared) -> None:
    """From and Sender alike; a domain, what is below one, or an address."""
    await shared.allow("acme", senders=("acme.example", "ann@other.example"))
    for sender in ("x@acme.example", "ann@other.example"):
        await shared.send("acme", **{"from": sender})
    for changes in ({"from": "bob@other.example"}, {"from": "x@sub.acme.example"}):
        answer = await shared.ask("acme", "POST", "/v1/messages", HELLO | changes)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/from"


async def test_nothing_is_signed_for_a_sender_that_is_not_the_tenants(shared: Shared) -> None:
    """The signing keys are the system's: a tenant cannot borrow another one's good name."""
    signer = Signer(domain="example.org", selector="one", key=Ed25519PrivateKey.generate())
    shared.counter.desk.acceptance.sign_by(lambda domain: (signer,))

    async def is_signed(who: str) -> bool:
        answer = await shared.ask(who, "POST", "/v1/messages", HELLO | {"dry_run": True})
        return "DKIM-Signature" in answer.json()["content"]

    assert await is_signed("system")
    assert not await is_signed("acme")
    await shared.allow("acme", senders=("example.org",))
    assert await is_signed("acme")
    assert not await is_signed("globex")


async def test_tenants_are_made_changed_and_removed(shared: Shared) -> None:
    """By the system, with every mistake named; one with keys stays."""
    ask = shared.counter.ask
    assert (await ask("POST", "/v1/tenants", {"name": "acme"})).status_code == 409
    wrong = await ask("POST", "/v1/tenants", {"name": "x", "system_relays": "maybe"})
    assert wrong.json()["errors"][0]["pointer"] == "/system_relays"
    made = await ask("POST", "/v1/tenants", {"name": "initech", "senders": "@initech.example"})
    assert made.json()["senders"] == ["initech.example"]
    changed = await ask("PATCH", "/v1/tenants/initech", {"name": "Initech"})
    assert changed.json()["name"] == "Initech"
    assert (await ask("DELETE", "/v1/tenants/acme")).status_code == 409
    assert (await ask("DELETE", "/v1/tenants/Initech")).status_code == 204
    assert (await ask("GET", "/v1/tenants/Initech")).status_code == 404
    unknown = await ask("POST", "/v1/keys", {"name": "x", "tenant": "nobody"})
    assert unknown.json()["errors"][0]["pointer"] == "/tenant"


async def test_a_key_made_for_a_tenant_is_that_tenants(shared: Shared) -> None:
    """And so after a restart: the tenant is kept with the key."""
    made = await shared.counter.ask("POST", "/v1/keys", {"name": "x", "tenant": "acme"})
    await shared.counter.desk.keys.load()
    who = shared.counter.desk.keys.authenticate(made.json()["key"])
    assert who.tenant == shared.ids["acme"]
    assert made.json()["tenant"] == shared.ids["acme"]


async def test_mail_of_a_removed_tenant_is_sent_again_by_the_operator(shared: Shared) -> None:
    """By the system's relay, and without a signature: nobody says any more who may send so."""
    counter = shared.counter
    signer = Signer(domain="example.org", selector="one", key=Ed25519PrivateKey.generate())
    counter.desk.acceptance.sign_by(lambda domain: (signer,))
    await shared.allow("acme", senders=("example.org",))
    message = await shared.send("acme")
    key = counter.desk.keys.authenticate(shared.keys["acme"])
    await counter.desk.keys.revoke(key.id, OPERATOR)
    await counter.desk.tenants.remove("acme", OPERATOR)

    again = await counter.ask("POST", f"/v1/messages/{message}/resend", {})

    assert again.status_code == 202, again.text
    kept = await counter.desk.queue.content_of(again.json()["id"])
    assert kept is not None
    assert b"DKIM-Signature" not in kept
