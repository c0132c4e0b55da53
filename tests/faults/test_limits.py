"""F9, F20: few file descriptors, little memory, and messages as nobody writes them."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.checker import AcceptedLedger, check, settled
from support.laboratory import Size, Tally, add_relay, cpu_seconds
from support.ledger_relay import Options, ledger_relay
from support.program import Program, new_program, program
from support.senders import Senders, sending
from support.waiting import until

_PLAIN = {"from": "shop@shop.test", "to": "ann@kunde.test", "subject": "hi", "text": "hello"}
_MEGABYTE = 1_000_000


def limited(box: Program, limit: str) -> None:
    box.command = ("sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *box.command)


def test_more_connections_than_descriptors(tmp_path: Path, size: Size, tally: Tally) -> None:
    """256 descriptors and many more clients: it lives, and serves them once the others leave."""
    many = size(400, 1000)
    box = new_program(tmp_path)
    limited(box, "-n 256")
    try:
        with ledger_relay(tmp_path) as relay:
            box.start()
            add_relay(box, relay)
            key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
            with ExitStack() as stack:
                for _ in range(many):
                    client = socket.socket()
                    client.setblocking(False)
                    stack.enter_context(client)
                    client.connect_ex(("127.0.0.1", box.http_port))
                threading.Event().wait(1)
                assert box.ended() is None
            until(box.is_ready, seconds=20, what="an answer")
            with sending(Senders(box, key, ledger), most=20):
                pass
            settled(box, key)
            found = check(box, key, ledger, relay)
    finally:
        box.kill9()

    assert found.wrong == [], str(found)
    tally("F9-descriptors", descriptors=256, connections=many, **found.counts)


def post(box: Program, key: str, body: Any, octets: bytes | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{box.url}/v1/messages",
        octets or json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("clients", [1, 8])
def test_large_messages_in_little_memory(
    tmp_path: Path, size: Size, tally: Tally, clients: int
) -> None:
    """Many of 20 MB, in little address space: taken or put off, never a crash, none lost."""
    count = size(8, 50)
    box = new_program(tmp_path)
    limited(box, "-v 1500000")
    letter = json.dumps(_PLAIN | {"attachments": [_FILE]}).encode()
    senders = Postmen(box, letter, count)
    try:
        with ledger_relay(tmp_path) as relay:
            box.start()
            add_relay(box, relay)
            senders.run(clients, box.new_key())
            relay.wait_entries(count, seconds=90)
            settled(box, senders.key)
            peak = peak_memory(box.pid)
    finally:
        box.kill9()

    assert set(senders.statuses) <= {202, 503}
    assert senders.statuses[202] == count == len(relay.copies())
    assert peak <= 250 * _MEGABYTE
    told = {"clients": clients, "messages": count, "put_off": senders.statuses[503]}
    tally("F9-memory", **told, peak_megabytes=peak // _MEGABYTE, crashes=0)


_FILE = {"filename": "film.bin", "content": base64.b64encode(bytes(14_600_000)).decode()}


@dataclass(slots=True)
class Postmen:
    """Clients that share a pile of the same letter, and bring each until it is taken."""

    box: Program
    letter: bytes
    left: int
    key: str = ""
    statuses: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, clients: int, key: str) -> None:
        self.key = key
        threads = [threading.Thread(target=self._carry) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(600)

    def _carry(self) -> None:
        while self._takes_one():
            while self._bring() != 202:
                threading.Event().wait(0.2)

    def _takes_one(self) -> bool:
        with self._lock:
            self.left -= 1
            return self.left >= 0

    def _bring(self) -> int:
        status, _ = post(self.box, self.key, None, self.letter)
        with self._lock:
            self.statuses[status] += 1
        return status


def peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def nested(levels: int) -> dict[str, Any]:
    """A message that holds a message that holds a message."""
    whole = b"Subject: inside\r\nContent-Type: message/rfc822\r\n\r\n" * levels + b"end\r\n"
    content = base64.b64encode(whole).decode()
    file = {"filename": "a.eml", "content_type": "message/rfc822", "content": content}
    return {"attachments": [file]}


ODD: dict[str, tuple[dict[str, Any], int]] = {
    "nothing in it": ({"text": ""}, 202),
    "only dots": ({"text": ".\n..\n...\n.\n" * 500}, 202),
    "one line of 2 MB": ({"text": "y" * 2 * _MEGABYTE}, 202),
    "UTF-8 in every header": ({"subject": "日本語 " * 20, "from": "Ärzte <a@b.test>"}, 202),
    "50 recipients": ({"to": [f"user{n}@kunde.test" for n in range(50)]}, 202),
    "1000 recipients": ({"to": [f"user{n}@kunde.test" for n in range(1000)]}, 422),
    "2 MB of empty lines": ({"text": "\n" * 2 * _MEGABYTE}, 202),
    "25 MB and a little": ({"text": ("z" * 76 + "\n") * (26 * 1024 * 1024 // 77 + 1)}, 413),
    "100 000 headers": ({"headers": {f"X-{n}": "v" for n in range(100_000)}}, 422),
    "a header with a line end": ({"headers": {"X-A": "b\r\nBcc: eve@evil.test"}}, 422),
    "10 000 messages in each other": (nested(10_000), 202),
    "20 attachments of nothing": (
        {"attachments": [{"filename": f"{n}.txt", "content": ""} for n in range(20)]},
        202,
    ),
}
_MOST_CPU_SECONDS = 1.0
_MOST_GROWTH = 100 * _MEGABYTE


@pytest.mark.timeout(300)
def test_messages_as_nobody_writes_them(tmp_path: Path, tally: Tally) -> None:
    """Refused at the door with a reason, or carried to the octet; and each costs little."""
    with ledger_relay(tmp_path) as relay, program(tmp_path) as box:
        add_relay(box, relay)
        key = box.new_key()
        answers: dict[str, tuple[int, Any]] = {}
        costs = {}
        for name, (odd, _) in ODD.items():
            with cost(box) as costs[name]:
                answers[name] = post(box, key, _PLAIN | odd)
                settled(box, key)
        contents = {
            body["id"]: content_of(box, key, body["id"])
            for status, body in answers.values()
            if status == 202
        }
        taken = relay.entries()

    wanted = {name: status for name, (_, status) in ODD.items()}
    assert {name: status for name, (status, _) in answers.items()} == wanted
    digests = {(each.message_id.partition("@")[0].strip("<"), each.sha256) for each in taken}
    assert digests == {(k, hashlib.sha256(octets).hexdigest()) for k, octets in contents.items()}
    assert len({each.recipient for each in taken if each.recipient.startswith("user")}) == 50
    dear = {name: each for name, each in costs.items() if each.is_too_much}
    assert dear == {}
    carried = sum(status == 202 for status in wanted.values())
    told = {"odd": len(ODD), "carried": carried, "refused": len(ODD) - carried}
    seconds = max(each.cpu_seconds for each in costs.values())
    growth = max(each.growth for each in costs.values())
    tally("F20", **told, most_cpu_seconds=round(seconds, 2), most_megabytes=growth // _MEGABYTE)


@dataclass(slots=True)
class Cost:
    """CPU of the server, and by how many octets its memory grew at the most."""

    cpu_seconds: float = 0
    growth: int = 0

    @property
    def is_too_much(self) -> bool:
        return self.cpu_seconds > _MOST_CPU_SECONDS or self.growth > _MOST_GROWTH


@contextmanager
def cost(box: Program) -> Iterator[Cost]:
    """Of what happens in the block."""
    Path(f"/proc/{box.pid}/clear_refs").write_text("5")  # the peak begins anew, from what is there
    before, used, spent = peak_memory(box.pid), cpu_seconds(box.pid), Cost()
    yield spent
    spent.cpu_seconds = cpu_seconds(box.pid) - used
    spent.growth = peak_memory(box.pid) - before


def test_an_address_that_the_relay_cannot_say_fails_with_its_reason(tmp_path: Path) -> None:
    """A local part in UTF-8, and a relay without SMTPUTF8: never sent, never tried for ever."""
    with ledger_relay(tmp_path, Options(smtputf8=False)) as relay, program(tmp_path) as box:
        add_relay(box, relay)
        key = box.new_key()
        status, sent = post(box, key, _PLAIN | {"to": "jürgen@kunde.test"})
        settled(box, key)
        story = box.ask("GET", f"/v1/messages/{sent['id']}", key=key).body

    assert status == 202
    assert story["state"] == "failed"
    assert "SMTPUTF8" in story["deliveries"][0]["answer"]
    assert relay.entries() == []


def content_of(box: Program, key: str, message_id: str) -> bytes:
    request = urllib.request.Request(
        f"{box.url}/v1/messages/{message_id}/content", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        octets: bytes = answer.read()
        return octets
