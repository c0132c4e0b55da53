"""The reference pages are made of the code, and are the ones that are committed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable

import pytest

from pillarbox.base import config
from pillarbox.cli.main import COMMANDS
from pillarbox.inlets.http.figures import FIGURES
from pillarbox.inlets.http.problems import STATUS
from pillarbox.journal.events import catalogue
from pillarbox.relays import presets
from pillarbox.relays.catalogue import entries
from pillarbox.relays.relay import FIELD_NAMES, Slot
from support.source import ROOT, modules

PAGES = ROOT / "docs" / "reference"


def test_the_reference_is_up_to_date() -> None:
    """Every error, option, event, route and command has its documentation, made from itself."""
    made = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert made.returncode == 0, f"run `make docs` and commit docs/reference\n{made.stderr}"


def routes() -> Iterable[str]:
    """The paths as the routers' decorators have them, without asking the application."""
    for module in modules():
        if module.is_in("inlets.http.api"):
            yield module.text.partition('prefix="')[2].partition('"')[0] or "/livez"


THERE = {
    "configuration.md": [*config.names()],
    "errors.md": [kind.code for kind in STATUS],
    "events.md": [*catalogue()],
    "http.md": [*routes()],
    "cli.md": [f"pillarbox {name}" for name in COMMANDS],
    "metrics.md": [each.name for each in FIGURES],
    "relays.md": [*FIELD_NAMES, *Slot, *(preset.id for preset in presets.every())],
    "advice.md": [entry["id"] for entry in entries()],
}


@pytest.mark.parametrize("page", THERE)
def test_nothing_is_left_out(page: str) -> None:
    """What the program knows, a reader finds by its name."""
    text = (PAGES / page).read_text()

    assert THERE[page]
    assert [name for name in THERE[page] if name not in text] == []


def test_metrics_that_the_guides_name_exist() -> None:
    """An alarm on a name that is not there never rings."""
    guides = "".join(each.read_text() for each in sorted((ROOT / "docs/guides").rglob("*.md")))
    named = set(re.findall(r"\bpillarbox_[a-z_]+\b", guides))
    known = {f"{each.name}_total" if each.kind == "counter" else each.name for each in FIGURES}

    assert len(named) > 5
    assert named <= known
