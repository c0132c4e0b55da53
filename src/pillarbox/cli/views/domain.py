"""Domains that mail is signed for, and what receivers will find, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from pillarbox.cli.terminal import facts, listing, mark, plain, word
from pillarbox.client.answers import Page
from pillarbox.client.domain_answers import Readiness, SenderDomain

_STATES = {
    "waiting": "waits until its record is published",
    "signing": "signs",
    "retired": "retired; leave its record for a week",
}
_MARKS = {"waiting": "warn", "signing": "ok", "retired": "skip"}
_KINDS = {"rsa": "RSA", "ed25519": "Ed25519"}
_TOPICS = {
    "login": "From and login",
    "mx": "MX",
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
}
_TROUBLES = ("fail", "warn")


def show_list(page: Page[SenderDomain], out: Console) -> None:
    """Each domain and how many of its keys sign."""
    if not page.items:
        print("No mail is signed. To sign for a domain: pillarbox domain add DOMAIN")
        return
    rows = []
    for each in page:
        states = [key["state"] for key in each.keys]
        note = f"{states.count('signing')} of {len(states)} keys sign"
        rows.append((plain(each.domain), word("ok" if each.is_signing else "warn", note)))
    out.print(listing(("Domain", "Keys"), rows))


def show(domain: SenderDomain, out: Console) -> None:
    """Each key with its record; what to do next, where something waits."""
    out.print(Text(plain(domain.domain)))
    for key in domain.keys:
        out.print()
        kind = _KINDS.get(key["kind"], key["kind"])
        title = f" {key['selector']}  {kind}, {_STATES.get(key['state'], key['state'])}"
        out.print(Text.assemble(mark(_MARKS.get(key["state"], "skip")), plain(title)))
        if key["state"] != "retired":
            _show_record(key["record"], out)
    if any(key["state"] == "waiting" for key in domain.keys):
        out.print("\nPublish it, then:")
        out.print(f"  pillarbox domain check postmaster@{plain(domain.domain)}")


def show_readiness(found: Readiness, out: Console) -> None:
    """Everything that was looked at, then each thing to mend with its record."""
    for each in found.findings:
        title = f" {_TOPICS.get(each['topic'], each['topic']):<15}"
        evidence = plain(_short(each["evidence"], out.width - 18))
        out.print(Text.assemble(mark(each["status"]), title, evidence))
    troubles = [each for each in found.findings if each["status"] in _TROUBLES]
    for each in sorted(troubles, key=lambda one: _TROUBLES.index(one["status"])):
        out.print()
        topic = _TOPICS.get(each["topic"], each["topic"])
        out.print(Text.assemble(mark(each["status"]), " ", word(each["status"], topic)))
        told = [("Seen", each["evidence"]), ("Cause", each["cause"]), ("Do", each["fix"])]
        _show_record(each["publish"], out, told)
    out.print()
    if found.signs:
        out.print(f"pillarbox signs mail of {plain(found.domain)} with {', '.join(found.signs)}.")
    out.print(_verdict(found, len(troubles)))


def _verdict(found: Readiness, troubles: int) -> Text:
    if not found.ok:
        return word("fail", f"Mail from {plain(found.domain)} will not be believed everywhere.")
    note = f", with {troubles} thing{'s' * (troubles > 1)} to know" if troubles else ""
    return word("ok", f"Mail from {plain(found.domain)} will be believed{note}.")


def _show_record(
    record: Mapping[str, Any] | None, out: Console, told: Sequence[tuple[str, Any]] = ()
) -> None:
    """Name, type, and each string in quotes as a zone file has it. Nothing in it is folded."""
    if record is None:
        out.print(facts(told))
        return
    out.print(facts([*told, ("Name", f"{record['name']}."), ("Type", record["type"])]))
    for string in record["strings"]:
        out.print(Text(f'    "{plain(string)}"'), soft_wrap=True)


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
