"""Secrets from people: from stdin, the environment or a prompt, never from the command line."""

from __future__ import annotations

import getpass
import sys
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from pillarbox.base import config
from pillarbox.cli.exits import Usage


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PasswordFrom:
    """Where a password comes from. On the command line, every user of the machine could read it."""

    password_stdin: bool = False
    """Read the password from standard input: its first line."""

    password_env: Annotated[str | None, Parameter(metavar="NAME")] = None
    """Read the password from this environment variable."""

    client_secret_env: Annotated[str | None, Parameter(metavar="NAME")] = None
    """Read the client secret of an OAuth 2.0 application from this environment variable."""

    def client(self) -> str | None:
        """The client secret, or None when none was announced. Raises Usage."""
        return _from_environment(self.client_secret_env) if self.client_secret_env else None

    def read(self) -> str | None:
        """The password, or None when none was announced. Raises Usage."""
        if self.password_stdin and self.password_env:
            raise Usage("use one of --password-stdin and --password-env")
        if self.password_env:
            return _from_environment(self.password_env)
        return _from_stdin() if self.password_stdin else None

    def read_or_ask(self, whose: str) -> str | None:
        """The same; a person at a terminal is asked when nothing was announced."""
        given = self.read()
        return ask_for(f"Password of {whose}") if given is None else given


NO_PASSWORD = PasswordFrom()


def ask_for(what: str) -> str | None:
    """What a person at a terminal types for this, unseen; None for nothing, or without one."""
    return getpass.getpass(f"{what}: ") or None if sys.stdin.isatty() else None


def ask_openly(what: str) -> str | None:
    """The same for what is no secret."""
    if not sys.stdin.isatty():
        return None
    print(f"{what}: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or None


def _from_environment(name: str) -> str:
    value = config.executable_environment().get(name)
    if value is None:
        raise Usage(f"the environment has no variable {name}")
    return value


def _from_stdin() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Password: ")
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Usage("standard input is empty; --password-stdin reads the password from it")
    return line
