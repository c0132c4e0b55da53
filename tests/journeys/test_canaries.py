"""A password goes to the relay and nowhere else: not into a log, a page, a metric or a backup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.ledger_relay import Options, ledger_relay
from support.program import program
from support.waiting import until

_PASSWORD = "canary-Zq7-Secret"
_PLACES = ("/v1/relays", "/v1/messages", "/v1/events?limit=1000", "/metrics", "/")


@pytest.mark.parametrize("mechanism", ["right", "wrong"])
def test_a_password_is_in_no_output(tmp_path: Path, mechanism: str) -> None:
    """A whole send at DEBUG, taken and refused: every line is JSON, and none has the secret."""
    options = Options(tls="starttls", username="app", password="canary-Zq7-Secret")
    typed = _PASSWORD if mechanism == "right" else f"{_PASSWORD}-wrong"
    with ledger_relay(tmp_path, options) as relay, program(tmp_path, PILLARBOX_LOG="json") as box:
        box.restart("--debug")
        added = box.run(
            "relay", "add", "main", "--host", "localhost", "--port", str(relay.port),
            "--tls", "starttls", "--username", "app", "--password-stdin", "--default",
            "--from", "shop@example.org", "--set", f"authorities={relay.ca_pem.read_text()}",
            stdin=f"{typed}\n",
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        key = box.new_key()
        body = {"to": "bob@example.org", "subject": "Hi", "text": "Hi", "from": "shop@example.org"}
        message = box.ask("POST", "/v1/messages", body, key=key).body["id"]
        story = f"/v1/messages/{message}"
        until(lambda: box.ask("GET", story, key=key).body["attempts"], what="an attempt")
        until(lambda: message in box.transcript(), what="the line of the attempt")
        told = [json.dumps(box.ask("GET", each, key=key).body) for each in (*_PLACES, story)]
        backup = tmp_path / "backup.db"
        assert box.run("backup", str(backup)).returncode == 0
        box.terminate()
        log = box.transcript()

    lines = [json.loads(line) for line in log.splitlines()]
    [attempt] = [each for each in lines if each["event"] == "attempt"][:1]
    assert attempt["message"] == message
    assert attempt["outcome"] == ("relayed" if mechanism == "right" else "failed")
    assert {"delivery", "attempt", "relay", "answer"} <= attempt.keys()
    for text in (log, *told):
        assert "canary" not in text
        assert "Y2FuYXJ5" not in text  # its base64
        assert key not in text
    assert b"canary-Zq7" not in backup.read_bytes()
