"""
A power cut without unplugging anything: what was not synced is gone.

A library beside the program copies each file to a shadow when it is synced, and each folder's
names when the folder is (preload/powerfail.c). The cut kills the program and puts what the
shadow has in place of the folder. It is stricter than most file systems: a file that was synced,
in a folder that was not, is not there afterwards, and an unlink may be undone.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from support.preloading import compiled


@dataclass(frozen=True, slots=True)
class PowerSupply:
    """Of one folder. The folder and everything in it is durable when this is made."""

    folder: Path
    shadow: Path
    library: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs around it to be cut off."""
        return {
            "LD_PRELOAD": str(self.library),
            "POWERFAIL_ROOT": str(self.folder),
            "POWERFAIL_SHADOW": str(self.shadow),
        }

    def cut(self) -> int:
        """Leave in the folder only what was synced. The program must be dead. How many files."""
        kept = self.folder.with_name(f"{self.folder.name}.kept")
        shutil.rmtree(kept, ignore_errors=True)
        count = self._rebuild("", kept)
        shutil.rmtree(self.folder)
        kept.rename(self.folder)
        self.hold()
        return count

    def hold(self) -> None:
        """Call everything that is in the folder now durable."""
        shutil.rmtree(self.shadow, ignore_errors=True)
        (self.shadow / "files").mkdir(parents=True)
        (self.shadow / "names").mkdir()
        self._hold_folder("")

    def _hold_folder(self, name: str) -> None:
        lines = []
        for path in (self.folder / name).iterdir():
            number, is_folder = path.stat().st_ino, path.is_dir()
            lines.append(f"{number} {int(is_folder)} {path.name}\n")
            if is_folder:
                self._hold_folder(f"{name}/{path.name}" if name else path.name)
            else:
                shutil.copyfile(path, self.shadow / "files" / str(number))
        self._names_of(name).write_text("".join(lines))

    def _rebuild(self, name: str, into: Path) -> int:
        into.mkdir(mode=0o700)
        count = 0
        names = self._names_of(name)
        for line in names.read_text().splitlines() if names.exists() else ():
            number, is_folder, entry = line.split(" ", 2)
            if entry in (".", ".."):
                continue
            if is_folder == "1":
                count += self._rebuild(f"{name}/{entry}" if name else entry, into / entry)
                continue
            kept = self.shadow / "files" / number
            made = into / entry
            made.touch(mode=0o600)
            if kept.exists():  # otherwise its name was synced and nothing of its content
                shutil.copyfile(kept, made)
            count += 1
        return count

    def _names_of(self, folder: str) -> Path:
        return self.shadow / "names" / f"%{folder.replace('/', '%')}"


def power_supply(folder: Path, scratch: Path) -> PowerSupply:
    """For a folder, which is made when it is not there. scratch keeps library and shadow."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    supply = PowerSupply(folder, scratch / "shadow", compiled("powerfail", scratch))
    supply.hold()
    return supply
