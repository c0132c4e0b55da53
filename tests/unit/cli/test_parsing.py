"""What a command line means, and what it refuses to mean."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.config import Config
from pillarbox.base.errors import Invalid, Rejected
from pillarbox.cli import relay
from pillarbox.cli.exits import Usage
from pillarbox.cli.main import COMMANDS, help_page, main, parser
from pillarbox.cli.relay import Settings, asking_again
from pillarbox.cli.secrets import PasswordFrom
from pillarbox.cli.send import Letter
from pillarbox.cli.serve import banner, read_parts
from pillarbox.relays.relay import RelayKind, RelaySettings
from pillarbox.relays.versions import Relay
from pillarbox.smtp.endpoint import TlsMode

HEAVY = ("cyclopts", "rich", "fastapi", "sqlalchemy", "httpx2", "structlog", "alembic")


def test_help_imports_nothing_heavy() -> None:
    """`pillarbox --help` is there at once."""
    look = "import sys; from pillarbox.__main__ import main\ntry: main()\nexcept SystemExit: pass\n"
    look += f"print([name for name in {HEAVY!r} if name in sys.modules])"

    seen = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True
    ).stdout

    assert seen.splitlines()[-1] == "[]"
    assert seen.startswith(help_page())


def test_importing_pillarbox_is_cheap() -> None:
    """The Python API is imported when it is asked for."""
    look = "import sys, pillarbox; print(sorted(m for m in sys.modules if 'pillarbox' in m))"
    look += "; pillarbox.Pillarbox; print('pillarbox.client.client' in sys.modules)"

    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert seen.stdout.split("\n")[:2] == ["['pillarbox']", "True"]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_function_that_is_a_command_can_be_typed(command: str) -> None:
    """One that lost its place in the parser would be missed by nobody but users."""
    module = import_module(f"pillarbox.cli.{command}")
    meant = {
        name.rstrip("_")
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and "everywhere" in inspect.signature(function).parameters
    }

    assert meant <= {command, *module.app}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In 80 columns, without a representation of some object in it."""
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Usage: pillarbox {command}")
    assert " object at 0x" not in said
    assert max(map(len, said.splitlines())) <= 80


def test_commands_are_those_of_the_table() -> None:
    """The first page and the parser cannot disagree."""
    assert {name for name in parser() if not name.startswith("-")} == set(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["snd"], "did you mean send?\nTry: pillarbox --help"),
        (["relay", "rm", "x"], "did you mean remove?\nTry: pillarbox relay --help"),
        (["message", "frob"], "There are: list, show"),
        (["relay", "list", "more"], "“more” is more than `relay list` takes"),
        (["relay", "show"], "`relay show` needs NAME\nTry: pillarbox relay show --help"),
        (["relay", "add", "x", "--port"], "--port needs a value after it"),
        (["relay", "add", "x", "--password", "y"], "can be read by others"),
        (["--json", "send"], "name a command first"),
        (["message", "list", "--state", "relaied"], "did you mean relayed?"),
        (["message", "list", "--limit", "0"], "--limit is between 1 and 100, not 0"),
        (["message", "list", "--after", "yesterday"], "msg_…, not “yesterday”"),
        (["relay", "add", "x", "--set", "authorities=@/no/such"], "No such file"),
        (["relay", "add", "x", "--set", "authorities=/etc/passwd"], "=@/etc/passwd"),
        (["relay", "add", "x", "--set", "client_key=x"], "write --set client_key=@FILE"),
        (["relay", "add", "x", "--hst", "y"], "did you mean --host?"),
        (["relay", "add"], "NAME"),
        (["relay", "add", "x", "--port", "many"], "--port"),
        (["relay", "set", "x"], "say what to change"),
        (["relay", "add", "x", "--set", "pin"], "write it as field=value"),
        (["diagnose"], "name a relay, or say --host or --preset"),
        (["diagnose", "main", "--port", "25"], "not both (port)"),
        (["serve", "--only", "ftp"], "--only takes http, worker, smtp"),
        (["serve", "--only", "worker"], "go together"),
    ],
)
def test_what_cannot_be_read_is_usage(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one sentence on stderr."""
    assert main(arguments) == 2
    seen = capsys.readouterr()
    assert said in seen.err
    assert seen.out == ""
    assert "Traceback" not in seen.err


def test_flags_become_fields_of_the_api() -> None:
    """What is not said is not sent; --set with nothing goes back to the default."""
    said = Settings(host="mail.example.org", from_="a@example.org", set_=("pin=ab", "ehlo_name="))

    assert said.fields() == {
        "host": "mail.example.org",
        "from": "a@example.org",
        "pin": "ab",
        "ehlo_name": None,
    }


@pytest.mark.parametrize("name", ["password", "proxy_password", "client_key"])
def test_no_secret_on_the_command_line(name: str) -> None:
    """Every user of the machine can read it there."""
    with pytest.raises(Usage, match="can be read by others"):
        Settings(set_=(f"{name}=hunter2",)).fields()


def test_a_password_is_the_first_line_of_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blanks belong to it, its line end does not."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(" two words \r\nmore\n"))

    assert PasswordFrom(password_stdin=True).read() == " two words "


def test_a_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, so that it is in no process list."""
    monkeypatch.setenv("RELAY_PASSWORD", "hunter2")

    assert PasswordFrom(password_env="RELAY_PASSWORD").read() == "hunter2"
    with pytest.raises(Usage, match="NO_SUCH"):
        PasswordFrom(password_env="NO_SUCH").read()


def test_an_empty_stdin_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty pipe is a mistake in the script, not an empty password."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    with pytest.raises(Usage, match="empty"):
        PasswordFrom(password_stdin=True).read()


def test_text_comes_from_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash is standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("Hello,\nAnn.\n"))

    assert Letter(text_file="-").fields()["text"] == "Hello,\nAnn.\n"
    with pytest.raises(Usage, match="one of"):
        Letter(text="a", text_file="-").fields()


