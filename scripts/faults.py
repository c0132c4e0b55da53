"""
Break everything that can break, at full size, and write down what it came to.

    python scripts/faults.py                 full size; docs/reference/reliability.md is written
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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/reliability.md"
MATRIX = ROOT / "docs/reference/reply-matrix.md"
MOST_SECONDS = 3600

FAULTS = {
    "F1-F3": "`kill -9` of the server at random moments while four clients send, asking again by "
    "their idempotency key; the time is from a start to its first delivery, the slowest",
    "F1": "`kill -9` of one of four workers on PostgreSQL, at random, while mail goes out; the "
    "ten minutes for an answer to the dot are twenty seconds here, and what is uncertain goes "
    "again after three, so that second copies come about",
    "F4": "power cut under load: only what was synced, name and content, is there afterwards; "
    "every fifth time the power goes again during the start",
    "F4-tool": "the same cut on a plain SQLite writer, to see that it bites without syncs",
    "F5": "the order of write, sync and 202, as the system calls came",
    "F5-EIO": "one `fdatasync` of the database fails with EIO: no 202 after it, no second try, "
    "exit code 4; then a new start",
    "F6": "PostgreSQL stopped without a checkpoint (`pg_ctl stop -m immediate`) under load",
    "F7": "PostgreSQL restarted so every few seconds, then away for long: callers get 503 with "
    "Retry-After, nothing new is begun, and all goes on by itself",
    "F8": "a disk that is full but for 32 MB, and one that is full to the last block, under load; "
    "then space comes back",
    "F9-descriptors": "`ulimit -n 256` and more connections than that",
    "F9-memory": "messages of 20 MB in 1.5 GB of address space; the peak is of resident memory, "
    "250 MB is the aim",
    "F10": "connections to the relay cut by FIN, RST, half-close and silence, at every stage and "
    "inside DATA; before the dot none is uncertain but where silence hides the break, after it "
    "exactly one is",
    "F11": "an answer to the final dot just before and just after the deadline",
    "F12": "every reply at every stage: [the matrix](reply-matrix.md)",
    "F15a": "a relay that takes a second over every answer, beside another",
    "F15b": "clients that never finish their request and drip an octet each half a second, beside "
    "others that do",
    "F16": "the clock set an hour forth and back under load, and forty days forth",
    "F17": "SIGSTOP and SIGCONT under load, and between the dot and its answer",
    "F18": "a backlog that waits for a relay that is away, beside one that is dead for good",
    "F19": "the same relay comes back: tries while it was away, and connections at any moment",
    "F20": "huge and odd messages: refused with a reason, or carried to the octet",
    "F22": "`kill -9` while the database is made, then started again",
    "F23": "a backup under load, restored beside the relay that has taken mail since",
}
"""What was done. The ids are those of the plan of faults."""


def main() -> int:
    """0 when every fault ended as it should."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.jsonl"
        if not asked.small:
            MATRIX.unlink(missing_ok=True)
        ended = _run(asked, results)
        rows = [json.loads(line) for line in results.read_text().splitlines()]
    for row in rows:
        print(json.dumps(row))
    missing = sorted(set(FAULTS) - {row["fault"] for row in rows})
    if missing:
        print(f"no result of {', '.join(missing)}", file=sys.stderr)
    if ended == 0 and not missing and not asked.small:
        PAGE.write_text(page(rows, asked.scale))
        print(f"{PAGE.relative_to(ROOT)} is written")
    return ended or bool(missing)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Break everything that can break.")
    parser.add_argument("--small", action="store_true", help="as make test does")
    parser.add_argument("--scale", type=float, default=1.0, help="of the full size; 0.1 is a tenth")
    return parser.parse_args()


def _run(asked: argparse.Namespace, results: Path) -> int:
    """The tests, with their results in this file; their exit code."""
    results.touch()
    wish = {"FAULTS_RESULTS": str(results), "FAULTS_SCALE": str(asked.scale)}
    wish |= {} if asked.small else {"FAULTS": "full"}
    tests = ("tests/faults", "-v", "-n", "2", "--dist", "loadgroup", "-p", "no:randomly")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *tests, "--timeout", str(MOST_SECONDS)],
        cwd=ROOT,
        env=os.environ | wish,
        timeout=2 * MOST_SECONDS,
    ).returncode


def page(rows: list[dict[str, Any]], scale: float) -> str:
    """The counts in words."""
    size = "full size" if scale == 1 else f"{scale:g} of the full size"
    lines = [
        "# What was broken, and what it came to",
        "",
        f"Made by `make faults` at {size}, on two cores, with SQLite. One checker judges every run",
        "from outside: what was acknowledged, by a ledger that clients sync, against what a relay",
        "took, by a ledger that it syncs before its 250, and against the states of the API.",
        "",
        "- *lost*: acknowledged, and neither taken by the relay nor said to have failed;",
        "- *duplicates*: taken more than once; *explained*: it was called uncertain before,",
        "  which is the only way that a second copy may come about;",
        "- *uncertain*: no answer came after the final dot; it is tried again a quarter of an hour",
        "  later, with the same octets.",
        "",
        "| | What was done | Counts |",
        "|---|---|---|",
    ]
    rows = [row for row in rows if row["fault"] in FAULTS]
    ranked = sorted(rows, key=lambda row: (list(FAULTS).index(row["fault"]), _counts(row)))
    lines += [f"| {row['fault']} | {FAULTS[row['fault']]} | {_counts(row)} |" for row in ranked]
    lines += [
        "",
        "F13, recipients of one message that fare differently, is in `tests/integration/delivery`;",
        "F14, certificates and TLS, in `tests/integration/smtp`; F21, throughput, in `bench`.",
        "What needs PostgreSQL, several machines or webhooks is not in this table.",
    ]
    return "\n".join(lines) + "\n"


def _counts(row: dict[str, Any]) -> str:
    told = {name: count for name, count in row.items() if name != "fault"}
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in told.items())


if __name__ == "__main__":
    sys.exit(main())
