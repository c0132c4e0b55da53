"""Whether a home can be had, and who has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pillarbox.base import config as configuration
from pillarbox.base import home
from pillarbox.base.config import Config
from pillarbox.base.db.lock import FileLock, holder, is_locked
from pillarbox.base.errors import Unusable


def test_a_home_is_absolute_wherever_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders have two homes; every message says which one."""
    monkeypatch.chdir(tmp_path)

    assert configuration.load({}).home == tmp_path / ".pillarbox"
    assert (
        configuration.load({"PILLARBOX_HOME": "here"}).database
        == f"sqlite:///{tmp_path}/here/pillarbox.db"
    )


@pytest.mark.parametrize("where", ["/dev/null", "/dev/null/x", "/proc/x"])
def test_a_home_that_cannot_be_is_no_mistake_of_ours(where: str) -> None:
    """One sentence with the path and what to set."""
    config = Config(home=Path(where))

    assert home.obstacle(config)
    with pytest.raises(Unusable, match=f"the home {where} cannot be written.*PILLARBOX_HOME"):
        home.prepare(config)


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """A question about a home, or about its lock, leaves no file behind."""
    config = Config(home=tmp_path / "home")

    assert home.obstacle(config) is None
    assert not home.exists(config)
    assert not is_locked(tmp_path / "pillarbox.db")
    assert list(tmp_path.iterdir()) == []

    home.prepare(config)
    assert config.home.stat().st_mode & 0o777 == 0o700


def test_a_lock_says_who_holds_it(tmp_path: Path) -> None:
    """Pid, command without its options, and since when."""
    database = tmp_path / "pillarbox.db"
    lock = FileLock(database)
    try:
        who = holder(database)
        assert is_locked(database)
        assert who is not None
        assert who.pid == os.getpid()
        with pytest.raises(Unusable, match=rf"process \(pid {who.pid}, .*, since [0-9:]+\) is"):
            FileLock(database)
    finally:
        lock.release()

    assert not is_locked(database)


def test_a_lock_repeats_no_option(tmp_path: Path) -> None:
    """What follows a command may be an address or a text."""
    hold = (
        "import sys; from pathlib import Path; from pillarbox.base.db.lock import FileLock\n"
        "sys.argv = ['/x/pillarbox', 'send', '--to', 'ann@example.org', '--wait']\n"
        f"FileLock(Path({str(tmp_path / 'db')!r}))"
    )
    subprocess.run([sys.executable, "-c", hold], check=True)

    told = json.loads((tmp_path / "db.lock").read_text())
    assert told["command"] == "pillarbox send --wait"
