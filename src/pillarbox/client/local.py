"""
Who answers for a home: the server that runs on it, or the application in this process.

A server that can be asked has the database locked and says in its run file where it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pillarbox.base import runfile
from pillarbox.base.clock import Clock
from pillarbox.base.config import Config
from pillarbox.base.db.location import is_postgresql, sqlite_path
from pillarbox.base.db.lock import holder, in_brackets, is_locked
from pillarbox.base.errors import Invalid, Unavailable
from pillarbox.base.http import IN_PROCESS, Http
from pillarbox.base.runfile import RunningServer

if TYPE_CHECKING:
    from pillarbox.app import App

_PATIENCE_SECONDS = 5.0  # another command may be using the home, and a server may be starting
_DRAIN_SECONDS = 10  # what a short program's last mail gets to leave
_PAUSE_SECONDS = 0.05
_SUFFIXES = frozenset({".db", ".sqlite", ".sqlite3"})


async def find_server(config: Config, clock: Clock) -> RunningServer | None:
    """
    The server of this home, or None when the database is free for us, or is PostgreSQL's.

    Raises Unavailable when another process keeps the database and does not answer for it.
    """
    if is_postgresql(config.database):
        return None
    database = sqlite_path(config.database)
    deadline = clock.monotonic() + _PATIENCE_SECONDS
    while True:
        if server := runfile.find(config.home, database):
            return server
        if not is_locked(database):
            return None
        if clock.monotonic() >= deadline:
            raise Unavailable(
                f"another pillarbox process{in_brackets(holder(database))} is using"
                f" {config.home} and does not answer for it. Repeat this when it has ended"
            )
        await clock.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def in_process(config: Config, *, deliver: bool) -> AsyncIterator[tuple[Http, App]]:
    """The application itself, without a port. `deliver` makes it carry mail meanwhile."""
    # Importing it takes most of a second, which nobody who talks to a server should wait.
    from pillarbox.app import open_app

    async with open_app(config, deliver=deliver, drain_seconds=_DRAIN_SECONDS) as app:
        http = Http(IN_PROCESS, headers=bearer(app.operator_token), asgi=app.asgi)
        try:
            yield http, app
        finally:
            await http.close()


@asynccontextmanager
async def remote(url: str, key: str | None) -> AsyncIterator[Http]:
    """A server by its address."""
    http = Http(url.rstrip("/"), headers=bearer(key) if key else {})
    try:
        yield http
    finally:
        await http.close()


def bearer(token: str) -> dict[str, str]:
    """RFC 6750 §2.1."""
    return {"Authorization": f"Bearer {token}"}


def config_for(database_url: str, config: Config) -> Config:
    """
    The configuration with this database. Key and run files stay with it, in its folder,
    unless it is the configured one.
    """
    if is_postgresql(database_url):
        return replace(config, database_url=database_url)
    path = _path_in(database_url)
    if not is_postgresql(config.database) and path == sqlite_path(config.database).absolute():
        return config
    return replace(config, database_url=f"sqlite:///{path}", home=path.parent)


def _path_in(url: str) -> Path:
    """Raises Invalid with what was probably meant."""
    if "://" in url:
        return sqlite_path(url).absolute()
    looks_like_path = url.startswith((".", "/", "~")) or Path(url).suffix in _SUFFIXES
    if looks_like_path or Path(url).exists():
        raise Invalid(f"“{url}” is a path: write sqlite:///{url}", field="where")
    raise Invalid(f"“{url}” has no scheme: write https://{url}", field="where")
