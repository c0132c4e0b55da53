"""The installed program as a person types it: every command, with a server and without one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.program import Program, new_program, program
from support.waiting import until

SEND = ("send", "--from", "Ann <ann@example.org>", "--to", "bob@example.org", "--subject", "Hello")
TEXT = ("--text", "Hello, Bob.")
DEAD = ("--host", "127.0.0.1", "--port", "9", "--tls", "none", "--from", "a@example.org")


@pytest.fixture
def offline(tmp_path: Path) -> Program:
    """A home on which no server runs."""
    return new_program(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Program]:
    with program(tmp_path) as running:
        yield running


@pytest.fixture(params=["with a server", "without one"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Program]:
    """Both ways a command can work."""
    home = new_program(tmp_path)
    try:
        if request.param == "with a server":
            home.start()
        yield home
    finally:
        home.kill9()


def ends(home: Program, code: int, *arguments: str, stdin: str = "") -> tuple[str, str]:
    """What the command printed, if it ended as it should."""
    done = home.run(*arguments, stdin=stdin)
    assert done.returncode == code, f"{arguments} ended with {done.returncode}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def test_a_first_mail(server: Program) -> None:
    """Serve, send, look: no configuration and nothing else to install."""
    assert f"Console  {server.url}/" in server.transcript()

    said, _ = ends(server, 0, *SEND, *TEXT, "--wait")
    assert "captured" in said

    [message] = server.run_json("message", "list")["data"]
    page, _ = ends(server, 0, "message", "show", message["id"])
    assert page.startswith(f"{message['id']}  captured\n")
    assert "bob@example.org  captured" in page
    assert server.terminate() == 0


def test_mail_without_a_server_waits_for_one(offline: Program) -> None:
    """It is on disk, we say who carries it, and it is carried."""
    said, _ = ends(offline, 0, *SEND, *TEXT)
    assert "No server is running" in said
    assert "pillarbox serve" in said
    [message] = offline.run_json("message", "list")["data"]
    assert message["state"] == "queued"

    offline.start()
    try:
        until(
            lambda: offline.run_json("message", "show", message["id"])["state"] == "relayed",
            seconds=20,
            what="delivery",
        )
    finally:
        offline.kill9()


def test_wait_carries_it_without_a_server(offline: Program) -> None:
    """`send --wait` needs nobody else."""
    told = offline.run_json(*SEND, *TEXT, "--wait")

    assert told["state"] == "relayed"
    assert told["attempts"][0]["answer"].startswith("250")


def test_a_relay_from_its_first_to_its_last_day(either: Program) -> None:
    """Add, list, show, set, remove; the password goes in by stdin and never comes out."""
    added = either.run_json(
        "relay", "add", "main", "--host", "mail.example.org", "--port", "587", "--tls", "starttls",
        "--username", "app", "--password-stdin", "--from", "Shop <shop@example.org>", "--default",
        "--set", "max_connections=2", stdin="hunter2\n",
    )  # fmt: skip
    assert added["password"]["set"]
    assert added["max_connections"] == 2
    assert added["default"]
    assert "hunter2" not in json.dumps(added)

    listed, _ = ends(either, 0, "relay", "list")
    assert "mail.example.org:587 starttls" in listed
    shown, _ = ends(either, 0, "relay", "show", "main")
    assert "app, password stored" in shown
    assert "hunter2" not in shown

    changed = either.run_json("relay", "set", "main", "--set", "max_connections=")
    assert changed["max_connections"] == 5
    assert "main" in ends(either, 0, "relay", "resume", "main")[0]
    undone = either.run_json("relay", "undo", "main")
    assert undone["max_connections"] == 2
    told, _ = ends(either, 0, "relay", "history", "main")
    assert told.startswith(f"{undone['version']}  ")
    assert "undid version 2" in told
    assert "   max_connections: 2 → 5" in told
    assert "hunter2" not in told
    _, said = ends(either, 3, "relay", "remove", "main")
    assert "make another one the default first" in said
    ends(either, 0, "relay", "set", "sandbox", "--default")
    ends(either, 0, "relay", "remove", "main")
    _, said = ends(either, 3, "relay", "show", "main")
    assert "main" in said


def test_a_relay_is_exported_and_imported(either: Program, tmp_path: Path) -> None:
    """Ours without its secret, which is asked for; another system's with what differs."""
    ends(either, 0, "relay", "add", "main", "--host", "mail.example.org", "--username", "app",
         "--password-stdin", stdin="hunter2\n")  # fmt: skip
    kept, _ = ends(either, 0, "relay", "export", "main")
    assert "hunter2" not in kept
    file = tmp_path / "kept.json"
    file.write_text(kept)
    _, said = ends(either, 3, "relay", "import", str(file), "--name", "copy")
    assert "enter the password" in said
    ends(either, 0, "relay", "import", str(file), "--name", "copy", "--password-stdin",
         stdin="hunter3\n")  # fmt: skip

    file.write_text('{"Host": "mail.example.org", "SecureSocketOptions": "Auto"}')
    said, _ = ends(either, 0, "relay", "import", str(file), "--format", "umbraco", "--name", "u")
    assert "mail.example.org:587 starttls" in said
    assert "Note: STARTTLS" in said
    heir = either.run_json("relay", "add", "heir", "--inherits", "u")
    assert heir["host"] == "mail.example.org"
    ends(either, 2, "relay", "import", str(tmp_path / "nowhere"))


