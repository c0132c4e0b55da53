"""What the pages point at is there: files, headings, tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from support.source import ROOT, SRC, listed

PAGES = tuple(
    sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").glob("*.md")])
)

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_TEST = re.compile(r"`(tests/[\w/.-]+\.(?:py|txt))(?:::(\w+))?`")
_SOURCE = re.compile(r"`((?:src|scripts|bench)/[\w/.-]+)`")
_MODULE = re.compile(r"`([a-z_]+(?:/[a-z_]+)+\.(?:py|toml))`")


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Headings as GitHub makes them into fragments."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def broken(page: Path) -> Iterator[str]:
    """Links of a page that lead nowhere in this project."""
    for target in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            yield f"{page.relative_to(ROOT)}: {target} is not there"
        elif fragment and fragment not in anchors(there):
            yield f"{page.relative_to(ROOT)}: {target}: there is no such heading"


def test_links_lead_somewhere() -> None:
    """Relative links and their fragments; addresses of others are not asked for."""
    assert PAGES
    assert listed(line for page in PAGES for line in broken(page)) == ""


def test_tests_that_are_named_exist() -> None:
    """A promise with a test beside it has that test."""
    named = [(page, *found) for page in PAGES for found in _TEST.findall(prose(page))]
    lost = (
        f"{page.relative_to(ROOT)}: {file} {name}".rstrip()
        for page, file, name in named
        if not (ROOT / file).exists() or (name and f"def {name}(" not in (ROOT / file).read_text())
    )

    assert named
    assert listed(lost) == ""


def test_files_that_are_named_exist() -> None:
    """From the root, or from src/pillarbox."""
    lost = (
        f"{page.relative_to(ROOT)}: {file}"
        for page in PAGES
        for file in (*_SOURCE.findall(prose(page)), *_MODULE.findall(prose(page)))
        if not (ROOT / file).exists() and not (SRC / file).exists()
    )

    assert listed(lost) == ""
