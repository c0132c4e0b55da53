"""
The command line: what there is, and how everything ends.

The first page of help is printed from the table below without importing anything: most of
what a command needs is imported by that command.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pillarbox import __version__
from pillarbox.base.errors import PillarboxError
from pillarbox.cli.exits import Exit, Usage, complain, explain

if TYPE_CHECKING:
    from cyclopts import App

COMMANDS = {
    "serve": "Run pillarbox: take mail in, carry it, answer.",
    "relay": "Relays, where mail goes: propose, add, show, set, connect, history, undo …",
    "route": "Which relay carries which mail, and who stands in: list, set.",
    "diagnose": "Try a relay step by step, and say what to do about it.",
    "send": "Send a message.",
    "message": "Messages and what became of them: list, show, cancel, hold, resend …",
    "events": "What happened: list, follow.",
    "domain": "Domains that mail is signed for: add, list, show, check, rotate, remove.",
    "key": "Keys for the API: create, list, revoke.",
    "tenant": "Organisations that share this pillarbox: add, list, show, set, remove.",
    "doctor": "Look the installation over.",
    "backup": "Copy the database to a file, while everything goes on.",
    "restore": "Put a backup in place. What waits in it is held.",
    "db": "The database: upgrade.",
}
"""Every command and its sentence. The module of the same name in this package has its `app`."""

_NO_PAPER = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})  # where stdout goes, it is full

_HELP = frozenset({"--help", "-h", "help"})
_VERSION = frozenset({"--version", "-V"})

_EPILOGUE = """\
Every command takes --help, --json, --config FILE and --debug.
It talks to the server that runs on the same home, or does without one.

Start here:  pillarbox serve"""


def main(arguments: Sequence[str]) -> int:
    """Run one command. Its exit code; nothing is raised."""
    try:
        ending = Exit.DONE if _introduce(arguments) else _run(list(arguments))
        sys.stdout.flush()  # here, where a closed pipe is known for what it is
        return ending
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return _stop_printing(Exit.DONE)
    except Exception as error:  # noqa: BLE001 - the last resort of the command line
        return _end(error, arguments)


def _introduce(arguments: Sequence[str]) -> bool:
    """Answer what needs no parser; whether it was that."""
    if not arguments or (len(arguments) == 1 and arguments[0] in _HELP):
        print(help_page())
        return True
    if len(arguments) == 1 and arguments[0] in _VERSION:
        print(f"pillarbox {__version__}")
        return True
    return False


def help_page() -> str:
    """The first page: what pillarbox is and its commands."""
    lines = [f"  {name:10}{sentence}" for name, sentence in COMMANDS.items()]
    heading = (
        "Outgoing mail for applications: settings that are known to work, mail that is not\nlost."
    )
    return "\n".join(
        [
            heading,
            "",
            "Usage: pillarbox COMMAND",
            "",
            *lines,
            "",
            _EPILOGUE,
        ]
    )


def parser() -> App:
    """All commands; each module is imported when its command is called."""
    from pillarbox.cli.options import group

    app = group("pillarbox", "Outgoing mail for applications.")
    for name, sentence in COMMANDS.items():
        app.command(f"pillarbox.cli.{name}:app", name=name, help=sentence)
    return app


def _run(arguments: list[str]) -> int:
    from cyclopts import CycloptsError

    from pillarbox.cli.misread import misread

    try:
        ended = parser()(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return complain(misread(error), as_json="--json" in arguments)
    return Exit.DONE if ended is None else int(ended)


def _end(error: Exception, arguments: Sequence[str]) -> int:
    """Say why it ended: refused, not readable, nowhere to write the answer, or our mistake."""
    as_json = "--json" in arguments
    match error:
        case PillarboxError():
            return explain(error, as_json=as_json)
        case Usage():
            return complain(str(error), as_json=as_json)
        case OSError() if error.errno in _NO_PAPER:
            print(f"pillarbox: the answer could not be written: {error.strerror}", file=sys.stderr)
            return _stop_printing(Exit.UNAVAILABLE)
    return _confess(error, arguments)


def _stop_printing(ending: Exit) -> Exit:
    """Whoever read our output has seen enough, as `head` does. Python must not say so again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ending


def _confess(error: Exception, arguments: Sequence[str]) -> int:
    """A mistake of ours: one line, or with --debug everything that Python knows."""
    if "--debug" in arguments:
        from traceback import print_exception

        print_exception(error)
    else:
        print(
            f"pillarbox: this is our mistake: {type(error).__name__}: {error}\n"
            "Run it again with --debug to see where, and report that.",
            file=sys.stderr,
        )
    return Exit.UNAVAILABLE
