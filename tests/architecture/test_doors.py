"""Every door to the outside world has one keeper."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

import pytest

from support.source import Module, attributes, imports, listed, modules, snippet

NOBODY = ()

# A module that only its keepers may import.
MODULES = {
    "sqlite3": ("base.db",),
    "asyncpg": ("base.db",),
    "alembic": ("base.db",),
    "sqlalchemy.ext.asyncio": ("base.db",),
    "httpx2": ("base.http", "base.fetch"),
    "dns": ("base.dns",),
    "authlib": ("oauth",),
    "joserfc": ("oauth",),
    "liquid": ("templates",),
    "mjml": ("templates",),
    "css_inline": ("templates",),
    "fastapi": ("inlets.http",),
    "starlette": ("inlets.http",),
    "uvicorn": ("inlets.http",),
    "jinja2": ("inlets.http",),
    "aiosmtpd": ("inlets.smtp",),
    "cyclopts": ("cli",),
    "rich": ("cli",),
    "structlog": ("base.log",),
    "opentelemetry": ("base.trace",),
    "random": ("base.ids", "base.sealing"),
    "secrets": ("base.ids", "base.sealing"),
    "uuid": ("base.ids", "base.sealing"),
    "httpx": NOBODY,
    "requests": NOBODY,
    "smtplib": NOBODY,
    "urllib.request": NOBODY,
}

# A name that only its keepers may use, imported or as an attribute.
NAMES = {
    "sqlalchemy.create_engine": ("base.db",),
    "os.environ": ("base.config",),
    "os.getenv": ("base.config",),
    "os.urandom": ("base.ids", "base.sealing"),
    "datetime.now": ("base.clock",),
    "datetime.utcnow": ("base.clock",),
    "datetime.today": ("base.clock",),
    "date.today": ("base.clock",),
    "time.time": ("base.clock",),
    "time.monotonic": ("base.clock",),
    "time.perf_counter": ("base.clock",),
    "time.sleep": NOBODY,
    "asyncio.sleep": ("base.clock",),
    "asyncio.open_connection": ("base.dial",),
    "socket.create_connection": ("base.dial",),
    "socket.getaddrinfo": ("base.dial",),
}

# A method that only its keepers may call, on whatever object.
METHODS = {
    "reveal": ("smtp.sasl", "oauth", "base.sealing", "base.signing_keys"),
    "create_connection": ("base.dial",),
    "sock_connect": ("base.dial",),
    "getaddrinfo": ("base.dial",),
}


def reaches(name: str, door: str) -> bool:
    return f"{name}.".startswith(f"{door}.")


def trespasses(module: Module) -> Iterator[str]:
    """Every use of a door by somebody who does not keep it."""
    imported = list(imports(module))
    read = list(attributes(module))
    dialled = set(map(id, on_a_socket(module)))
    for door, keepers in MODULES.items():
        importing = [node for node, name in imported if reaches(name, door)]
        yield from refusals(module, importing, door, keepers)
    for door, keepers in NAMES.items():
        ends = f".{door}"
        using = [node for node, name in (*imported, *read) if f".{name}".endswith(ends)]
        yield from refusals(module, using, door, keepers)
    for method, keepers in METHODS.items():
        calling = [node for node, _ in read if node.attr == method and id(node) not in dialled]
        yield from refusals(module, calling, f".{method}()", keepers)


def on_a_socket(module: Module) -> Iterator[ast.expr]:
    """Calls with `sock=`: somebody has dialled already, and nothing is connected anew."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and any(word.arg == "sock" for word in node.keywords):
            yield node.func


def refusals(
    module: Module, used: Sequence[ast.AST], door: str, keepers: tuple[str, ...]
) -> Iterator[str]:
    if any(module.is_in(keeper) for keeper in keepers):
        return
    who = f"only {' and '.join(keepers)} may" if keepers else "nobody may"
    for node in used:
        yield f"{module.at(node)}: {who} use {door}. Take it as an argument, or ask the keeper."


def test_doors_are_used_by_their_keepers_only() -> None:
    """Time, chance, the environment, the network and each library come in at one place."""
    assert listed(line for module in modules() for line in trespasses(module)) == ""


def test_the_language_of_mail_is_pure() -> None:
    """mail/ holds values: nothing in it waits for anything."""
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith, ast.AsyncFor)
    found = (
        f"{module.at(node)}: nothing in mail/ is async. Do the waiting in smtp/ or above."
        for module in modules()
        if module.is_in("mail")
        for node in ast.walk(module.tree)
        if isinstance(node, waiting)
    )

    assert listed(found) == ""


@pytest.mark.parametrize("library", ["socket", "ssl", "asyncio", "select", "selectors"])
def test_a_dialogue_has_no_socket(library: str) -> None:
    """A dialogue yields what to say and is sent what came back, so a list can play it."""
    found = (
        f"{module.at(node)}: a dialogue must not import {library}. That is for smtp/wire.py."
        for module in modules()
        if module.is_in("smtp.dialogue") or module.is_in("mail")
        for node, name in imports(module)
        if reaches(name, library)
    )

    assert listed(found) == ""


@pytest.mark.parametrize(
    "text",
    [
        "import sqlite3",
        "from secrets import token_hex",
        "from os import environ",
        "x = os.environ['HOME']",
        "now = datetime.datetime.now(UTC)",
        "from time import monotonic as tick",
        "asyncio.open_connection('a', 1)",
        "loop.create_connection(p)",
        "self._password.reveal()",
    ],
)
def test_a_used_door_is_seen(text: str) -> None:
    """By import or by attribute, however deep."""
    assert list(trespasses(snippet("queue.claim", text)))


def test_a_keeper_may_use_its_door() -> None:
    """And a name that only looks like a door is none."""
    assert list(trespasses(snippet("smtp.sasl", "password.reveal()"))) == []
    assert list(trespasses(snippet("queue.claim", "now = self._clock.now()\nrandom = 4"))) == []
    assert list(trespasses(snippet("smtp.connecting", "loop.create_connection(p, sock=s)"))) == []
