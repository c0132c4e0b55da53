"""
What the guides to providers say twice: values from the presets, errors from the catalogue.

A page names them in a comment, and `make docs` writes the table below it:

    <!-- values: gmail google-workspace -->
    <!-- errors: google.app-password google.wrong-password -->
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from markdown_tables import code, table
from pillarbox.relays import presets
from pillarbox.relays.catalogue import entries
from pillarbox.relays.presets import Login, Preset

PAGES = Path(__file__).parents[1] / "docs/guides/providers"

_BLOCK = re.compile(
    r"^<!-- (?P<kind>values|errors): (?P<ids>[^\n]*?) -->\n.*?^<!-- /(?P=kind) -->$",
    re.MULTILINE | re.DOTALL,
)
_LOGINS = {
    Login.ADDRESS: "the whole address",
    Login.GIVEN: "as the provider shows it",
    Login.NOBODY: "nobody signs in",
}


def pages() -> dict[Path, str]:
    """Every guide as it has to be."""
    return {path: filled(path.read_text()) for path in sorted(PAGES.glob("*.md"))}


def filled(text: str) -> str:
    """The page with its tables. Raises SystemExit for what nobody knows."""
    return _BLOCK.sub(lambda block: _block(block["kind"], block["ids"].split()), text)


def _block(kind: str, ids: Sequence[str]) -> str:
    made = values(ids) if kind == "values" else errors(ids)
    return f"<!-- {kind}: {' '.join(ids)} -->\n\n{made}\n\n<!-- /{kind} -->"


def values(ids: Sequence[str]) -> str:
    """Host, port, TLS mode and login of presets."""
    rows = [
        (
            code(preset.id),
            code(preset.host),
            preset.port,
            preset.tls.value,
            ", ".join(f"{port} {tls.value}" for port, tls in preset.alternatives) or "–",
            code(preset.username) if preset.username else _LOGINS[preset.login],
            preset.secret_name or "password",
        )
        for preset in map(_preset, ids)
    ]
    heading = ("Preset", "Host", "Port", "TLS", "Also", "User name", "Password")
    return table(heading, rows)


def errors(ids: Sequence[str]) -> str:
    """What is said, why, and what to do."""
    known = {entry["id"]: entry for entry in entries()}
    if unknown := [each for each in ids if each not in known]:
        raise SystemExit(f"scripts/guides.py: no such advice: {', '.join(unknown)}")
    where: defaultdict[str, str] = defaultdict(lambda: "the server")
    rows = []
    for entry in (known[each] for each in ids):
        said = _said(entry.get("examples") or entry.get("answers"))
        sentences = (entry[each].format_map(where) for each in ("cause", "fix"))
        rows.append((said or ", ".join(entry["losses"]), *map(_begun, sentences)))
    return table(("It says", "Why", "What to do"), rows)


def _said(examples: Sequence[str] | None) -> str:
    return code(min(examples, key=len)) if examples else ""


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _preset(preset_id: str) -> Preset:
    found = presets.get(preset_id)
    if found is None:
        raise SystemExit(f"scripts/guides.py: no such preset: {preset_id}")
    return found
