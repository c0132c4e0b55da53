"""A diagnosis for people: step by step, then what went wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pillarbox.cli.advice import command_for, options_for
from pillarbox.cli.terminal import facts, mark, plain, word
from pillarbox.client.answers import Proposal, Report, Step

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
        _show_proposal(proposal, out)
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
        took = "" if step.milliseconds is None else f"{step.milliseconds:,.0f} ms"
        style = "dim" if step.status == "skip" else ""
        table.add_row(
            mark(step.status), Text(step.label, style), took, Text(plain(step.evidence), style)
        )
    return table


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


def _show_proposal(proposal: Proposal, out: Console) -> None:
    changes = ", ".join(f"{name} {_shown(value)}" for name, value in proposal.change.items())
    again = f"  (enter again: {', '.join(proposal.asks_again)})" if proposal.asks_again else ""
    out.print(Text(f"Try instead: {plain(changes)}{again}"))
    out.print(Padding(Text(plain(proposal.why), "dim"), (0, 0, 0, 2)))


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
