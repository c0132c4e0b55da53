"""F8: a full disk. Mail is refused, what waits is carried, and nothing that was taken is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pillarbox.base.db.upgrade import check_integrity
from support.checker import AcceptedLedger, check, settled
from support.laboratory import Size, Tally
from support.ledger_relay import LedgerRelay, Options, ledger_relay
from support.peers import need
from support.program import Program, new_program
from support.senders import Senders, sending
from support.waiting import until

_MEGABYTE = 1024 * 1024
_ON_A_SMALL_DISK = """
set -e
mkdir -p "$0"
mount -t tmpfs -o size=96m,mode=700 tmpfs "$0"
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A program whose home is a disk of 96 MB that nobody else sees."""

    box: Program

    @property
    def home(self) -> Path:
        """As the program sees it: the disk is mounted in no other place."""
        return Path(f"/proc/{self.box.pid}/root{self.box.home}")

    @property
    def token(self) -> str:
        return str(json.loads((self.home / "server.json").read_text())["token"])

    def fill(self, leave: int = 0) -> None:
        """Take all space but so many octets."""
        space = os.statvfs(self.home)
        with (self.home / "filler").open("ab") as filler:
            rest = space.f_bavail * space.f_frsize - leave
            try:
                while rest > 0:
                    rest -= os.write(filler.fileno(), bytes(min(rest, _MEGABYTE)))
            except OSError:
                assert leave == 0

    def copy(self, folder: Path) -> Path:
        """The database as it is, where it can be opened."""
        for name in ("pillarbox.db", "pillarbox.db-wal"):
            shutil.copy(self.home / name, folder / name)
        return folder / "pillarbox.db"

    def clear(self) -> None:
        (self.home / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    box = new_program(tmp_path)
    inside = (need("unshare"), *_a_way_to_mount(), "sh", "-c", _ON_A_SMALL_DISK, str(box.home))
    box.command = (*inside, sys.executable, "-m", "pillarbox")
    box.start()
    yield SmallDisk(box)
    box.kill9()


def _a_way_to_mount() -> tuple[str, ...]:
    """
    Options of unshare that this machine allows.

    Root may mount; anybody else may in a user namespace; in a chroot, whose root is no mount,
    the new namespace has to stay as the old one was.
    """
    ways = (("-m",), ("-Urm",), ("-m", "--propagation", "unchanged"))
    for way in ways:
        tried = subprocess.run([need("unshare"), *way, "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return way
    pytest.fail(f"unshare can make no place to mount a small disk: {tried.stderr.decode()}")


def add_relay(disk: SmallDisk, relay: LedgerRelay) -> None:
    """A command would have a disk of its own."""
    wish = {"name": "ledger", "host": "127.0.0.1", "port": relay.port, "tls": "none"}
    added = disk.box.ask("POST", "/v1/relays", wish | {"default": True}, key=disk.token)
    assert added.status == 201, added.body


def refusals(senders: Senders) -> int:
    return senders.statuses.get(503, 0) + senders.statuses.get(507, 0)


@pytest.mark.parametrize("leave", [32 * _MEGABYTE, 0], ids=["nearly", "to-the-last-block"])
def test_a_full_disk_refuses_mail_and_loses_none(
    disk: SmallDisk, tmp_path: Path, size: Size, tally: Tally, leave: int
) -> None:
    """
    503 or 507 with a time to come back, never 500; then everything goes on, without a restart.

    While there is a little room left, what waits goes out: mail is refused before that ends.
    """
    box, token = disk.box, disk.token
    ledger = AcceptedLedger(tmp_path / "accepted.jsonl")
    wanted = size(100, 500)
    with ledger_relay(tmp_path, Options(latency_seconds=0.01)) as relay:
        add_relay(disk, relay)
        senders = Senders(box, token, ledger)
        with sending(senders):
            until(lambda: len(ledger.read()) >= wanted, seconds=60, what="mail that waits")
            disk.fill(leave)
            until(lambda: refusals(senders) >= wanted, seconds=60, what="refusals")
            assert box.ask("GET", "/livez").status == 200
            if leave:
                relay.wait_entries(len(ledger.read()), seconds=60)
            before = len(ledger.read())
            disk.clear()
            until(lambda: len(ledger.read()) > before, seconds=10, what="taking mail again")
        settled(box, token)
        found = check(
            box, token, ledger, relay, faults=lambda: check_integrity(disk.copy(tmp_path))
        )

    assert found.wrong == [], str(found)
    assert found.lost == found.duplicates == found.uncertain == 0
    assert set(senders.statuses) <= {202, 503, 507}
    tally("F8", left=f"{leave // _MEGABYTE} MB", refused=refusals(senders), **found.counts)
