"""`pillarbox db`: the database."""

from __future__ import annotations

import asyncio

from pillarbox.base import home
from pillarbox.base.db.location import place
from pillarbox.cli.options import NOTHING, Everywhere, group, print_json

app = group("db", "The database.")


@app.command
def upgrade(*, everywhere: Everywhere = NOTHING) -> None:
    """Bring the database to the version of this program. A start of the server does that too."""
    from pillarbox.base.db.open import bring_up
    from pillarbox.base.db.upgrade import LATEST, Condition

    config = everywhere.load()
    home.prepare(config)
    where = place(config.database)
    before = asyncio.run(bring_up(config.database))
    if everywhere.json:
        return print_json({"database": where, "was": before.value, "version": LATEST})
    done = {
        Condition.ABSENT: "made",
        Condition.OLDER: "brought up",
        Condition.CURRENT: "nothing to do",
    }[before]
    print(f"{where}: {done}, version {LATEST}")
    return None
