"""Log lines have one form, whoever writes them, and nothing in them that must not be."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_TALK = """
import logging, sys
from datetime import UTC, datetime
from pillarbox.base import log
log.start_logging(sys.argv[1])
say = log.frequent("delivery", "attempt", ("message", "answer"))
moment = datetime(2026, 11, 20, 12, 0, 1, 500, UTC)
say(moment, "msg_1", "250 ok")
say(moment, "msg_1", 'C: AUTH PLAIN canary\\r\\n{"event": "forged"} \\x1b[2J "quoted" Grüße')
say(moment, "msg_1", "Authorization: bearer canary, pb_01ABC_canary")
log.logger("delivery").info("attempt", message="msg_1", answer="250 ok")
log.logger("app").info("nested", settings={"password": "canary", "hosts": ["Bearer canary"]})
logging.getLogger("uvicorn.error").warning("said by %s", "another\\nlibrary")
try:
    raise RuntimeError("AUTH PLAIN canary")
except RuntimeError as error:
    log.logger("app").error("broken", exc_info=error)
"""


def said(form: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _TALK, form], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


def test_each_line_is_one_object() -> None:
    """With timestamp, level, part and event: lines prepared, ours, and of other libraries."""
    lines = [json.loads(line) for line in said("json").splitlines()]

    assert len(lines) == 7
    for line in lines:
        assert {"timestamp", "level", "event"} <= line.keys()
    assert lines[0] == {
        "timestamp": "2026-11-20T12:00:01.000500Z",
        "level": "info",
        "part": "delivery",
        "event": "attempt",
        "message": "msg_1",
        "answer": "250 ok",
    }
    assert lines[0].keys() == lines[3].keys()
    assert lines[1]["answer"].startswith("C: AUTH PLAIN (redacted)\\x0d\\x0a")
    assert lines[1]["answer"].endswith('\\x1b[2J "quoted" Grüße')
    assert lines[4]["settings"] == {"password": "(redacted)", "hosts": ["(redacted)"]}
    assert lines[5]["event"] == "said by another\\x0alibrary"
    assert "RuntimeError" in lines[6]["exception"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_form_tells_secrets_or_moves_the_cursor(form: str) -> None:
    """Not in a prepared line, not in a nested value, not in an exception."""
    told = said(form)

    assert "canary" not in told
    assert "\x1b[2J" not in told


def test_a_prepared_line_takes_few_microseconds() -> None:
    """It is written for each attempt. The bound is ten times what it takes on a quiet machine."""
    measure = (
        "import sys, time, os\nfrom datetime import UTC, datetime\nfrom pillarbox.base import log\n"
        "sys.stderr = open(os.devnull, 'w', buffering=1)\nlog.start_logging('json')\n"
        "say = log.frequent('delivery', 'attempt', ('a', 'b', 'c'))\nnow = datetime.now(UTC)\n"
        "begun = time.perf_counter()\n"
        "for _ in range(5000): say(now, 'msg_01M7X1D0BSDWN9YSTBN10YWVC5', 'relayed', '250 ok')\n"
        "print((time.perf_counter() - begun) / 5000 * 1e6)"
    )
    done = subprocess.run([sys.executable, "-c", measure], capture_output=True, text=True)

    assert float(done.stdout) < 60, done.stderr
