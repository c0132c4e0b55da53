"""Nodemailer's pool: 20 connections, nothing kept, raw octets or composing each message."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from bench.contender import Contender
from bench.message import CONTENT, HTML, RECIPIENT, SENDER, SUBJECT, TEXT
from bench.sink import sink
from support.peers import NODE_PACKAGES, need_node_package

CONNECTIONS = 20


@contextmanager
def nodemailer_pool(name: str, messages: int, *, raw: bool) -> Iterator[Contender]:
    node = need_node_package("nodemailer")
    message = {"from": SENDER, "to": RECIPIENT, "subject": SUBJECT, "text": TEXT, "html": HTML}
    with sink() as there:
        options = {
            "port": there.port,
            "connections": CONNECTIONS,
            "raw": base64.b64encode(CONTENT).decode() if raw else None,
            "message": message,
        }
        command = [node, str(NODE_PACKAGES / "pool.mjs"), json.dumps(options)]
        sender = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

        def hand_over(count: int) -> None:
            assert sender.stdin is not None
            assert sender.stdout is not None
            sender.stdin.write(f"{count}\n")
            if not sender.stdout.readline():
                raise RuntimeError("Nodemailer ended; see standard error")

        try:
            yield Contender(name, messages, sender.pid, there, hand_over)
        finally:
            sender.kill()
            sender.wait()
