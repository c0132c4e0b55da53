"""Domains and readiness on paper: what is wrong, why, what to do, and the record to publish."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from pillarbox.cli.views.domain import show, show_readiness
from pillarbox.client.answers import read
from pillarbox.client.domain_answers import Readiness, SenderDomain

RECORD = {
    "name": "s1._domainkey.b.example",
    "type": "TXT",
    "value": "v=DKIM1; p=" + "A" * 300,
    "strings": ["v=DKIM1; p=" + "A" * 244, "A" * 56],
}


def paper(draw: Any, value: Any) -> str:
    file = io.StringIO()
    draw(value, Console(file=file, width=80, highlight=False, markup=False, emoji=False))
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n"))


def test_a_key_that_waits_says_what_to_publish_and_what_to_do_then() -> None:
    """Each string on a line of its own, never folded: it is copied into a form."""
    key = {"selector": "s1", "kind": "rsa", "state": "waiting", "record": RECORD}
    text = paper(show, read(SenderDomain, {"domain": "b.example", "keys": [key]}))

    assert text.startswith("b.example\n\n! s1  RSA, waits until its record is published\n")
    assert "  Name  s1._domainkey.b.example.\n" in text
    assert f'    "{RECORD["strings"][0]}"\n    "{RECORD["strings"][1]}"\n' in text
    assert text.endswith("Publish it, then:\n  pillarbox domain check postmaster@b.example\n")


def test_a_retired_key_has_nothing_to_publish() -> None:
    """Its record may go; nobody is asked to check."""
    key = {"selector": "s1", "kind": "ed25519", "state": "retired", "record": RECORD}
    text = paper(show, read(SenderDomain, {"domain": "b.example", "keys": [key]}))

    assert "retired; leave its record for a week" in text
    assert "AAAA" not in text
    assert "check" not in text


def test_what_has_to_be_mended_comes_first() -> None:
    """All at a glance, then failures before warnings, each with its record; then one verdict."""
    told = {
        "ok": False,
        "domain": "b.example",
        "findings": [
            {"topic": "mx", "status": "ok", "evidence": "answers go to mx.b.example"},
            {"topic": "spf", "status": "warn", "evidence": "no record", "cause": "None.",
             "fix": "Publish."},
            {"topic": "dkim", "status": "fail", "evidence": "s1: no record", "cause": "No key.",
             "fix": "Publish this record.", "publish": RECORD},
        ],
        "signs": ["s2"],
    }  # fmt: skip
    for finding in told["findings"]:  # type: ignore[attr-defined]  # a list
        finding.update({k: finding.get(k) for k in ("cause", "fix", "publish")})
    text = paper(show_readiness, read(Readiness, told))

    assert text.startswith("✓ MX             answers go to mx.b.example\n! SPF")
    assert text.index("✗ DKIM\n") < text.index("! SPF\n")
    assert "  Do     Publish this record.\n  Name   s1._domainkey.b.example.\n" in text
    assert "pillarbox signs mail of b.example with s2." in text
    assert text.endswith("Mail from b.example will not be believed everywhere.\n")
