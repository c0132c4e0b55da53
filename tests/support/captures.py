"""docs/reference/diagnose-captures.md: what the program said about set-ups, and says again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from support.source import ROOT

PAGE = ROOT / "docs/reference/diagnose-captures.md"
HEAD = """# What diagnose says

Made by `WRITE_CAPTURES=1 pytest -p no:randomly tests/journeys/test_broken_setups.py`, which also \
holds that it stays true: each set-up is built from real servers, `pillarbox diagnose` names the \
cause, and after the fix it ends with 0. `main` is a saved relay; passwords are in the environment.
"""

_CHANGING = (
    re.compile(r"\d[\d,]*ms"),
    re.compile(r"\d{1,2}[A-Z][a-z]+\d{4}"),
    re.compile(r"\d+days"),
    re.compile(r"SHA-256[0-9a-f]+"),
    re.compile(r"trustmev[\d.]+"),
    re.compile(r"Testing(cert|CA)#[\w-]+"),
    re.compile(r"(?<=localhost:)\d+"),
)
"""What is another one each time, in a text without blanks."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Two runs of the program, and what was done between them."""

    title: str
    command: str
    said: str
    words: str
    command_then: str
    said_then: str

    @property
    def text(self) -> str:
        first = f"```console\n$ {self.command}\n{self.said.rstrip()}\n```"
        then = f"```console\n$ {self.command_then}\n{self.said_then.rstrip()}\n```"
        return f"## {self.title}\n\n{first}\n\n{self.words}\n\n{then}\n"


def sections() -> list[str]:
    text = PAGE.read_text() if PAGE.exists() else ""
    return re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]


def titles() -> list[str]:
    return [section.partition("\n")[0].removeprefix("## ") for section in sections()]


def section(title: str) -> str:
    """What the page shows of it now, or nothing."""
    return next((each for each in sections() if each.startswith(f"## {title}\n")), "")


def write(capture: Capture, order: list[str]) -> None:
    """Put it in its place, and drop what is not in the order any more."""
    shown = {title: section(title) for title in order} | {capture.title: f"{capture.text}\n"}
    PAGE.write_text("\n".join([HEAD, "".join(shown.values()).rstrip() + "\n"]))


def squeezed(text: str) -> str:
    """Without what changes, and without blanks: lines break where a column happens to end."""
    text = "".join(text.split())
    for changing in _CHANGING:
        text = changing.sub("…", text)
    return text
