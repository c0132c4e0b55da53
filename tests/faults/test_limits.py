"""F9, F20: few file descriptors, little memory, and messages as nobody writes them."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.checker import AcceptedLedger, check, settled
from support.laboratory import Size, Tally, add_relay
from support.ledger_relay import ledger_relay
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


def test_large_messages_in_little_memory(tmp_path: Path, size: Size, tally: Tally) -> None:
    """Many messages of 18 MB at once: taken or put off with 503, never a crash, none lost."""
    count = size(6, 20)
    box = new_program(tmp_path)
    limited(box, "-v 2500000")
    letter = json.dumps(_PLAIN | {"text": ("x" * 76 + "\n") * (18 * _MEGABYTE // 77)}).encode()
    statuses: Counter[int] = Counter()
    try:
        with ledger_relay(tmp_path) as relay:
            box.start()
            add_relay(box, relay)
            key = box.new_key()
            clients = [
                threading.Thread(target=lambda: statuses.update([post(box, key, None, letter)[0]]))
                for _ in range(count)
            ]
            for client in clients:
                client.start()
            for client in clients:
                client.join(120)
            relay.wait_entries(statuses[202], seconds=90)
            settled(box, key)
            peak = peak_memory(box.pid)
    finally:
        box.kill9()

    assert set(statuses) <= {202, 503}
    assert statuses[202] >= 1
    assert len(relay.copies()) == statuses[202]
    assert peak < 1_500 * _MEGABYTE
    tally("F9-memory", at_once=count, answered=sum(statuses.values()), crashes=0)
    print("VmHWM", peak // _MEGABYTE, "MB", statuses)


def peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


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
}


@pytest.mark.timeout(300)
def test_messages_as_nobody_writes_them(tmp_path: Path, tally: Tally) -> None:
    """Refused at the door with a reason, or carried to the octet."""
    with ledger_relay(tmp_path) as relay, program(tmp_path) as box:
        add_relay(box, relay)
        key = box.new_key()
        answers = {name: post(box, key, _PLAIN | odd) for name, (odd, _) in ODD.items()}
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
    carried = sum(status == 202 for status in wanted.values())
    tally("F20", odd=len(ODD), carried=carried, refused=len(ODD) - carried)


def content_of(box: Program, key: str, message_id: str) -> bytes:
    request = urllib.request.Request(
        f"{box.url}/v1/messages/{message_id}/content", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        octets: bytes = answer.read()
        return octets
