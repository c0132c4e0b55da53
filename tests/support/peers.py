"""Programs written by others that must be installed, and the free ports they are given."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NODE_PACKAGES = ROOT / "tests" / "peers"

_EXTRA_FOLDERS = "/usr/sbin:/sbin"  # where mail servers live; a user's own PATH may lack them


def need(program: str) -> str:
    """The path of an installed program. Missing, it fails the test and says what to run."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_EXTRA_FOLDERS}")
    if found is None:
        pytest.fail(f"{program} is not installed: run `sudo sh scripts/install-test-peers`")
    return found


def need_root(program: str) -> None:
    if os.geteuid() != 0:
        pytest.fail(f"{program} can be started by root only: run the tests as root, in a container")


def need_node_package(name: str) -> str:
    """The path of `node`, once the npm package is known to be there."""
    node = need("node")
    if not (NODE_PACKAGES / "node_modules" / name).is_dir():
        pytest.fail(f"the npm package {name} is not installed: run `sh scripts/install-test-peers`")
    return node


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on now. All are held until all are known, so they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in held]
    for listener in held:
        listener.close()
    return ports


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
