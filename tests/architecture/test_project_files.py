"""The project runs on anybody's machine: nothing in it names one."""

from __future__ import annotations

import json
import re

import pytest

from support.source import ROOT, listed, project_files

# Written so that this file does not match itself.
FORBIDDEN = {
    "a package registry's host": re.compile(
        r"//[a-z.]*(py[p]i|pythonh[o]sted|npm[j]s|d[e]bian|n[o]desource)\.(org|com)"
    ),
    "a path of one machine": re.compile(r"(?<![\w./-])/(wor[k]|far[m]|roo[t]|hom[e])/[a-z.]"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    """Where packages come from, and where the checkout lies, is the machine's own business."""
    found = (
        f"{path.relative_to(ROOT)}:{number}: remove {what}."
        for path in project_files()
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1)
        if FORBIDDEN[what].search(line)
    )

    assert listed(found) == ""


def test_node_packages_are_locked_without_addresses() -> None:
    """Each has a version and a checksum; the machine's own npm knows where to get it."""
    lock = json.loads((ROOT / "tests/peers/package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}

    assert packages
    assert all("integrity" in package for package in packages.values())
    assert all("resolved" not in package for package in packages.values())
