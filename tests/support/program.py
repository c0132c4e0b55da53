"""The installed program as a person runs it: a process with a home, a command line and ports."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.peers import free_ports
from support.waiting import until

READY_SECONDS = 60
STOP_SECONDS = 20
COMMAND_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program said over HTTP. `body` is the JSON of it, or the text."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(slots=True)
class Program:
    """
    One home and the server on it. Everything it prints is kept in `log`, over restarts.

    The environment is what is set here and nothing of the developer's own.
    """

    folder: Path
    http_port: int
    smtp_port: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = (sys.executable, "-m", "pillarbox")
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def log(self) -> Path:
        return self.folder / "pillarbox.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        """Of the running server. Raises RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    # The server.

    def start(self, *arguments: str, wait: bool = True) -> None:
        """Serve, and wait until /readyz says yes. Raises RuntimeError, with the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command, "serve", *arguments],
                cwd=self.folder,
                env=self.surroundings(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        process = self._process
        assert process is not None
        try:
            until(
                lambda: process.poll() is not None or self.is_ready(),
                seconds=seconds,
                what="the server's start",
            )
        except TimeoutError as late:
            raise RuntimeError(f"{late}\n{self.transcript()}") from None
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.poll()}\n{self.transcript()}")

    def is_ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def ended(self) -> int | None:
        """The exit code of a server that has ended by itself, or None."""
        return None if self._process is None else self._process.poll()

    def terminate(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to stop, as a service manager does. Its exit code; raises TimeoutExpired."""
        process, self._process = self._process, None
        assert process is not None
        process.terminate()
        try:
            return process.wait(seconds)
        finally:
            _kill(process)

    def kill9(self) -> None:
        """End it, and whatever it started, at once and without a word."""
        process, self._process = self._process, None
        if process is not None:
            _kill(process)

    def restart(self, *arguments: str) -> None:
        self.terminate()
        self.start(*arguments)

    def transcript(self) -> str:
        """All it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # The command line.

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """One command, to its end. Nothing is raised when it refuses: look at `returncode`."""
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.folder,
            env=self.surroundings(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )

    def run_json(self, *arguments: str, stdin: str = "") -> Any:
        """What the command prints with --json. It must end with 0."""
        done = self.run(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}\n{done.stderr}"
        return json.loads(done.stdout)

    def new_key(self, name: str = "test") -> str:
        """A key for the API."""
        return str(self.run_json("key", "create", "--name", name)["key"])

    # The API.

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Raises OSError when nobody answers."""
        sent = dict(headers or {})
        if key:
            sent["Authorization"] = f"Bearer {key}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        is_json = "json" in answer.headers.get_content_type()
        return Answer(answer.status, dict(answer.headers), json.loads(text) if is_json else text)

    def surroundings(self) -> dict[str, str]:
        """The whole environment of the program."""
        smtp = "off" if self.smtp_port is None else f"127.0.0.1:{self.smtp_port}"
        return {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PILLARBOX_HOME": str(self.home),
            "PILLARBOX_HTTP": f"127.0.0.1:{self.http_port}",
            "PILLARBOX_SMTP": smtp,
            **self.environment,
        }


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole session: no child outlives its test."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def new_program(folder: Path, *, smtp: bool = False, **environment: str) -> Program:
    """A program with free ports and an empty home, not started. Keywords go to its environment."""
    http_port, smtp_port = free_ports(2)
    return Program(folder, http_port, smtp_port if smtp else None, environment)


@contextmanager
def program(folder: Path, *, smtp: bool = False, **environment: str) -> Iterator[Program]:
    """A running server. It is killed at the end of the block, whatever happened in it."""
    server = new_program(folder, smtp=smtp, **environment)
    try:
        server.start()
        yield server
    finally:
        server.kill9()
