"""What README and the guides show was tried: every block runs, and says what is written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.ledger_relay import LedgerRelay, Options, ledger_relay
from support.program import Program, program
from support.source import ROOT

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs/guides").glob("*.md")))

_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "\x01"

# What the documents say, and what is here in its place.
_THERE = "--host smtp.example.org --port 587"
_SERVER = "http://127.0.0.1:8425"
_KEY = "pb_…"

# What is another one each time.
_CHANGING = (
    (re.compile(r"\b(msg|dlv|att|rly|ses|req)_[0-9A-HJKMNP-TV-Z]{26}"), r"\1_…"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z)?"), "…"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "…"),
    (re.compile(r"\b\d+ ms\b"), "…"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of a document, and what stands below it."""

    command: str
    expected: str


def blocks(document: Path, kind: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(document.read_text()) if name == kind]


def commands(document: Path) -> list[Shown]:
    """Lines after `$ `, with those that a backslash continues, and the lines up to the next."""
    lines = "".join(blocks(document, "console")).splitlines()
    shown: list[list[str]] = []
    is_open = False
    for line in lines:
        if line.startswith("$ "):
            shown.append([line.removeprefix("$ "), ""])
            is_open = line.endswith("\\")
        elif is_open:
            shown[-1][0] += f"\n{line.removeprefix('> ')}"
            is_open = line.endswith("\\")
        else:
            shown[-1][1] += f"{line}\n"
    return [Shown(command, expected) for command, expected in shown]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a reader sits: a server that runs, and the relay that the documents talk about."""

    box: Program
    relay: LedgerRelay

    def here(self, text: str) -> str:
        port = self.relay.port
        relay = f'--host localhost --port {port} --tls starttls --set authorities="$CA"'
        return text.replace(_THERE, relay).replace(_SERVER, self.box.url)

    def there(self, text: str) -> str:
        port = str(self.relay.port)
        text = text.replace(self.box.url, _SERVER)
        text = text.replace("ledger.test", "smtp.example.org").replace(
            "localhost", "smtp.example.org"
        )
        return re.sub(rf"\b{port}\b", "587", text).replace(str(self.box.home), ".pillarbox")

    def surroundings(self) -> dict[str, str]:
        tools = self.box.folder / "bin"
        return self.box.surroundings() | {
            "PATH": f"{tools}:{os.defpath}",
            "CA": self.relay.ca_pem.read_text(),
        }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    tools = tmp_path / "bin"
    tools.mkdir()
    installed = tools / "pillarbox"
    installed.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pillarbox "$@"\n')
    installed.chmod(0o755)
    account = Options(tls="starttls", username="ann@example.org", password="right")
    with ledger_relay(tmp_path, account) as relay, program(tmp_path) as box:
        yield Desk(box, relay)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_do_what_is_written_below_them(document: Path, desk: Desk) -> None:
    """A reader who types them sees the same; a `…` stands for whatever differs."""
    shown = commands(document)
    answers = typed([each.command for each in shown], desk)

    for number, (each, (answer, ended)) in enumerate(zip(shown, answers, strict=True)):
        asked = any(after.command == "echo $?" for after in shown[number + 1 : number + 2])
        assert ended == 0 or asked, (
            f"{document.name}: $ {each.command}\nended with {ended}: {answer}"
        )
        actual = squeezed(desk.there(answer))
        assert pattern(each.expected).search(actual), (
            f"{document.name}: $ {each.command}\n--- written\n{each.expected}\n--- seen\n{answer}"
        )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_programs_run(document: Path, desk: Desk) -> None:
    """Each is a whole program, and its asserts hold."""
    (desk.box.folder / "invoice.pdf").write_bytes(b"%PDF-1.7")
    for text in blocks(document, "python"):
        text = text.replace("https://mail.example.org", desk.box.url)
        text = text.replace(_KEY, desk.box.new_key())
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=desk.box.folder,
            env=desk.surroundings(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{document.name}\n{text}\n{done.stderr}"


def test_the_documents_show_something() -> None:
    """Otherwise the two tests above hold for any text."""
    shown = [each for document in DOCUMENTS for each in commands(document)]

    assert len(shown) > 20
    assert sum(bool(each.expected.strip()) for each in shown) > 10
    assert sum(len(blocks(document, "python")) for document in DOCUMENTS) > 3


def typed(lines: list[str], desk: Desk) -> list[tuple[str, int]]:
    """All of them in one shell, as a person has it: variables and `$?` go from line to line."""
    after = f"__ended=$?; printf '{_END}%s{_END}' $__ended; (exit $__ended)"
    script = "\n".join(f"{desk.here(line)}\n{after}" for line in lines)
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec 2>&1\n{script}\n"],
        cwd=desk.box.folder,
        env=desk.surroundings(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )
    told = done.stdout.split(_END)
    return [(answer, int(ended)) for answer, ended in zip(told[::2], told[1::2], strict=False)]


def squeezed(text: str) -> str:
    """How long lines are is the terminal's business."""
    for changing, word in _CHANGING:
        text = changing.sub(word, text)
    return " ".join(text.split())


def pattern(expected: str) -> re.Pattern[str]:
    """What is written, in order; a `…` is anything."""
    parts = re.split(r"\s*…\s*", squeezed(expected))
    return re.compile(".*?".join(map(re.escape, parts)), re.DOTALL)