def test_parts_of_the_server() -> None:
    """All of them when nothing is said."""
    assert read_parts(None) == {"http", "worker", "smtp"}
    assert read_parts("http, worker") == {"http", "worker"}


def _break(*_: object, **__: object) -> None:
    raise RuntimeError("the bottom fell out")


@pytest.mark.parametrize("arguments", [["key", "list"], ["key", "list", "--debug"]])
def test_a_mistake_of_ours_is_admitted(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and where to look; with --debug, everything."""
    monkeypatch.setattr("pillarbox.cli.main.parser", _break)

    assert main(arguments) == 4
    said = capsys.readouterr().err
    assert "the bottom fell out" in said
    assert ("Traceback" in said) == ("--debug" in arguments)
    assert ("--debug" in said) == ("--debug" not in arguments)


async def refusing(more: dict[str, str], *missing: str) -> dict[str, str]:
    """A relay command that wants these fields, and says so."""
    problems = [Invalid(f"enter the {each}", field=each) for each in missing if each not in more]
    if problems:
        raise Rejected(problems)
    return more


async def test_a_person_is_asked_for_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only after everything else is right, and only for user name and password."""
    typed = {"username": "ann", "password": "hunter2"}
    monkeypatch.setattr(relay, "_ASKED", {name: lambda n=name: typed[n] for name in typed})

    assert await asking_again(lambda more: refusing(more, "username", "password")) == typed
    with pytest.raises(Rejected):
        await asking_again(lambda more: refusing(more, "host", "password"))


async def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says which option to use."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("hunter2\n"))

    with pytest.raises(Rejected):
        await asking_again(lambda more: refusing(more, "username", "password"))


def test_a_setting_may_stand_in_a_file(tmp_path: Path) -> None:
    """Certificates have many lines."""
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n…\n")

    said = Settings(set_=(f"authorities=@{tmp_path}/ca.pem",)).fields()

    assert said["authorities"].startswith("-----BEGIN")


def test_a_full_disk_is_no_mistake_of_ours() -> None:
    """The answer has nowhere to go; that is said."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pillarbox", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert done.returncode == 4
    assert done.stderr == ("pillarbox: the answer could not be written: No space left on device\n")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": RelayKind.SANDBOX}, "Until there is a relay, mail is caught in the sandbox"),
        ({"host": "mail.example.org"}, "Mail goes by main (mail.example.org port 587): untested."),
    ],
)
def test_the_banner_knows_how_mail_goes(fields: dict[str, Any], said: str) -> None:
    """Who has a relay is told about it, not how to begin."""
    default = Relay(
        id="rly_1",
        name="main",
        version=1,
        is_default=True,
        settings=replace(RelaySettings(port=587, tls=TlsMode.STARTTLS), **fields),
        sealed={},
        changed_at=datetime(2026, 11, 20, tzinfo=UTC),
    )

    told = banner("http://127.0.0.1:8425", Config(home=Path("/x")), "pillarbox", default)

    assert said in told
    assert ("relay add" in told) == ("sandbox" in said)
