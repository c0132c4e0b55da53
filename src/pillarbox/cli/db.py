"""`pillarbox db`: the database."""

from __future__ import annotations

from pillarbox.base import home
from pillarbox.base.db.location import sqlite_path
from pillarbox.cli.options import NOTHING, Everywhere, group, print_json

app = group("db", "The database.")


@app.command
def upgrade(*, everywhere: Everywhere = NOTHING) -> None:
    """Bring the database to the version of this program. A start of the server does that too."""
    from pillarbox.base.db.lock import FileLock
    from pillarbox.base.db.upgrade import LATEST, Condition
    from pillarbox.base.db.upgrade import upgrade as bring_up

    config = everywhere.load()
    path = sqlite_path(config.database)
    home.prepare(config)
    lock = FileLock(path)
    try:
        before = bring_up(path)
    finally:
        lock.release()
    if everywhere.json:
        return print_json({"database": str(path), "was": before.value, "version": LATEST})
    done = {
        Condition.ABSENT: "made",
        Condition.OLDER: "brought up",
        Condition.CURRENT: "nothing to do",
    }[before]
    print(f"{path}: {done}, version {LATEST}")
    return None
