"""The folder layout is the architecture. This file keeps it true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.source import SRC, Module, imports, listed, modules, snippet

# Lowest first. A package may import itself and any earlier line; never its own line's siblings.
LAYERS = [
    {"base"},
    {"mail"},
    {"smtp"},
    {"journal"},
    {"access", "oauth", "templates", "queue", "senders"},
    {"relays"},
    {"accept", "delivery", "diagnosis"},
    {"accounts"},
    {"inlets.http", "inlets.smtp"},
    {"app"},
    {"client"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def package_of(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "inlets" else parts[0]


def upward(module: Module) -> Iterator[str]:
    """Imports of a package that is not below this one."""
    for node, name in imports(module):
        if not name.startswith("pillarbox."):
            continue
        there = package_of(name.removeprefix("pillarbox."))
        if there in {module.package, "__version__"} or is_below(there, module.package):
            continue
        yield (
            f"{module.at(node)}: {module.package} must not import {there}. Move what both need"
            " to a lower layer, or pass it in as an argument."
        )


def is_below(there: str, here: str) -> bool:
    return there in RANK and RANK[there] < RANK[here]


def test_imports_point_downwards() -> None:
    """Mail moves one way, and so does knowledge."""
    assert listed(line for module in modules() for line in upward(module)) == ""


def test_imports_are_absolute() -> None:
    """A name is written one way only, so it can be searched for."""
    relative = (
        f"{module.at(node)}: import {name} by its full name, from pillarbox."
        for module in modules()
        for node, name in imports(module)
        if name.startswith(".")
    )

    assert listed(relative) == ""


def test_every_package_has_a_layer() -> None:
    """A new package is a decision: it gets its line in LAYERS and in docs/ARCHITECTURE.md."""
    found = {module.package for module in modules()}

    assert found - RANK.keys() == set(), "add the package to LAYERS, where it belongs"


def test_every_folder_is_a_package() -> None:
    """A folder without `__init__.py` is left out of what is installed."""
    folders = {path.parent for path in SRC.rglob("*.py")}
    bare = {str(folder) for folder in folders if not (folder / "__init__.py").exists()}

    assert bare == set(), "add an empty __init__.py"


def test_package_files_are_empty() -> None:
    """Importing a package runs nothing and hides nothing. The top one holds the Python API."""
    full = {str(p.relative_to(SRC)) for p in SRC.rglob("__init__.py") if p.read_text().strip()}

    assert full <= {"__init__.py"}, "move the code to a module with a name"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("queue.claim", "from pillarbox.access.policy import may"),  # a sibling
        ("mail.address", "from pillarbox.smtp import sasl"),  # upward
        ("inlets.http.login", "import pillarbox.inlets.smtp.server"),
        ("client.remote", "from pillarbox.cli.main import main"),
        ("queue.claim", "from pillarbox.unheard_of import thing"),
    ],
)
def test_an_import_upward_or_sideways_is_seen(name: str, text: str) -> None:
    """Whatever way it is written."""
    assert len(list(upward(snippet(name, text)))) == 1


def test_an_import_downward_is_fine() -> None:
    """Also of one's own package, and of libraries."""
    text = "from pillarbox.mail.reply import Reply\nfrom pillarbox.queue import state\nimport json"

    assert list(upward(snippet("queue.claim", text))) == []
