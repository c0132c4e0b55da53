"""What to type against a trouble, where a command helps."""

from __future__ import annotations

import pytest

from pillarbox.cli.advice import command_for, options_for
from pillarbox.relays.catalogue import entries


@pytest.mark.parametrize(
    ("advice", "command"),
    [
        ("token.grant-gone", "pillarbox relay connect 'my relay'"),
        ("google.wrong-password", "pillarbox relay set 'my relay' --password-stdin"),
        ("tls.not-tls", "pillarbox relay set 'my relay' --tls starttls"),
        ("pace.rate", None),
        (None, None),
    ],
)
def test_a_relay_gets_the_command_that_mends_it(advice: str | None, command: str | None) -> None:
    """Ready to paste; typed settings get the options alone, and no consent is theirs."""
    assert command_for(advice, "my relay") == command
    assert command_for(advice, None) is None
    assert options_for(advice) == (
        command.removeprefix("pillarbox relay set 'my relay' ")
        if command and " set " in command
        else None
    )


def test_whatever_wants_a_new_consent_says_how() -> None:
    """Every sentence that says “connect” has the command beside it."""
    saying = [entry["id"] for entry in entries() if "onnect the relay" in entry["fix"]]

    assert "token.grant-gone" in saying
    assert {command_for(each, "main") for each in saying} == {"pillarbox relay connect main"}
