"""`pillarbox serve`: the server."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pillarbox import __version__
from pillarbox.base import runfile
from pillarbox.base.clock import SystemClock
from pillarbox.base.config import Config
from pillarbox.base.db.location import is_postgresql, sqlite_path
from pillarbox.base.errors import Unusable
from pillarbox.cli.exits import Usage
from pillarbox.cli.options import NOTHING, Everywhere, group

if TYPE_CHECKING:
    from pillarbox.relays.versions import Relay

app = group("serve", "Run pillarbox: take mail in, carry it, answer.")

PARTS = ("http", "worker", "smtp")
_TOGETHER = frozenset({"http", "worker"})


@app.default
def serve(
    *,
    only: Annotated[str | None, Parameter(metavar="PARTS")] = None,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Take mail in, carry it and answer, until SIGTERM or Ctrl-C.

    Parameters
    ----------
    only
        Not everything but these parts, with commas: http, worker, smtp.
    """
    from pillarbox.base import memory, trace
    from pillarbox.base.log import start_logging

    memory.collect_nothing_yet()
    config = everywhere.load()
    parts = read_parts(only, is_shared=is_postgresql(config.database))
    start_logging(config.log, logging.DEBUG if everywhere.debug else logging.INFO)
    trace.start(config.traces, __version__)
    _refuse_a_second(config)
    _run(config, parts)


def read_parts(only: str | None, *, is_shared: bool = False) -> frozenset[str]:
    """The parts to run. Raises Usage naming those there are."""
    if only is None:
        return frozenset(PARTS)
    named = frozenset(part.strip() for part in only.split(",") if part.strip())
    if not named or named - set(PARTS):
        raise Usage(f"--only takes {', '.join(PARTS)}, with commas; not “{only}”")
    if not is_shared and not named >= _TOGETHER:
        raise Usage("a SQLite database belongs to one process: http and worker go together")
    if not named & _TOGETHER:
        raise Usage("--only smtp is nothing yet: SMTP submission comes later")
    return named


def _refuse_a_second(config: Config) -> None:
    """Raises Unusable naming the server that runs on this home."""
    if is_postgresql(config.database):
        return
    database = sqlite_path(config.database)
    if server := runfile.find(config.home, database):
        raise Unusable(f"{config.home} is already served at {server.url}/ (pid {server.pid})")


def banner(url: str, config: Config, program: str, default: Relay | None = None) -> str:
    """
    Where everything is, how mail goes and what to type next.

    program is how this one was called; default is the relay of mail that names none.
    """
    lines = [f"pillarbox {__version__}", ""]
    lines += [
        f"  Console  {url}/",
        f"  API      {url}/docs",
        f"  Home     {config.home.absolute()}",
        "",
        *_how_mail_goes(default, program),
        "",
        "Ctrl-C stops it; mail that waits is kept.",
        "",
    ]
    return "\n".join(lines)


def _first_steps(program: str) -> list[str]:
    return [
        "Until there is a relay, mail is caught in the sandbox, to look at. In another terminal:",
        "",
        f"  {program} send --from me@example.org --to you@example.org --subject Hi --text Hi",
        f"  {program} relay add main --preset gmail --username you@gmail.com --default",
        f"  {program} diagnose main",
    ]


def _how_mail_goes(default: Relay | None, program: str) -> list[str]:
    from pillarbox.inlets.http.answers import show_status

    kind = default.settings.kind.value if default else "sandbox"
    if default is None or kind == "sandbox":
        return _first_steps(program)
    status = show_status(default, SystemClock().now())
    where = f"{default.settings.host} port {default.settings.port}"
    if kind != "smtp":
        where = f"a {kind} relay"
    lines = [f"Mail goes by {default.name} ({where}): {status['state']}."]
    if status["state"] == "untested":
        lines.append(f"Try it: {program} diagnose {default.name}")
    elif status["state"] != "working":
        lines.append(f"Why, and what to do: {program} relay show {default.name}")
    return lines


def called() -> str:
    """What to type to call this program again: it may not be on the PATH, as after `make run`."""
    typed = Path(sys.argv[0])
    if typed.name == "__main__.py":
        return "python -m pillarbox"
    return typed.name if shutil.which(typed.name) else str(typed)


def _run(config: Config, parts: frozenset[str]) -> None:
    from pillarbox import app as program

    def on_ready(url: str | None, default: Relay) -> None:
        if config.log == "text" and url is not None:
            print(banner(url, config, called(), default), flush=True)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(program.serve(config, on_ready, parts))


def _loop_factory() -> Any:
    """uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
