"""`pillarbox backup`: the database as one file, while everything goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pillarbox.base.config import Config
from pillarbox.base.db.location import is_postgresql, sqlite_path
from pillarbox.base.errors import Refused
from pillarbox.cli.options import NOTHING, Everywhere, group, print_json

app = group("backup", "Copy the database to a file, while everything goes on.")


@app.default
def backup(
    file: Annotated[Path, Parameter(name="FILE")], /, *, everywhere: Everywhere = NOTHING
) -> None:
    """Copy the database to FILE, while everything goes on.

    The key file is not in it: keep that in another place. See `pillarbox restore`.
    """
    from pillarbox.base.db.backup import back_up
    from pillarbox.base.db.upgrade import LATEST

    config = everywhere.load()
    path = database_file(config)
    size = back_up(path, file)
    if everywhere.json:
        told = {
            "file": str(file),
            "size": size,
            "version": LATEST,
            "key_file": str(config.key_file),
        }
        return print_json(told)
    print(f"{file}: {size:,} octets, checked, version {LATEST}")
    print()
    print("THE KEY FILE IS NOT IN IT. Keep a copy in another place:")
    print(f"  {config.key_file.absolute()}")
    print("Without it no password in this backup can ever be opened; with it, all of them.")
    return None


def database_file(config: Config) -> Path:
    """Raises Refused for a database that is no file."""
    if is_postgresql(config.database):
        raise Refused(
            "PostgreSQL is backed up by its own tools: pg_dump --format=custom, pg_restore, and "
            "then pillarbox restore --in-place, before anything is started"
        )
    return sqlite_path(config.database)
