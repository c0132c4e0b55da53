"""Libraries that stand between a program and the system, compiled when a test needs them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.peers import need

_SOURCES = Path(__file__).parent / "preload"


def compiled(name: str, folder: Path) -> Path:
    """One of preload/*.c as a shared library in the folder, for LD_PRELOAD."""
    library = folder / f"{name}.so"
    if not library.exists():
        options = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
        source = _SOURCES / f"{name}.c"
        subprocess.run(
            [need("gcc"), *options, "-o", library, source, "-ldl", "-pthread"], check=True
        )
    return library
