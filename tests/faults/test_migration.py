"""F22: killed while it makes or upgrades its database."""

from __future__ import annotations

import random
import threading
from pathlib import Path

from pillarbox.base.db.upgrade import check_integrity
from support.laboratory import Size, Tally
from support.program import new_program


def test_a_migration_that_was_killed_is_done_again(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """Wherever the first start was cut off, the next one comes up on a sound file."""
    kills, pause = size(5, 60), threading.Event()
    for number in range(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        box = new_program(folder)
        try:
            box.start(wait=False)
            pause.wait(chance.uniform(0.3, 1.2))
            box.kill9()
            box.start()
            assert box.new_key().startswith("pb_")
            assert check_integrity(box.home / "pillarbox.db") == []
        finally:
            box.kill9()
    tally("F22", kills=kills, sound=kills)