def test_certificates_in_words(either: Program, tmp_path: Path) -> None:
    """Of files, before anything is saved, and of a relay."""
    authority = tmp_path / "ca.pem"
    trustme.CA(organization_name="Pillars").cert_pem.write_to_path(str(authority))
    ends(either, 0, "relay", "add", "own", "--host", "mail.example.org", "--set",
         f"authorities=@{authority}")  # fmt: skip

    of_file, _ = ends(either, 0, "relay", "certificates", "--set", f"authorities=@{authority}")
    of_relay, _ = ends(either, 0, "relay", "certificates", "own")

    assert of_file == of_relay
    assert "O=Pillars" in of_file
    assert "itself" in of_file
    ends(either, 2, "relay", "certificates")


def test_a_relay_that_does_not_work(either: Program) -> None:
    """Typed or saved, diagnose says where it stops and what to do, and ends with 1."""
    said, _ = ends(either, 1, "diagnose", *DEAD)
    assert "✗ Connect" in said
    assert "  Do " in said
    assert "It stops at “Connect”" in said

    ends(either, 0, "relay", "add", "dead", *DEAD)
    report = json.loads(ends(either, 1, "diagnose", "dead", "--json")[0])
    assert not report["ok"]
    assert {step["status"] for step in report["steps"]} == {"ok", "fail", "skip"}


def test_the_sandbox_is_well(either: Program) -> None:
    """There is nothing outside that could fail."""
    ends(either, 0, "key", "create", "--name", "first")
    said, _ = ends(either, 0, "diagnose", "sandbox")

    assert said.endswith("This works.\n")


def test_messages_are_withdrawn(offline: Program) -> None:
    """Cancel ends it; a second time is refused, and so is trying again what is not over."""
    sent = offline.run_json(*SEND, *TEXT)
    _, said = ends(offline, 3, "message", "retry", sent["id"])
    assert "nothing to try again" in said
    said, _ = ends(offline, 0, "message", "cancel", sent["id"])
    assert said.split() == ["cancelled", "bob@example.org"]
    ends(offline, 3, "message", "cancel", sent["id"])
    assert offline.run_json("message", "list", "--state", "queued")["data"] == []


def test_the_same_key_sends_one_mail(offline: Program) -> None:
    """A script may repeat itself."""
    first = offline.run_json(*SEND, *TEXT, "--idempotency-key", "order-4711")
    again = offline.run_json(*SEND, *TEXT, "--idempotency-key", "order-4711")

    assert first["id"] == again["id"]
    ends(offline, 3, *SEND, "--text", "Other words.", "--idempotency-key", "order-4711")


def test_files_travel_with_a_mail(offline: Program) -> None:
    """Attachments, headers, the text from stdin."""
    letter = offline.folder / "letter.txt"
    letter.write_text("Dear Bob")
    sent = offline.run_json(
        *SEND, "--text-file", "-", "--attach", str(letter), "--header", "X-Order: 4711",
        stdin="Hello from a pipe.\n",
    )  # fmt: skip

    assert sent["state"] == "queued"
    _, said = ends(offline, 3, *SEND, *TEXT, "--attach", str(offline.folder / "no such file"))
    assert "cannot be read" in said


def test_everything_that_is_wrong_is_told_at_once(either: Program) -> None:
    """With the flag of each, exit code 3, and nothing stored."""
    _, said = ends(either, 3, "send", "--to", "nobody")
    assert {"--to:", "--from:", "--text:"} <= set(said.split())

    _, said = ends(either, 3, "relay", "add", "x", "--host", "a b", "--port", "0", "--tls", "ssl")
    assert {"--host:", "--port:", "--tls:"} <= set(said.split())
    assert either.run_json("message", "list")["data"] == []


