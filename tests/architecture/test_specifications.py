"""docs/SPECIFICATIONS.md leads from each RFC to the files that follow it, and back."""

from __future__ import annotations

import re

from support.source import ROOT, SRC, listed, modules

PAGE = ROOT / "docs" / "SPECIFICATIONS.md"

# "RFC 5321 §2.3.1", "RFC 4422, 4954 and 7628".
_CITATION = re.compile(r"\bRFCs?\s+(\d{3,5}(?:(?:,|,? and|,? or)\s+\d{4,5}\b)*)")
_ROW = re.compile(r"^\| *RFC (\d+) *\|.*\|([^|]*)\|\s*$", re.MULTILINE)
_FILE = re.compile(r"[\w/]+\.(?:py|toml|html)")


def cited() -> dict[str, set[str]]:
    """Each RFC, with the files that cite it."""
    found: dict[str, set[str]] = {}
    for module in modules():
        for numbers in _CITATION.findall(module.text):
            for number in re.findall(r"\d+", numbers):
                found.setdefault(number, set()).add(str(module.path.relative_to(SRC)))
    return found


def rows() -> dict[str, set[str]]:
    """Each RFC of the page, with the files it names."""
    assert PAGE.exists(), f"write {PAGE.name}: a line `| RFC 5321 | what it is | files |` for each"
    return {number: set(_FILE.findall(files)) for number, files in _ROW.findall(PAGE.read_text())}


def test_every_cited_rfc_is_listed() -> None:
    """A reader finds where a standard is followed without searching the code."""
    missing = (
        f"RFC {number}: add a line for it to {PAGE.name}; cited in {', '.join(sorted(files))}"
        for number, files in sorted(cited().items())
        if number not in rows()
    )

    assert listed(missing) == ""


def test_every_listed_rfc_is_cited() -> None:
    """The page promises nothing that the code does not say itself."""
    unfounded = (
        f"RFC {number}: cite it where it is followed, or remove its line"
        for number in sorted(rows().keys() - cited().keys())
    )

    assert listed(unfounded) == ""


def test_every_listed_file_exists() -> None:
    """A file that was moved takes its line along."""
    lost = (
        f"RFC {number}: {file} is not in src/pillarbox"
        for number, files in rows().items()
        for file in sorted(files)
        if not (SRC / file.removeprefix("src/").removeprefix("pillarbox/")).exists()
    )

    assert listed(lost) == ""
