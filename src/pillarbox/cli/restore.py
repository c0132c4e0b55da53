"""`pillarbox restore`: a backup becomes the database, and nothing is sent by itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pillarbox.base.clock import SystemClock
from pillarbox.base.errors import Conflict
from pillarbox.cli.backup import database_file
from pillarbox.cli.exits import Usage
from pillarbox.cli.options import NOTHING, Everywhere, ask, group, print_json

if TYPE_CHECKING:
    from pillarbox.base.config import Config

app = group("restore", "Put a backup in place. What waits in it is held.")

_PRINCIPAL = "operator"


@app.default
def restore(
    file: Annotated[Path | None, Parameter(name="FILE")] = None,
    /,
    *,
    replace: bool = False,
    in_place: bool = False,
    release: bool = False,
    everywhere: Everywhere = NOTHING,
) -> None:
    """Put a backup in place. What waits in it is held: it may have been sent since.

    The server must be stopped. Look at what is held with `pillarbox message list --state
    held`, cancel what is not wanted, then let the rest go with `pillarbox restore --release`.

    Parameters
    ----------
    replace
        There is a database already: keep it under another name and put the backup in its place.
    in_place
        The database was put back by other means, such as pg_restore: only hold what waits.
    release
        Let go everything that a restore holds.
    """
    if [file is not None, in_place, release].count(True) != 1:
        raise Usage("restore takes one of FILE, --in-place and --release")
    if release:
        count = ask(everywhere, lambda box: box.restored.release())
        return _tell(everywhere, {"released": count}, f"{count} deliveries are let go")
    config = everywhere.load()
    if file is None:
        held = asyncio.run(_hold(config.database))
        return _tell(everywhere, {"held": held}, _about(held))
    done = _restore(config, file, replace=replace)
    lines = [f"{done.place}: restored from {file}"]
    if done.kept:
        lines.append(f"What was there is kept as {done.kept}")
    told = {
        "database": str(done.place),
        "kept": str(done.kept) if done.kept else None,
        "held": done.held,
    }
    return _tell(everywhere, told, "\n".join([*lines, _about(done.held)]))


@dataclass(frozen=True, slots=True)
class _Done:
    place: Path
    kept: Path | None
    held: int


def _restore(config: Config, file: Path, *, replace: bool) -> _Done:
    """The copy is checked, brought up and held beside the old database; then it takes its place."""
    from pillarbox.base.db.backup import discard, put_in_place, take_copy
    from pillarbox.base.db.lock import FileLock

    place = database_file(config)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(place)
    try:
        if place.exists() and place.stat().st_size and not replace:
            raise Conflict(
                f"{place} is there already and was not touched. --replace keeps it under "
                f"another name and puts the backup in its place"
            )
        copy = take_copy(file, place)
        try:
            held = asyncio.run(_hold(f"sqlite:///{copy}"))
            stamp = SystemClock().now().strftime("%Y%m%dT%H%M%S%f")
            kept = put_in_place(copy, place, place.with_name(f"{place.name}.until-{stamp}"))
        finally:
            discard(copy)
    finally:
        lock.release()
    return _Done(place, kept, held)


async def _hold(url: str) -> int:
    from pillarbox.base.db.open import OpenDatabase
    from pillarbox.queue.restore import hold_waiting, tell_restored

    now, held = SystemClock().now(), 0
    async with OpenDatabase(url) as database:
        while count := await database.write(
            lambda connection: hold_waiting(connection, now, _PRINCIPAL)
        ):
            held += count
        await database.write(lambda connection: tell_restored(connection, now, _PRINCIPAL, held))
    return held


def _about(held: int) -> str:
    if not held:
        return "Nothing was waiting in it."
    return (
        f"{held} deliveries are held: each may have been sent since the backup was made.\n"
        f"Look at them: pillarbox message list --state held\n"
        f"Let them go:  pillarbox restore --release"
    )


def _tell(everywhere: Everywhere, told: dict[str, Any], text: str) -> None:
    if everywhere.json:
        return print_json(told)
    print(text)
    return None
