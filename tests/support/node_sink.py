"""Nodemailer's server as a relay: another implementation of the protocol, that speaks XOAUTH2."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from support.certificates import issue
from support.peers import NODE_PACKAGES, need_node_package
from support.waiting import until


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the server offers and refuses."""

    tls: Literal["implicit", "starttls", "none"] = "starttls"
    auth: tuple[str, ...] = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2")
    username: str = "app@pillarbox.test"
    password: str = "correct horse battery staple"
    token: str = "an-access-token"
    size: int = 0
    """Octets it takes, announced with SIZE. 0: any number."""
    rejected: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Recipient, to the code and text it is refused with."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One message as it came: `octets` is the content, dots unstuffed, nothing added."""

    envelope_from: str
    envelope_to: tuple[str, ...]
    octets: bytes
    record: Mapping[str, Any]
    """Also `parameters` of MAIL FROM, `greeted_as`, `secure`, and `login` {name, method}."""


@dataclass(frozen=True, slots=True)
class NodeSink:
    """A running server."""

    port: int
    ca_pem: Path
    folder: Path
    options: Options
    host: str = "localhost"

    def kept(self) -> list[Kept]:
        """Every message answered with 250, oldest first."""
        return [_read(path) for path in sorted(self.folder.glob("*.json"))]

    def wait_kept(self, count: int, *, seconds: float = 10) -> list[Kept]:
        """All messages, once there are `count`. Raises TimeoutError."""
        until(
            lambda: len(list(self.folder.glob("*.json"))) >= count,
            seconds=seconds,
            what=f"arrival of {count} message(s)",
        )
        return self.kept()


@contextmanager
def node_sink(tmp_path: Path, options: Options | None = None) -> Iterator[NodeSink]:
    """Serve until the block ends. Needs Node.js and the packages of tests/peers."""
    node = need_node_package("smtp-server")
    options = options or Options()
    folder = tmp_path / "kept"
    folder.mkdir()
    certificates = issue(tmp_path)
    wish = asdict(options) | {"folder": str(folder), "certificate": str(certificates.server_pem)}
    with (tmp_path / "node-sink.log").open("wb") as log:
        server = subprocess.Popen(
            [node, NODE_PACKAGES / "sink.mjs", json.dumps(wish)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            if not line:
                raise RuntimeError((tmp_path / "node-sink.log").read_text())
            yield NodeSink(json.loads(line)["port"], certificates.ca_pem, folder, options)
        finally:
            server.stdin.close()


def _read(path: Path) -> Kept:
    record = json.loads(path.read_text())
    octets = path.with_suffix(".eml").read_bytes()
    return Kept(record["from"], tuple(record["to"]), octets, record)
