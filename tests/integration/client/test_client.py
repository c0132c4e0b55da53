"""The Python API on the real application, in this process and through a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from pillarbox import Attachment, BlockingPillarbox, Pillarbox
from pillarbox.base.errors import (
    Conflict,
    Invalid,
    NotFound,
    Rejected,
    Unauthenticated,
    Unavailable,
)
from pillarbox.client import local
from support.program import program
from support.source import ROOT

FROM_ANN = "Ann <ann@example.org>"


async def test_a_message_is_sent_and_carried_in_this_process(home: Path) -> None:
    """Three lines of Python and a mail is in the sandbox, with its attachment."""
    async with Pillarbox() as box:
        letter = Attachment("letter.txt", b"Dear Bob", "text/plain")
        message = await box.send(
            from_=FROM_ANN, to="bob@example.org", subject="Hi", text="Hi", attachments=[letter]
        )
        ended = await box.messages.wait(message.id, timeout_seconds=20)
        content = await box.messages.content(message.id)

    assert box.server_url is None
    assert ended.is_relayed
    assert ended.attempts[0].outcome == "relayed"
    assert b'filename="letter.txt"' in content or b"filename=letter.txt" in content


async def test_a_database_brings_its_own_home(tmp_path: Path) -> None:
    """The key that seals its secrets stays beside it, and nothing appears elsewhere."""
    async with Pillarbox(f"sqlite:///{tmp_path / 'mail' / 'box.db'}", deliver=False) as box:
        assert [relay.name for relay in await box.relays.list()] == ["sandbox"]

    assert {path.name for path in tmp_path.iterdir()} == {"mail"}
    assert (tmp_path / "mail" / "secret.key").exists()


async def test_without_deliver_it_waits_on_disk(home: Path) -> None:
    """Somebody else carries it: the next box finds it and does."""
    async with Pillarbox(deliver=False) as box:
        message = await box.send(from_=FROM_ANN, to="bob@example.org", subject="Hi", text="Hi")
        assert (await box.messages.get(message.id)).state == "queued"

    async with Pillarbox() as box:
        assert (await box.messages.wait(message.id, timeout_seconds=20)).is_relayed


async def test_all_mistakes_at_once(home: Path) -> None:
    """Each with its field."""
    async with Pillarbox(deliver=False) as box:
        with pytest.raises(Rejected) as caught:
            await box.send(to="nobody")

    assert {each.field for each in caught.value.problems} >= {"to", "from", "text"}


async def test_relays_and_keys(home: Path) -> None:
    """Added, changed, listed, removed; a secret goes in and does not come out."""
    async with Pillarbox(deliver=False) as box:
        added = await box.relays.add(
            "main", host="mail.example.org", username="app", password="s3cret", from_=FROM_ANN
        )
        changed = await box.relays.set("main", max_connections=2)
        await box.relays.remove("main")
        with pytest.raises(NotFound):
            await box.relays.get("main")
        key = await box.keys.create("shop")
        await box.keys.revoke(key.id)
        [listed] = await box.keys.list()

    assert "s3cret" not in str(added.json)
    assert added.json["password"]["set"]
    assert changed.json["max_connections"] == 2
    assert changed.from_ == FROM_ANN
    assert key.key is not None
    assert key.key.startswith("pb_")
    assert key.key not in repr(key)
    assert listed.key is None
    assert listed.revoked_at is not None


async def test_a_relay_that_does_not_work_is_a_report(home: Path) -> None:
    """Diagnosing typed values raises nothing and saves nothing."""
    async with Pillarbox(deliver=False) as box:
        report = await box.relays.diagnose(
            host="127.0.0.1", port=9, tls="none", auth="none", from_=FROM_ANN
        )
        names = [relay.name for relay in await box.relays.list()]

    assert not report.ok
    assert report.failure is not None
    assert report.failure.stage == "connect"
    assert names == ["sandbox"]


async def test_two_boxes_on_one_home_take_turns(home: Path) -> None:
    """The second waits for the first, as two commands at once do."""
    first = Pillarbox(deliver=False)
    await first.__aenter__()

    async def second() -> int:
        async with Pillarbox(deliver=False) as box:
            return len(await box.relays.list())

    waiting = asyncio.create_task(second())
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)

    assert await waiting == 1


def test_a_key_needs_a_server(home: Path) -> None:
    """What would be ignored is refused."""
    with pytest.raises(Invalid, match="address"), BlockingPillarbox(key="pb_x"):
        pass


async def test_through_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By address and key, or as the operator of its home; the answers are the same."""
    with program(tmp_path) as server:
        monkeypatch.setenv("PILLARBOX_HOME", str(server.home))
        async with Pillarbox() as box:
            assert box.server_url == server.url
            key = await box.keys.create("test")
        async with Pillarbox(server.url, key=key.key) as box:
            sent = await box.send(from_=FROM_ANN, to="bob@example.org", subject="Hi", text="Hi")
            states = [each.state async for each in box.messages.follow(sent.id)]
        async with Pillarbox(server.url, key="pb_wrong_key") as box:
            with pytest.raises(Unauthenticated):
                await box.messages.get(sent.id)
        server.kill9()
        async with Pillarbox(deliver=False) as box:
            assert box.server_url is None, "what a killed server left behind means nothing"
            assert (await box.messages.get(sent.id)).is_relayed

    assert states[-1] == "relayed"


def test_the_blocking_one(home: Path) -> None:
    """The same calls without async, iterating included."""
    with BlockingPillarbox() as box:
        sent = box.send(from_=FROM_ANN, to="bob@example.org", subject="Hi", text="Hi")
        states = [each.state for each in box.messages.follow(sent.id)]
        with pytest.raises(NotFound):
            box.messages.get("msg_0")

    assert states[-1] == "relayed"
    assert box.server_url is None


def test_the_blocking_one_is_generated() -> None:
    """Nobody writes a call twice."""
    made = subprocess.run(
        [sys.executable, "scripts/blocking.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )

    assert made.returncode == 0, made.stderr


async def test_a_process_that_does_not_answer_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has the database and no run file: after some seconds we say so."""
    monkeypatch.setattr(local, "_PATIENCE_SECONDS", 0.0)
    async with Pillarbox(deliver=False):
        with pytest.raises(Unavailable, match="is using"):
            async with Pillarbox(deliver=False):
                pass


async def test_a_box_that_is_not_open_says_how_to_open_it() -> None:
    """The first mistake of everybody, answered."""
    with pytest.raises(Conflict, match=r"open it first: async with Pillarbox\(…\) as box"):
        await Pillarbox("sqlite:///mail.db").send(to="ann@example.org")
    with pytest.raises(Conflict, match=r"open it first: with BlockingPillarbox\(…\) as box"):
        BlockingPillarbox("sqlite:///mail.db").messages.list()
    assert not hasattr(Pillarbox, "mesages")


@pytest.mark.parametrize(
    ("where", "meant"),
    [
        ("mail.example.org", "has no scheme: write https://mail.example.org"),
        ("mail.db", "is a path: write sqlite:///mail.db"),
        ("./here/mail", "is a path: write sqlite:///./here/mail"),
        ("ftp://mail.example.org", "the database URL is sqlite:///"),
    ],
)
async def test_an_address_that_cannot_be_one(where: str, meant: str) -> None:
    """What was probably meant, ready to copy."""
    with pytest.raises(Invalid, match=meant):
        async with Pillarbox(where):
            pass
