"""Where a database URL points. Knowing that takes no database library."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from pillarbox.base.errors import Invalid

_SQLITE, _POSTGRESQL = "sqlite:///", "postgresql://"
_HIDDEN = "..."


def is_postgresql(url: str) -> bool:
    """Whether the URL names a PostgreSQL server, which several processes may share."""
    return url.startswith(_POSTGRESQL)


def sqlite_path(url: str) -> Path:
    """The file that a `sqlite:///…` URL names. Raises Invalid for any other URL."""
    path = url.removeprefix(_SQLITE)
    if path == url or not path:
        raise Invalid(
            "the database URL is sqlite:///path/to/file.db or postgresql://user@host/name",
            field="PILLARBOX_DATABASE_URL",
        )
    return Path(path)


def place(url: str) -> str:
    """The database as people are told of it: a file's path, or a server's URL. Raises Invalid."""
    return without_password(url) if is_postgresql(url) else str(sqlite_path(url))


def without_password(url: str) -> str:
    """The URL as it may be logged and shown."""
    if not is_postgresql(url):
        return url
    parts = urlsplit(url)
    user, is_there, host = parts.netloc.rpartition("@")
    if ":" in user:
        user = f"{user.partition(':')[0]}:{_HIDDEN}"
    fields = parse_qsl(parts.query, keep_blank_values=True)
    shown = [(name, _HIDDEN if "password" in name else text) for name, text in fields]
    query = f"?{urlencode(shown, safe='/:,')}" if shown else ""
    return f"{_POSTGRESQL}{user}{is_there}{host}{parts.path}{query}"
