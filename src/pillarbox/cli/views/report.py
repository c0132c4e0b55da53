"""A diagnosis for people: step by step, then what went wrong and what to do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pillarbox.cli.advice import command_for, options_for, options_of
from pillarbox.cli.terminal import facts, mark, plain, typed, word
from pillarbox.client.answers import Proposal, Proposals, Report, Step
from pillarbox.relays import presets

_TROUBLES = ("fail", "warn")
_REPLY = re.compile(r"[2-5][0-9][0-9]\b")  # RFC 5321 §4.2


def show(report: Report, out: Console, *, transcript: bool = False) -> None:
    """The steps, then each that needs somebody."""
    out.print(_steps(report))
    troubles = [each for each in report.steps if each.status in _TROUBLES]
    for step in sorted(troubles, key=lambda each: _TROUBLES.index(each.status)):
        if step.cause or step.fix:
            out.print()
            _show_trouble(step, report, out)
    for proposal in report.proposals:
        out.print()
        _show_proposal(proposal, report.relay, out)
    if transcript and report.transcript:
        out.print("\nWhat was said")
        out.print(Padding(Text("\n".join(map(plain, report.transcript)), "dim"), (0, 0, 0, 2)))
    out.print()
    out.print(_verdict(report))


def _steps(report: Report) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for step in report.steps:
        took = _took(step.milliseconds)
        style = "dim" if step.status == "skip" else ""
        table.add_row(
            mark(step.status), Text(step.label, style), took, Text(plain(step.evidence), style)
        )
        for each in step.addresses:
            found = f"{plain(str(each.get('ip')))} {plain(str(each.get('found')))}"
            table.add_row("", "", _took(each.get("milliseconds")), Text(found, "dim"))
    return table


def _took(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:,.0f} ms"


def _show_trouble(step: Step, report: Report, out: Console) -> None:
    """What the server said, why, what to do."""
    out.print(Text.assemble(mark(step.status), " ", word(step.status, step.label)))
    rows = [(_source(step), step.evidence), ("Cause", step.cause), ("Do", step.fix)]
    if report.relay:
        rows.append(("Type", command_for(step.advice_id, report.relay)))
    else:
        rows.append(("Add", options_for(step.advice_id)))
    out.print(facts(rows))


def _source(step: Step) -> str:
    """Evidence is what the server answered, or something that we saw."""
    return "Said" if _REPLY.match(step.evidence) else "Seen"


def _show_proposal(proposal: Proposal, relay: str | None, out: Console) -> None:
    """The change in words, why, and what to type for it."""
    options = options_of(proposal.change)
    if proposal.asks_again:
        options += " --password-stdin"
    command = f"pillarbox relay set {shlex.quote(relay)} {options}" if relay else None
    out.print(Text.assemble(word("ok", "→"), " Try instead: ", _in_words(proposal.change)))
    again = "the change drops it" if "password" in proposal.asks_again else None
    out.print(
        facts(
            [
                ("Why", proposal.why),
                ("Again", f"the password: {again}" if again else None),
                ("Type" if relay else "Add", typed(command or options, out)),
            ]
        )
    )


def show_proposals(answer: Proposals, out: Console) -> None:
    """Settings for an address, the best first, then where we looked."""
    name = answer.address.partition("@")[2].partition(".")[0] or "main"
    for number, found in enumerate(answer.proposals, 1):
        if number > 1:
            out.print()
        state = "ok" if found.answers else "warn"
        answers = "answers" if found.answers else "does not answer from here"
        where = _in_words(found.change)
        title = Text.assemble(mark(state), f" {number}. ", where)
        out.print(title)
        out.print(Text(f"  {found.sure}, {answers}", "dim"))
        command = f"pillarbox relay add {shlex.quote(name)} {options_of(found.change)}"
        out.print(facts([("Why", found.why), ("Type", typed(command, out))]))
    if not answer.proposals:
        out.print(word("fail", f"Nothing was found for {plain(answer.address)}."))
        out.print("Ask your provider for the name of its SMTP server, then:")
        out.print("  pillarbox diagnose --host NAME --username USER --password-stdin")
    if answer.looked:
        out.print("\nWhere we looked")
        out.print(
            facts((_SOURCES.get(each.source, each.source), each.evidence) for each in answer.looked)
        )


_PLACE = frozenset({"preset", "host", "port", "from"})
_SOURCES = {
    "domain": "Providers",
    "mx": "MX",
    "autoconfig": "Autoconfig",
    "srv": "SRV",
    "name": "Names",
}


def _in_words(change: Mapping[str, Any]) -> str:
    """`smtp.example.org port 587, starttls, as ann@example.org`."""
    known = presets.get(change.get("preset"))
    facts_of = {"host": known.host, "port": known.port, "tls": known.tls.value} if known else {}
    told = {**facts_of, **change}
    parts = [" ".join(_place(told))] if "host" in told or "port" in told else []
    parts += [f"{name} {_shown(value)}" for name, value in told.items() if name not in _PLACE]
    return plain((f"{known.name}: " if known else "") + ", ".join(parts))


def _place(told: Mapping[str, Any]) -> Iterator[str]:
    if "host" in told:
        yield str(told["host"])
    if "port" in told:
        yield f"port {told['port']}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={v}" for k, v in value.items())
    return "none" if value is None else str(value)


def _verdict(report: Report) -> Text:
    failure = report.failure
    if report.ok:
        warnings = sum(step.status == "warn" for step in report.steps)
        note = f", with {warnings} thing{'s' * (warnings > 1)} to know" if warnings else ""
        return word("ok", f"This works{note}.")
    where = f" It stops at “{failure.label}”." if failure else ""
    return word("fail", f"This does not work.{where}")
