"""How help looks: two columns that fit 80 characters, the same in a pipe."""

from __future__ import annotations

import textwrap
from typing import Any

_WIDTH = 80
_WIDEST_NAME = 28


class Columns:
    """A help formatter for cyclopts. It says nothing that needs a terminal."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        """One panel: commands, arguments or options."""
        rows = [
            (", ".join(each.display_labels_with_metavar), _sentence(each)) for each in panel.entries
        ]
        if not rows:
            return
        width = min(max(len(names) for names, _ in rows), _WIDEST_NAME) + 2
        print(f"{panel.title}:")
        print("\n".join(_row(names, sentence, width) for names, sentence in rows))
        print()

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        print(f"Usage: {' '.join(str(usage).split())}\n")

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        paragraphs = [each for each in _text(description).split("\n\n") if each.strip()]
        if paragraphs:
            print("\n\n".join(map(_paragraph, paragraphs)) + "\n")


def _paragraph(text: str) -> str:
    """Filled, unless it is indented: then it is an example."""
    return text if text.startswith("    ") else textwrap.fill(text, _WIDTH)


def _row(names: str, sentence: str, width: int) -> str:
    indent = " " * (width + 2)
    text = textwrap.fill(sentence, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    if len(names) > width - 2:
        return f"  {names}\n{text}".rstrip()
    return f"  {names:{width}}{text[width + 2 :]}".rstrip()


def _sentence(entry: Any) -> str:
    choices = f" One of: {', '.join(entry.choices)}." if entry.choices else ""
    return " ".join(_text(entry.description).split()) + choices


def _text(renderable: Any) -> str:
    """What cyclopts wraps for rich, as it was written."""
    inner = getattr(renderable, "primary_renderable", renderable)
    return "" if inner is None else str(getattr(inner, "plain", inner)).rstrip()
