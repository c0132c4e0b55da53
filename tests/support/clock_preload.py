"""A wall clock that a test sets while a program runs by it (preload/clock.c)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from support.preloading import compiled


@dataclass(frozen=True, slots=True)
class WallClock:
    """The clock on the wall of whoever has this environment."""

    offset: Path
    library: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "CLOCK_OFFSET": str(self.offset)}

    def set(self, **by: float) -> None:
        """So many hours and days from the true time; nothing: the true time."""
        seconds = by.pop("hours", 0) * 3600 + by.pop("days", 0) * 86_400
        assert not by
        with self.offset.open("r+b") as file:
            file.write(struct.pack("=q", int(seconds)))


def wall_clock(folder: Path) -> WallClock:
    """One that is right, in this folder."""
    offset = folder / "clock-offset"
    offset.write_bytes(struct.pack("=q", 0))
    return WallClock(offset, compiled("clock", folder))
