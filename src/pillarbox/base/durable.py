"""Bringing files and folders to stable storage by their names."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """
    fsync(2) a file or a folder. A new or moved file's name is durable only once its folder is.

    Raises OSError. Windows has no such call for folders, and then nothing happens.
    """
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
