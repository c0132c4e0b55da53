"""Parts of pillarbox as processes of their own, in any number, on one PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.ledger_relay import ledger_relay
from support.program import Program, new_program
from support.waiting import until


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def started(stack: ExitStack, folder: Path, url: str, *arguments: str) -> Program:
    folder.mkdir()
    box = new_program(folder, PILLARBOX_DATABASE_URL=url)
    stack.callback(box.kill9)
    box.start(*arguments, wait="worker" not in arguments)
    return box


def test_one_takes_in_and_others_carry(tmp_path: Path, stack: ExitStack, url: str) -> None:
    """A worker joins and leaves at will, and gives back what it holds when it leaves."""
    relay_folder = tmp_path / "relay"
    relay_folder.mkdir()
    relay = stack.enter_context(ledger_relay(relay_folder))
    front = started(stack, tmp_path / "front", url, "--only", "http")
    options = ("--host", "127.0.0.1", "--port", str(relay.port), "--tls", "none", "--default")
    added = front.run("relay", "add", "ledger", "--from", "a@b.test", *options)
    assert added.returncode == 0, added.stderr
    key = front.new_key()
    until(
        lambda: front.ask("GET", "/v1/relays/ledger", key=key).status == 200,
        what="the notice of a key and a relay that another process made",
    )

    def send(number: int) -> str:
        body = {"to": f"user{number}@kunde.test", "subject": "Hi", "text": "Hi"}
        answer = front.ask("POST", "/v1/messages", body, key=key)
        assert answer.status == 202, answer.body
        return str(answer.body["id"])

    first = [send(number) for number in range(20)]
    assert relay.entries() == []  # nobody carries yet

    worker = started(stack, tmp_path / "one", url, "--only", "worker")
    relay.wait_entries(len(first))
    assert worker.terminate() == 0
    started(stack, tmp_path / "two", url, "--only", "worker")
    more = [send(number) for number in range(20, 40)]
    relay.wait_entries(len(first) + len(more))

    def unfinished() -> list[object]:
        listed = front.ask("GET", "/v1/messages?limit=100", key=key).body["data"]
        return [each for each in listed if each["state"] != "relayed"]

    until(lambda: not unfinished(), seconds=20, what="the end of all messages")
    assert set(relay.copies().values()) == {1}
