"""`pillarbox doctor`: look the installation over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pillarbox.cli.exits import Exit
from pillarbox.cli.options import NOTHING, Everywhere, group, print_json

if TYPE_CHECKING:
    from rich.text import Text

    from pillarbox.cli.checks import Finding

app = group("doctor", "Look the installation over.")


@app.default
def doctor(*, everywhere: Everywhere = NOTHING) -> Exit:
    """Look over configuration, files, database, server and relays. Nothing is changed.

    Ends with 1 when something is not well.
    """
    from pillarbox.cli.checks import examine

    findings = examine(everywhere)
    if everywhere.json:
        print_json({"ok": _is_well(findings), "checks": [each.to_json() for each in findings]})
    else:
        _show(findings)
    return Exit.DONE if _is_well(findings) else Exit.NOT_WELL


def _is_well(findings: Sequence[Finding]) -> bool:
    return all(each.status != "fail" for each in findings)


def _show(findings: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from pillarbox.cli.terminal import console, mark, plain

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in findings:
        table.add_row(mark(each.status), each.name, plain(each.evidence))
        if each.fix:
            table.add_row("", "", Text(plain(each.fix), "bold"))
    out = console()
    out.print(table)
    out.print()
    out.print(_verdict(findings))


def _verdict(findings: Sequence[Finding]) -> Text:
    from pillarbox.cli.terminal import word

    broken = sum(each.status == "fail" for each in findings)
    warned = sum(each.status == "warn" for each in findings)
    if broken:
        return word("fail", f"{broken} of {len(findings)} need you.")
    return word("ok", f"Nothing is broken; {warned} to know." if warned else "All is well.")
