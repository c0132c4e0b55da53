"""Command lines that cannot be read, in our words: what is wrong, what was meant, where to look."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

_OTHER_WORDS = {
    "rm": "remove",
    "delete": "remove",
    "del": "remove",
    "ls": "list",
    "new": "add",
    "update": "set",
    "edit": "set",
    "change": "set",
    "get": "show",
    "test": "diagnose",
    "run": "serve",
    "start": "serve",
    "messages": "message",
    "relays": "relay",
}
"""What people type who know other programs."""

_NUMBERS = {int: "a whole number", float: "a number"}


def misread(error: CycloptsError) -> str:
    """One sentence about it, and the help that fits."""
    chain = [*(error.command_chain or ())]
    return f"{_sentence(error, ' '.join(chain))}\nTry: {' '.join(['pillarbox', *chain, '--help'])}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean relayed?`, or nothing."""
    known = list(known)
    meant = _OTHER_WORDS.get(word)
    near = [meant] if meant in known else difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _sentence(error: CycloptsError, command: str) -> str:
    match error:
        case UnknownCommandError(unused_tokens=[word, *_]):
            return _unknown_command(error, word, command)
        case UnknownOptionError(token=token):
            return _unknown_option(error, token.keyword or token.value, command)
        case UnusedCliTokensError(unused_tokens=[*tokens]):
            spare = " ".join(tokens)
            return f"“{spare}” is more than `{command}` takes. Text with blanks goes in quotes"
        case MissingArgumentError():
            return _missing(error, command)
        case CoercionError(token=token, target_type=kind) if token is not None:
            wanted = _NUMBERS.get(kind, "something else") if kind else "something else"
            where = token.keyword or "an argument"
            if kind is bool:
                return f"{where} takes no value; “{token.value}” was given"
            return f"{where} is {wanted}, not “{token.value}”"
        case RepeatArgumentError(token=token):
            return f"{token.keyword or 'an option'} can be given once"
    return str(error)


def _unknown_command(error: CycloptsError, word: str, command: str) -> str:
    if word.startswith("-"):
        return f"name a command first; {word} comes after it"
    known = [name for name in error.app or () if not name.startswith("-")]
    hint = did_you_mean(word, known)
    where = f"`{command}` has no command “{word}”" if command else f"there is no command “{word}”"
    return where + (hint or f". There are: {', '.join(known)}")


def _unknown_option(error: UnknownOptionError, option: str, command: str) -> str:
    option = option.partition("=")[0]
    if option == "--password":
        return (
            "a password on the command line can be read by others: use --password-stdin"
            " or --password-env NAME"
        )
    known = [name for each in error.argument_collection for name in each.names]
    where = f"`{command}`" if command else "pillarbox"
    return f"{where} has no option {option}{did_you_mean(option, known)}"


def _missing(error: MissingArgumentError, command: str) -> str:
    name = error.keyword or (error.argument.name if error.argument else "an argument")
    if name.startswith("-") and (error.keyword or _was_typed(error, name)):
        return f"{name} needs a value after it"
    return f"`{command}` needs {name}"


def _was_typed(error: MissingArgumentError, name: str) -> bool:
    return name in (error.root_input_tokens or ())