def test_a_key_opens_the_api_until_it_is_revoked(server: Program) -> None:
    """It is shown once, alone on a line when it is piped."""
    key: dict[str, Any] = server.run_json("key", "create", "--name", "shop")
    assert set(key) == {"id", "name", "key"}
    assert server.ask("GET", "/v1/messages", key=key["key"]).status == 200

    listed, _ = ends(server, 0, "key", "list")
    assert "shop" in listed
    assert key["key"] not in listed
    ends(server, 0, "key", "revoke", key["id"])
    assert server.ask("GET", "/v1/messages", key=key["key"]).status == 401
    alone, _ = ends(server, 0, "key", "create", "--name", "next")
    assert alone.startswith("pb_")
    assert len(alone.split()) == 1


def test_the_doctor(either: Program) -> None:
    """Well on a new home; a key file that others may read is not."""
    ends(either, 0, "key", "create", "--name", "first")
    said, _ = ends(either, 0, "doctor")
    assert "✓ database" in said

    (either.home / "secret.key").chmod(0o644)
    told = json.loads(ends(either, 1, "doctor", "--json")[0])
    [sick] = [check for check in told["checks"] if check["status"] == "fail"][:1]
    assert sick["name"] == "key file"
    assert sick["fix"] == f"chmod 600 {either.home / 'secret.key'}"


def test_a_damaged_home_is_unavailable(offline: Program) -> None:
    """The file is left alone, and we say what to do; the doctor says the same."""
    offline.home.mkdir(mode=0o700)
    broken = offline.home / "pillarbox.db"
    broken.write_text("This is somebody's shopping list.")

    _, said = ends(offline, 4, "message", "list")
    assert "was not touched" in said
    assert "✗ database" in ends(offline, 1, "doctor")[0]
    assert broken.read_text() == "This is somebody's shopping list."


def test_a_wrong_option_stops_the_start(offline: Program) -> None:
    """With the nearest one that exists."""
    offline.environment["PILLARBOX_HTP"] = "127.0.0.1:1"
    _, said = ends(offline, 3, "serve")

    assert "did you mean PILLARBOX_HTTP?" in said


def test_a_second_server_on_a_home_is_refused(server: Program) -> None:
    """One process writes a SQLite file."""
    _, said = ends(server, 4, "serve")

    assert f"already served at {server.url}/ (pid {server.pid})" in said


@pytest.mark.parametrize("command", ["relay list", "message list", "key list", "diagnose main"])
def test_looking_makes_no_home(offline: Program, command: str) -> None:
    """A typing mistake in the folder must not become a second pillarbox."""
    _, said = ends(offline, 3, *command.split())

    assert f"there is no pillarbox at {offline.home}" in said
    assert "pillarbox serve" in said
    assert not offline.home.exists()


def test_a_new_home_is_named(offline: Program) -> None:
    """Whoever makes one is told where, on stderr; settings that are only tried need none."""
    ends(offline, 1, "diagnose", *DEAD)
    assert not offline.home.exists()

    _, said = ends(offline, 0, "key", "create", "--name", "first")
    assert said == f"(made a new home at {offline.home})\n"
    assert ends(offline, 0, "key", "create", "--name", "second")[1] == ""


def test_a_home_that_cannot_be_is_told(offline: Program) -> None:
    """By the command that needs it and by the doctor."""
    offline.environment["PILLARBOX_HOME"] = "/dev/null/home"

    _, said = ends(offline, 4, *SEND, *TEXT)
    assert "the home /dev/null/home cannot be written by this user" in said
    assert "✗ home folder" in ends(offline, 1, "doctor")[0]


def test_the_database_is_made_and_brought_up(offline: Program) -> None:
    """Twice is no mistake."""
    assert offline.run_json("db", "upgrade")["was"] == "absent"
    assert offline.run_json("db", "upgrade")["was"] == "current"


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_reader_that_leaves_early_is_no_mistake(offline: Program, how: tuple[str, ...]) -> None:
    """As `head` does: no message, and exit code 0."""
    ends(offline, 0, "db", "upgrade")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*offline.command, "relay", "list", *how],
            cwd=offline.folder,
            env=offline.surroundings(),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_route_from_its_first_rule_to_its_last(either: Program) -> None:
    """Who carries what, and who stands in: set, listed, narrowed and forgotten."""
    for name in ("office", "spare"):
        ends(either, 0, "relay", "add", name, "--host", "mail.example.org", "--auth", "none")
    assert "No rules" in ends(either, 0, "route", "list")[0]

    ends(either, 0, "route", "set", "office", "spare")
    told = either.run_json("route", "set", "spare", "--stream", "bulk")
    assert told["rules"] == [
        {"when": {"stream": "bulk"}, "relays": ["spare"]},
        {"when": {}, "relays": ["office", "spare"]},
    ]
    assert "all mail" in ends(either, 0, "route", "list")[0]
    assert "nowhere" in ends(either, 3, "route", "set", "nowhere")[1]
    assert either.run_json("route", "set", "--stream", "bulk")["rules"] == told["rules"][1:]
    ends(either, 2, "route", "set", "--stream", "code")
