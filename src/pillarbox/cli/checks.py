"""What `pillarbox doctor` looks at. Every check says what it saw and, if need be, what to do."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pillarbox.base import home, runfile
from pillarbox.base.clock import SystemClock
from pillarbox.base.config import Config
from pillarbox.base.db import release
from pillarbox.base.db.location import is_postgresql, sqlite_path, without_password
from pillarbox.base.db.lock import holder, in_brackets, is_locked
from pillarbox.base.db.upgrade import LATEST, Condition, check_integrity, inspect
from pillarbox.base.errors import PillarboxError
from pillarbox.cli.advice import advice_on
from pillarbox.cli.options import Everywhere, ask
from pillarbox.client.answers import Relay

_BUILT = datetime(2026, 1, 1, tzinfo=UTC)  # this program did not exist before

_GROUND = frozenset({"home folder", "database"})  # without them there is no asking


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. status is ok, warn, fail or skip."""

    name: str
    status: str
    evidence: str
    fix: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status,
            "evidence": self.evidence,
            "fix": self.fix,
        }


def examine(everywhere: Everywhere) -> list[Finding]:
    """Everything, in the order in which one thing rests on another."""
    try:
        config = everywhere.load()
    except PillarboxError as error:
        fix = "Correct it in the environment or the file, then run this again."
        return [Finding(name="configuration", status="fail", evidence=str(error), fix=fix)]
    found = [
        Finding(name="configuration", status="ok", evidence=f"home {config.home.absolute()}"),
        *_files(config),
        *_database(config),
        _clock(),
        _server(config),
    ]
    if any(each.status == "fail" and each.name in _GROUND for each in found):
        return [*found, _skipped("relays", "the database cannot be used")]
    return [*found, *_relays(everywhere, config)]


def _files(config: Config) -> Iterator[Finding]:
    if why := home.obstacle(config):
        yield Finding(
            name="home folder",
            status="fail",
            evidence=f"{config.home} cannot be written by this user: {why}",
            fix=home.remedy(config),
        )
    else:
        yield _private("home folder", config.home, "it can be made, on the first start")
    yield _private("key file", config.key_file, "it is made on the first start")


def _private(name: str, path: Path, absent: str) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return _skipped(name, f"{path} does not exist yet; {absent}")
    except NotADirectoryError:
        return _skipped(name, f"{path} cannot exist")
    except OSError as error:
        return Finding(
            name=name,
            status="fail",
            evidence=f"{path}: {error.strerror}",
            fix="Run pillarbox as the user who owns it.",
        )
    if mode & 0o077:
        allowed = "700" if path.is_dir() else "600"
        return Finding(
            name=name,
            status="fail",
            evidence=f"{path} is open to others (mode {mode:o})",
            fix=f"chmod {allowed} {path}",
        )
    return Finding(name=name, status="ok", evidence=f"{path}, for its owner only")


def _database(config: Config) -> Iterator[Finding]:
    if is_postgresql(config.database):
        where = without_password(config.database)
        yield _skipped("database", f"{where}, which looks after itself")
        return
    try:
        path = sqlite_path(config.database)
        condition = inspect(path)
    except PillarboxError as error:
        yield Finding(name="database", status="fail", evidence=str(error))
        return
    except OSError as error:
        yield Finding(name="database", status="fail", evidence=f"{path}: {error.strerror}")
        return
    yield _engine()
    if condition is Condition.ABSENT:
        yield _skipped("database", f"{path} does not exist yet; it is made on the first start")
        return
    if faults := check_integrity(path):
        yield Finding(
            name="database",
            status="fail",
            evidence=f"{path} is damaged: {'; '.join(faults[:3])}",
            fix="Stop the server, keep a copy of the file, and restore a backup.",
        )
        return
    if condition is Condition.OLDER:
        yield Finding(
            name="database",
            status="warn",
            evidence=f"{path} is of an older version",
            fix="pillarbox db upgrade, or start the server: it does the same.",
        )
        return
    yield Finding(name="database", status="ok", evidence=f"{path}, sound, version {LATEST}")


def _engine() -> Finding:
    version = release.version()
    if release.has_wal_reset_bug():
        return Finding(
            name="SQLite",
            status="ok",
            evidence=f"{version}; pillarbox keeps to one writer, so nothing needs to be done."
            " Other tools should open the file read-only: before 3.51.3 two writers at once can"
            " damage it",
        )
    return Finding(name="SQLite", status="ok", evidence=version)


def _clock() -> Finding:
    now = SystemClock().now()
    if now < _BUILT:
        return Finding(
            name="clock",
            status="fail",
            evidence=f"it says {now:%Y-%m-%d %H:%M} UTC",
            fix="Set the clock: dates in mail, TLS and retries depend on it.",
        )
    return Finding(name="clock", status="ok", evidence=f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _server(config: Config) -> Finding:
    if is_postgresql(config.database):
        return _skipped("server", "any number may share the database; ask each for /readyz")
    path = sqlite_path(config.database)
    if server := runfile.find(config.home, path):
        return Finding(name="server", status="ok", evidence=f"running, {server.url}")
    if is_locked(path):
        return Finding(
            name="server",
            status="warn",
            evidence=f"another process{in_brackets(holder(path))} uses the database and does not"
            " say where it can be asked",
            fix="It may be starting, or be another command. Run this again in a moment.",
        )
    return Finding(
        name="server",
        status="warn",
        evidence="not running: mail waits on disk",
        fix="pillarbox serve",
    )


def _relays(everywhere: Everywhere, config: Config) -> Iterator[Finding]:
    if not home.exists(config):
        yield _skipped("relays", "there are none yet")
        return
    try:
        page = ask(everywhere, lambda box: box.relays.list())
    except PillarboxError as error:
        yield Finding(name="relays", status="fail", evidence=str(error))
        return
    yield from map(_relay, page)


def _relay(relay: Relay) -> Finding:
    state = str(relay.status.get("state", "untested"))
    name = f"relay {relay.name}"
    if state == "working":
        at = relay.status.get("checked_at")
        from pillarbox.cli.terminal import local

        tried = f", tried {local(datetime.fromisoformat(at))}" if at else ""
        return Finding(name=name, status="ok", evidence=f"{state}{tried}")
    if state == "untested":
        fix = f"pillarbox diagnose {relay.name}"
        return Finding(name=name, status="warn", evidence="never tried", fix=fix)
    found = advice_on(relay.status.get("advice"), relay.json)
    return Finding(
        name=name,
        status="warn" if state in ("resting", "slowed") else "fail",
        evidence=f"{state}: {relay.status.get('cause') or 'the last diagnosis failed'}",
        fix=found.fix if found else f"pillarbox diagnose {relay.name}",
    )


def _skipped(name: str, evidence: str) -> Finding:
    return Finding(name=name, status="skip", evidence=evidence)
