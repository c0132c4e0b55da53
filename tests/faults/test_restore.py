"""F23: a backup under load, put back beside a relay that has gone on since."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.db.upgrade import check_integrity
from pillarbox.queue.restore import CAUSE
from support.checker import AcceptedLedger, all_messages, settled
from support.laboratory import Size, Tally, add_relay
from support.ledger_relay import LedgerRelay, Options, ledger_relay
from support.program import Program, program
from support.senders import Senders, sending
from support.waiting import until

_SESSIONS = 5  # what the relay takes at once: so many may be at it and not yet on record


def _ids(relay: LedgerRelay) -> list[str]:
    """The messages that the relay took, in order, with repeats."""
    return [each.message_id.partition("@")[0].strip("<") for each in relay.entries()]


def _run(box: Program, *arguments: str) -> str:
    done = box.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_a_restored_backup_sends_nothing_by_itself(
    tmp_path: Path, size: Size, tally: Tally
) -> None:
    """What waited is held; let go, all of it arrives; a second copy was announced as possible."""
    load, backup = size(150, 2000), tmp_path / "backup.db"
    with (
        ledger_relay(tmp_path, Options(latency_seconds=0.02)) as relay,
        program(tmp_path) as box,
    ):
        add_relay(box, relay)
        key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
        with sending(Senders(box, key, ledger)) as senders:
            until(lambda: senders.handed_over >= load, seconds=60, what="load")
            before, taken_before = _acknowledged(ledger), len(_ids(relay))
            said = _run(box, "backup", str(backup))
            went_on = senders.handed_over
            until(lambda: senders.handed_over > went_on, what="mail after the backup")
        relay.wait_entries(taken_before + load // 2, seconds=60)
        box.kill9()
        at_the_loss = _ids(relay)

        told = json.loads(_run(box, "restore", str(backup), "--replace", "--json"))
        box.start()
        held = _held(box, key)
        assert len(held) == told["held"] > 0
        _prove_that_mail_is_carried(box, key)
        assert not set(_ids(relay)[len(at_the_loss) :]) & set(held)

        _run(box, "restore", "--release")
        settled(box, key, seconds=120)
        copies = Counter(_ids(relay))
        messages = {each["id"]: each for each in all_messages(box, key)}
        events = box.ask("GET", "/v1/events?limit=1000&after=1000000000", key=key).body["data"]

    doubled = {each for each, count in copies.items() if count > 1}
    assert "THE KEY FILE IS NOT IN IT" in said
    assert before <= messages.keys(), "acknowledged before the backup, and not in it"
    assert {messages[each]["state"] for each in held} == {"relayed"}
    assert set(held) <= copies.keys()
    assert doubled <= set(held), "a second copy of what was not held"
    assert doubled <= set(at_the_loss[max(0, taken_before - _SESSIONS) :])
    assert set(copies.values()) <= {1, 2}
    assert all(messages[each]["deliveries"][0]["possible_duplicate"] for each in doubled)
    assert events[0]["name"] == "database.restored"
    assert events[0]["facts"] == {"held": len(held)}
    tally("F23", acknowledged=len(before), held=len(held), lost=0, duplicates=len(doubled))


def _acknowledged(ledger: AcceptedLedger) -> set[str]:
    return {each for ids in ledger.read().values() for each in ids}


def _held(box: Program, key: str) -> dict[str, Any]:
    found = {each["id"]: each for each in all_messages(box, key) if each["state"] == "held"}
    for each in found.values():
        assert each["deliveries"][0]["answer"] == CAUSE
    return found


def _prove_that_mail_is_carried(box: Program, key: str) -> None:
    body = {"from": "a@shop.test", "to": "new@kunde.test", "subject": "new", "text": "new"}
    new = box.ask("POST", "/v1/messages", body, key=key).body["id"]
    until(
        lambda: box.ask("GET", f"/v1/messages/{new}", key=key).body["state"] == "relayed",
        seconds=30,
        what="a new message, past what is held",
    )


def test_a_restore_refuses_what_it_must_not_touch(tmp_path: Path) -> None:
    """A running server, a database that is there, and files that are no backups of ours."""
    backup = tmp_path / "backup.db"
    with program(tmp_path) as box:
        _run(box, "backup", str(backup))
        running = box.run("restore", str(backup), "--replace")
        assert running.returncode == 4
        assert "is using" in running.stderr
        assert "another pillarbox process" in running.stderr
        again = box.run("backup", str(backup))
        assert again.returncode == 3
        assert "was not touched" in again.stderr
        box.terminate()

        database = box.home / "pillarbox.db"
        was = database.read_bytes()
        there = box.run("restore", str(backup))
        assert there.returncode == 3
        assert "--replace" in there.stderr
        for name, octets in _no_backups(backup.read_bytes()).items():
            wrong = tmp_path / name
            wrong.write_bytes(octets)
            refused = box.run("restore", str(wrong), "--replace")
            assert refused.returncode == 4, (name, refused.stderr)
            assert "Traceback" not in refused.stderr
        assert box.run("restore", str(tmp_path / "nothing"), "--replace").returncode == 3
        assert box.run("restore").returncode == 2
        assert database.read_bytes() == was
        assert sorted(each.name for each in box.home.iterdir() if "restoring" in each.name) == []


def _no_backups(good: bytes) -> dict[str, bytes]:
    damaged = bytearray(good)
    for start in range(8192, len(damaged), 4096):
        damaged[start : start + 200] = b"\xff" * 200
    return {"empty": b"", "text": b"no database" * 100, "damaged": bytes(damaged)}


def test_a_backup_keeps_what_was_there_and_holds_no_secret(tmp_path: Path) -> None:
    """--replace keeps the old database whole; the password is in neither copy in clear."""
    backup, canary = tmp_path / "backup.db", "canary-Zq7-password"
    with program(tmp_path) as box:
        added = box.run(
            "relay", "add", "main", "--host", "mail.example.org", "--port", "465", "--tls",
            "implicit", "--username", "app", "--password-stdin", stdin=f"{canary}\n",
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        told = box.run_json("backup", str(backup))
        box.terminate()
        assert box.run_json("restore", str(backup), "--replace")["held"] == 0
        [kept] = box.home.glob("pillarbox.db.until-*")
        shown = box.run("relay", "show", "main").stdout

    assert "password stored" in shown
    assert canary.encode() not in backup.read_bytes()
    assert backup.stat().st_mode & 0o777 == 0o600
    assert told["size"] == backup.stat().st_size
    assert check_integrity(kept) == check_integrity(backup) == []
