"""
Secrets that are kept elsewhere: `env:NAME` and `file:/path`, read when they are used.

Nothing of them is stored, so whoever changes the variable or the file changes the secret.
"""

from __future__ import annotations

import re
from pathlib import Path

from pillarbox.base import config
from pillarbox.base.errors import Invalid, Unusable
from pillarbox.base.secret import Secret

MAX_OCTETS = 65_536

_KIND = re.compile(r"(env|file):(.*)", re.S)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_OURS = "PILLARBOX_"


class Unresolved(Unusable):
    """A secret that is kept elsewhere cannot be read there."""

    code = "unresolved_secret"


def is_reference(text: str) -> bool:
    """Whether this says where a secret is, instead of being one."""
    return _KIND.fullmatch(text) is not None


def check(reference: str) -> None:
    """Raises Invalid for a reference that can never lead anywhere."""
    match = _KIND.fullmatch(reference)
    kind, place = (match[1], match[2]) if match else ("", "")
    if kind == "env" and (not _VARIABLE.fullmatch(place) or place.startswith(_OURS)):
        raise Invalid(
            "env: takes the name of a variable, as in env:RELAY_PASSWORD. Those that begin with"
            f" {_OURS} are our own options"
        )
    if kind == "file" and ("\x00" in place or not Path(place).is_absolute()):
        raise Invalid("file: takes the whole path of a file, as in file:/run/secrets/relay")


def resolve(reference: str) -> Secret:
    """
    The secret as it is now, without the line end that files have. Raises Unresolved, which
    names the reference and never what was found there.
    """
    kind, _, place = reference.partition(":")
    text = _variable(place) if kind == "env" else _content(place, reference)
    if not text:
        raise Unresolved(f"{reference} is empty. Put the secret there, or enter it here")
    return Secret(text)


def _variable(name: str) -> str:
    value = config.executable_environment().get(name)
    if value is None:
        raise Unresolved(
            f"the environment has no variable {name}, which env:{name} names. Set it where"
            " pillarbox is started, or enter the secret here"
        )
    return value


def _content(path: str, reference: str) -> str:
    try:
        with Path(path).open("rb") as file:
            octets = file.read(MAX_OCTETS + 1)
        text = octets.decode()
    except OSError as error:
        raise Unresolved(f"{reference} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unresolved(f"{reference} is not a text in UTF-8") from None
    if len(octets) > MAX_OCTETS:
        raise Unresolved(f"{reference} has more than {MAX_OCTETS:,} octets, so it is no secret")
    return text.rstrip("\r\n")
