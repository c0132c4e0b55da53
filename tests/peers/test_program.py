"""The tests' hold on the program, tried on a stand-in of a few lines."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from support.program import Program, new_program

STAND_IN = """
import http.server, json, os, sys
host, port = os.environ["PILLARBOX_HTTP"].split(":")
if sys.argv[1] != "serve":
    print(json.dumps({"key": "pb_1", "argv": sys.argv[1:], "env": dict(os.environ)}))
    sys.exit(0 if sys.argv[1] == "key" else 2)
if "fail" in sys.argv:
    sys.exit("no database")
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.send_header("Content-Type", "application/problem+json")
        self.end_headers()
        self.wfile.write(json.dumps({"auth": self.headers["Authorization"]}).encode())
print("serving", flush=True)
http.server.ThreadingHTTPServer((host, int(port)), Ready).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Program:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    program = new_program(tmp_path, PILLARBOX_LOG="json")
    program.command = (sys.executable, str(script))
    return program


def test_it_starts_answers_and_stops(stand_in: Program) -> None:
    """Ready when start returns; gone when terminate does; the log covers both runs."""
    stand_in.start()
    assert stand_in.ask("GET", "/v1/x", key="k").body == {"auth": "Bearer k"}
    stand_in.restart()
    assert stand_in.is_ready()
    stand_in.kill9()

    assert not stand_in.is_ready()
    assert stand_in.transcript().count("serving") == 2


def test_a_failed_start_shows_what_was_said(stand_in: Program) -> None:
    """The reason is in the error, so nobody has to look for a log."""
    with pytest.raises(RuntimeError, match="no database"):
        stand_in.start("fail")


def test_a_command_gets_a_clean_environment(
    stand_in: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home and the ports are there; what the developer has set is not."""
    monkeypatch.setitem(os.environ, "PILLARBOX_DATABASE_URL", "postgresql://elsewhere")
    assert stand_in.new_key() == "pb_1"
    seen = stand_in.run_json("key", "list")

    assert seen["argv"] == ["key", "list", "--json"]
    assert seen["env"]["PILLARBOX_HOME"] == str(stand_in.home)
    assert seen["env"]["PILLARBOX_LOG"] == "json"
    assert seen["env"]["PILLARBOX_SMTP"] == "off"
    assert "PILLARBOX_DATABASE_URL" not in seen["env"]
    assert stand_in.run("relay", "list").returncode == 2
