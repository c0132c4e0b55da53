"""Where a database URL points. Knowing that takes no database library."""

from __future__ import annotations

from pathlib import Path

from pillarbox.base.errors import Invalid

_SQLITE = "sqlite:///"


def sqlite_path(url: str) -> Path:
    """The file that a `sqlite:///…` URL names. Raises Invalid for any other URL."""
    path = url.removeprefix(_SQLITE)
    if path == url or not path:
        raise Invalid(
            "the database URL is sqlite:///path/to/file.db; other databases come later",
            field="PILLARBOX_DATABASE_URL",
        )
    return Path(path)
