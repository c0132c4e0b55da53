"""django-post_office: durable, enqueue and deliver, on SQLite or PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.contender import Contender
from bench.message import HTML, RECIPIENT, SENDER, SUBJECT, TEXT
from bench.sink import sink
from support.postgres import Postgres

MESSAGES = 600


@contextmanager
def django_post_office(database: str) -> Iterator[Contender]:
    """database is `SQLite` or `PostgreSQL`."""
    message = {"from": SENDER, "to": RECIPIENT, "subject": SUBJECT, "text": TEXT, "html": HTML}
    with ExitStack() as stack:
        there = stack.enter_context(sink())
        servers: list[Postgres] = []
        if database == "SQLite":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            where: dict[str, Any] = {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": f"{folder}/mail.db",
            }
        else:
            servers.append(stack.enter_context(own_postgres()))
            where = _as_django_says(asyncio.run(servers[0].create()))
        options = {"database": where, "port": there.port, "message": message}
        mailer = subprocess.Popen(
            [sys.executable, "-m", "bench.mailer_of_django", json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        stack.callback(mailer.wait)
        stack.callback(mailer.kill)

        def hand_over(count: int) -> None:
            assert mailer.stdin is not None
            assert mailer.stdout is not None
            mailer.stdin.write(f"{count}\n")
            if not mailer.stdout.readline():
                raise RuntimeError("django-post_office ended; see standard error")

        beside = tuple(server.pid for server in servers)
        name = f"django-post_office, {database}"
        yield Contender(name, MESSAGES, mailer.pid, there, hand_over, beside)


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """A server for one contender, durable as it comes."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _as_django_says(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.removeprefix("/"),
        "USER": parts.username,
        "HOST": parse_qs(parts.query)["host"][0],
    }
