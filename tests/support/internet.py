"""
A few hosts by their real names and ports, for a program that runs as a process of its own.

Its look-ups and connections are answered here (preload/internet.c): what stands behind a door is a
server of this machine, and what is not named does not exist.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

from support.preloading import compiled


@dataclass(slots=True)
class Internet:
    """Hosts and the doors that are open. May grow and change while programs look at it."""

    file: Path
    library: Path
    addresses: dict[str, str] = field(default_factory=dict)
    _walls: list[socket.socket] = field(default_factory=list, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """For the program that lives here."""
        return {"LD_PRELOAD": str(self.library), "INTERNET": str(self.file)}

    def open(self, host: str, port: int, *, behind: int) -> None:
        """This port of the host is the server on 127.0.0.1 at `behind`."""
        self._write(f"door {self._address(host)} {port} {behind}")

    def block(self, host: str, port: int) -> None:
        """Connections to this port get no answer, as when a firewall drops them."""
        wall = socket.socket()
        wall.bind(("127.0.0.1", 0))
        wall.listen(0)  # with its queue full, the kernel does not answer
        self._walls.append(wall)
        for _ in range(3):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(wall.getsockname())
            self._walls.append(waiting)
        self.open(host, port, behind=wall.getsockname()[1])

    def alias(self, name: str, host: str) -> None:
        """Another name of the same host."""
        self.addresses[name] = self._address(host)
        self._write(f"name {name} {self.addresses[name]}")

    def close(self) -> None:
        for each in self._walls:
            each.close()

    def _address(self, host: str) -> str:
        if host not in self.addresses:
            self.addresses[host] = f"198.51.100.{len(self.addresses) + 1}"  # RFC 5737
            self._write(f"name {host} {self.addresses[host]}")
        return self.addresses[host]

    def _write(self, line: str) -> None:
        with self.file.open("a") as file:
            file.write(line + "\n")


def internet(folder: Path) -> Internet:
    """An empty one."""
    file = folder / "internet"
    file.touch()
    return Internet(file, compiled("internet", folder))
