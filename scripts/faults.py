"""
Break everything that can break, at full size, and write down what it came to.

    python scripts/faults.py                 full size; docs/reference/reliability.md is written
    python scripts/faults.py --only F1 F6    these rows; the others stay as they are
    python scripts/faults.py --scale 0.1     a tenth of it
    python scripts/faults.py --small         as `make test` does; nothing is written
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/reliability.md"
COUNTS = ROOT / "docs/reference/reliability.json"
MATRIX = ROOT / "docs/reference/reply-matrix.md"
MOST_SECONDS = 3600

Row = dict[str, Any]


class Fault(NamedTuple):
    """The module in tests/faults that does it, and what it does."""

    module: str
    words: str


FAULTS = {
    "F1": Fault(
        "test_fleet_kills",
        "`kill -9` of one of four workers on PostgreSQL, at random, while mail goes out; the "
        "ten minutes for an answer to the dot are twenty seconds here, and what is uncertain "
        "goes again after three, so that second copies come about",
    ),
    "F2": Fault(
        "test_kills",
        "`kill -9` of the server at random moments while twenty clients send, asking again by "
        "their idempotency key; what is uncertain at the end is sent again by hand",
    ),
    "F3": Fault(
        "test_kills",
        "`kill -9` of the whole group with much that waits: from each start to a delivery",
    ),
    "F4": Fault(
        "test_power",
        "power cut under load: only what was synced, name and content, is there afterwards; "
        "every fifth time the power goes again during the start",
    ),
    "F4-tool": Fault(
        "test_power",
        "the same cut on a plain SQLite writer, to see that it bites without syncs",
    ),
    "F5": Fault(
        "test_order",
        "the order of write, sync and answer, as the system calls came: 202 by HTTP, and what "
        "`send` returns to a program that imports pillarbox",
    ),
    "F5-EIO": Fault(
        "test_order",
        "one `fdatasync` of the database fails with EIO: no 202 after it, no second try, exit "
        "code 4; then a new start",
    ),
    "F6": Fault(
        "test_fleet_outage",
        "PostgreSQL stopped without a checkpoint (`pg_ctl stop -m immediate`) under load",
    ),
    "F7": Fault(
        "test_fleet_outage",
        "PostgreSQL restarted so every few seconds, then away for long: callers get 503 with "
        "Retry-After, nothing new is begun, and all goes on by itself",
    ),
    "F8": Fault(
        "test_disk_full",
        "a disk that is full but for 32 MB, and one that is full to the last block, under "
        "load; then space comes back",
    ),
    "F9-descriptors": Fault(
        "test_limits",
        "`ulimit -n 256` and more connections than that",
    ),
    "F9-memory": Fault(
        "test_limits",
        "messages of 20 MB in 1.5 GB of address space; the peak is of resident memory, 250 MB "
        "is the aim",
    ),
    "F10": Fault(
        "test_cuts",
        "connections to the relay cut by FIN, RST, half-close and silence, at every stage and "
        "inside DATA; before the dot none is uncertain but where silence hides the break, "
        "after it exactly one is",
    ),
    "F11": Fault(
        "test_cuts",
        "an answer to the final dot just before and just after the deadline",
    ),
    "F12": Fault(
        "test_reply_matrix",
        "every reply at every stage: [the matrix](reply-matrix.md)",
    ),
    "F15a": Fault(
        "test_backlog",
        "one of twenty relays drips its greeting, with mail that waits for it: what the others "
        "carry, and what share that is of what they carry without it; 90 % is the aim",
    ),
    "F15b": Fault(
        "test_load",
        "clients that never finish their request and drip an octet each half a second, beside "
        "others that do",
    ),
    "F16": Fault(
        "test_time",
        "the clock set an hour forth and back under load, and forty days forth",
    ),
    "F17": Fault(
        "test_time",
        "SIGSTOP and SIGCONT under load, and between the dot and its answer",
    ),
    "F17-fleet": Fault(
        "test_fleet_pause",
        "one of two workers on PostgreSQL stopped for twice its lease: with mail claimed, inside "
        "DATA, and after the dot; the other takes over. Leases are seconds here",
    ),
    "F18": Fault(
        "test_load",
        "a backlog that waits for a relay that is away, beside one that is dead for good",
    ),
    "F18-dead": Fault(
        "test_backlog",
        "mail that waits for a dead relay: memory it takes, a claim of ten out of all of it (99 "
        "of 100 are quicker; 50 ms is the aim), and how long mail for another relay takes; less "
        "than twice as long is the aim",
    ),
    "F19": Fault(
        "test_load",
        "the same relay comes back: tries while it was away, and connections at any moment",
    ),
    "F20": Fault(
        "test_limits",
        "huge and odd messages: refused with a reason, or carried to the octet",
    ),
    "F22": Fault(
        "test_migration",
        "mail in every state, and an upgrade to a release that copies its tables, killed at "
        "each of its steps; the old rows are compared after each kill and after the upgrade",
    ),
    "F22-new": Fault(
        "test_migration",
        "`kill -9` while the database is made, then started again",
    ),
    "F23": Fault(
        "test_restore",
        "a backup under load, restored beside the relay that has taken mail since",
    ),
}
"""What is done. The ids are those of the plan of faults."""


def main() -> int:
    """0 when every fault ended as it should."""
    asked = _arguments()
    wanted = [name for name in FAULTS if not asked.only or name in asked.only]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        if not asked.small and "F12" in wanted:
            MATRIX.unlink(missing_ok=True)
        ended = _run(asked, wanted, results)
        rows = [json.loads(line) for line in results.read_text().splitlines()]
    for row in rows:
        print(json.dumps(row))
    if not asked.small:
        kept = merged(wanted, [row for row in rows if "fault" in row], asked.scale)
        COUNTS.write_text(json.dumps(kept, indent=1) + "\n")
        PAGE.write_text(page(kept))
        print(f"{PAGE.relative_to(ROOT)} is written")
    missing = sorted(set(wanted) - {row.get("fault") for row in rows})
    if missing:
        print(f"no result of {', '.join(missing)}", file=sys.stderr)
    return ended or bool(missing)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Break everything that can break.")
    parser.add_argument("--small", action="store_true", help="as make test does")
    parser.add_argument("--scale", type=float, default=1.0, help="of the full size; 0.1 is a tenth")
    parser.add_argument("--only", nargs="+", choices=FAULTS, help="these, and what goes with them")
    return parser.parse_args()


def _run(asked: argparse.Namespace, wanted: list[str], results: Path) -> int:
    """The tests, with their results in this file; their exit code."""
    results.touch()
    wish = {"FAULTS_RESULTS": str(results), "FAULTS_SCALE": str(asked.scale)}
    wish |= {} if asked.small else {"FAULTS": "full"}
    modules = sorted({f"tests/faults/{FAULTS[name].module}.py" for name in wanted})
    options = ("-v", "-n", "2", "--dist", "loadgroup", "-p", "no:randomly")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *modules, *options, "--timeout", str(MOST_SECONDS)],
        cwd=ROOT,
        env=os.environ | wish,
        timeout=2 * MOST_SECONDS,
    ).returncode


def merged(wanted: list[str], rows: list[Row], scale: float) -> list[Row]:
    """What was known before, with what was done now in its place, in our order."""
    modules = {FAULTS[name].module for name in wanted}
    before = json.loads(COUNTS.read_text()) if COUNTS.exists() else []
    known = [row for row in before if row["fault"] in FAULTS]
    kept = [row for row in known if FAULTS[row["fault"]].module not in modules]
    new = [row | {"scale": scale} for row in rows if row["fault"] in FAULTS]
    order = list(FAULTS)
    return sorted([*kept, *new], key=lambda row: (order.index(row["fault"]), _counts(row)))


def page(rows: list[Row]) -> str:
    """The counts in words."""
    lines = [
        "# What was broken, and what it came to",
        "",
        "Made by `make faults`, on two cores that other work shares. One checker judges every run",
        "from outside: what was acknowledged, by a ledger that clients sync, against what a relay",
        "took, by a ledger that it syncs before its 250, and against the states of the API. The",
        "figures stand in [reliability.json](reliability.json) too. A row ends well or has none:",
        "what is wrong with a run is an error of the test that made it.",
        "",
        "- *lost*: acknowledged, and neither taken by the relay nor said to have failed;",
        "- *duplicates*: taken more than once; *explained*: it was called uncertain before,",
        "  which is the only way that a second copy may come about;",
        "- *uncertain*: no answer came after the final dot; it is tried again a quarter of an hour",
        "  later, with the same octets.",
        "",
        "| | What was done | Size | Counts |",
        "|---|---|---|---|",
    ]
    for name, fault in FAULTS.items():
        mine = [row for row in rows if row["fault"] == name]
        lines += [f"| {name} | {fault.words} | {_size(row)} | {_counts(row)} |" for row in mine]
        if not mine:
            lines.append(f"| {name} | {fault.words} | | **no result** |")
    return "\n".join([*lines, "", *_not_in_full(rows), "", *NOTES]) + "\n"


def _not_in_full(rows: list[Row]) -> list[str]:
    """What the table cannot be read to say: rows that are smaller than planned, or missing."""
    smaller = {row["fault"]: row["scale"] for row in rows if row["scale"] != 1}
    missing = [name for name in FAULTS if name not in {row["fault"] for row in rows}]
    told = [f"{name} ({smaller[name]:g} of it)" for name in FAULTS if name in smaller]
    told += [f"{name} (not at all)" for name in missing]
    return textwrap.wrap(f"Not run at full size: {', '.join(told) or 'none'}.", 90)


NOTES = (
    "F13, recipients of one message that fare differently, is in `tests/integration/delivery`;",
    "F14, certificates and TLS, in `tests/integration/smtp`; F21, throughput, in `bench`.",
    "What needs webhooks or OAuth is not in this table.",
    "",
    "A herd that failed at one moment (F19) comes back over as long as its wait, half of it",
    "earlier and half of it later: any ten seconds get 3 % of it after five minutes, and 17 %",
    "after the first minute. There the aim of 5 % cannot be met: a minute has six times ten",
    "seconds. What a relay that is away keeps waiting is no herd: it is probed by one message.",
)


def _size(row: Row) -> str:
    return "full" if row["scale"] == 1 else f"{row['scale']:g} of it"


def _counts(row: Row) -> str:
    told = {name: count for name, count in row.items() if name not in ("fault", "scale")}
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in told.items())


if __name__ == "__main__":
    sys.exit(main())
