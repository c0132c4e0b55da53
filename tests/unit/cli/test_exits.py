"""How a command ends, and what it says about it."""

from __future__ import annotations

import json

import pytest

from pillarbox.base.errors import (
    Conflict,
    Invalid,
    NotFound,
    PillarboxError,
    Rejected,
    Unavailable,
    Unusable,
)
from pillarbox.cli import exits
from pillarbox.cli.exits import Exit, complain, explain, flag_of


def every_error() -> list[type[PillarboxError]]:
    found, waiting = [], [PillarboxError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind is not PillarboxError:
            found.append(kind)
    return found


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid("no"), 3),
        (Rejected([Invalid("no")]), 3),
        (NotFound("no"), 3),
        (Conflict("no"), 3),
        (Unavailable("no"), 4),
        (Unusable("no"), 4),
    ],
)
def test_an_error_has_its_exit_code(error: PillarboxError, code: int) -> None:
    """Scripts depend on the number."""
    assert exits.code_of(error) == code


def test_every_error_of_ours_has_an_exit_code() -> None:
    """A new kind of error cannot be forgotten."""
    for kind in every_error():
        assert any(parent in exits._EXITS for parent in kind.__mro__), kind


@pytest.mark.parametrize(
    ("field", "flag"),
    [
        ("host", "--host"),
        ("to/0", "--to"),
        ("from", "--from"),
        ("reply_to", "--reply-to"),
        ("attachments/2/content", "--attach"),
        ("password", "--password-stdin or --password-env NAME"),
        ("client_secret", "--client-secret-env NAME"),
        ("pin", "--set pin=…"),
        ("PILLARBOX_HTTP", "PILLARBOX_HTTP"),
        ("--config", "--config"),
        ("name", "name"),
    ],
)
def test_a_field_is_named_as_it_is_typed(field: str, flag: str) -> None:
    """A person who reads --from need not know about JSON Pointers."""
    assert flag_of(field) == flag


def test_every_problem_is_told_with_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, aligned, on stderr."""
    problems = [Invalid("it is empty", field="host"), Invalid("no such thing", field="pin")]

    assert explain(Rejected(problems), as_json=False) == Exit.REFUSED
    assert capsys.readouterr() == (
        "",
        "pillarbox: refused, for 2 reasons\n"
        "  --host:      it is empty\n"
        "  --set pin=…: no such thing\n",
    )


def test_one_problem_takes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Short things are said shortly."""
    explain(Rejected([Invalid("it is empty", field="host")]), as_json=False)

    assert capsys.readouterr().err == "pillarbox: --host: it is empty\n"


def test_machines_get_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With pointers, as the API has them."""
    explain(Rejected([Invalid("it is empty", field="host")]), as_json=True)

    assert json.loads(capsys.readouterr().err) == {
        "code": "validation_error",
        "detail": "it is empty",
        "errors": [{"pointer": "/host", "detail": "it is empty"}],
    }


def test_an_option_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What the sentence begins with is not said before it."""
    explain(Invalid("PILLARBOX_HTTP is “x”", field="PILLARBOX_HTTP"), as_json=False)

    assert capsys.readouterr().err == "pillarbox: PILLARBOX_HTTP is “x”\n"


def test_usage_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that reads stderr gets one shape, in readable letters."""
    assert complain("nein, größer", as_json=True) == Exit.USAGE

    said = capsys.readouterr().err
    assert json.loads(said) == {"code": "usage", "detail": "nein, größer"}
    assert "größer" in said
