"""
What must be known before the database can be opened. Everything else is a setting in it.

One field an option: environment variable, TOML key, `--help` and the reference page are all
made from it. A key that we do not know stops the start and names the nearest one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pillarbox.base.errors import Invalid, Rejected

MAX_WAITING = 5_000_000  # deliveries that are not at their end

_PREFIX = "PILLARBOX_"
_WEEK_MINUTES = 7 * 24 * 60

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Listen:
    """A host and port to listen on."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError("it is host:port, for example 127.0.0.1:8425")
        if int(port) > 65535:
            raise ValueError("a port is between 1 and 65535; 0 takes any that is free")
        return cls(host.strip("[]"), int(port))

    @property
    def reachable(self) -> str:
        """The host by which this machine reaches it: nobody can connect to “every address”."""
        try:
            address = ip_address(self.host)
        except ValueError:
            return self.host
        if not address.is_unspecified:
            return self.host
        return "127.0.0.1" if address.version == 4 else "::1"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def option(default: Any, parse: Callable[[str], Any], help_: str) -> Any:
    """Declare an option: its default, how its text is read, and one sentence about it."""
    return field(default=default, metadata={"parse": parse, "help": help_})


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it is an address such as https://mail.example.org")
    return text.rstrip("/")


def _optional_listen(text: str) -> Listen | None:
    return None if text == "off" else Listen.parse(text)


def _log_form(text: str) -> str:
    if text not in {"text", "json"}:
        raise ValueError("it is text or json")
    return text


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 0 <= minutes <= _WEEK_MINUTES:
        raise ValueError(f"it is 0 to {_WEEK_MINUTES} minutes")
    return minutes


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError("it is a number of at least 1")
    return int(text)


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where things are and what is listened on."""

    home: Path = option(
        Path(".pillarbox"), Path, "The folder that holds the database, the key and run files."
    )
    database_url: str | None = option(
        None,
        str,
        "The database; unset: SQLite in the home folder. `sqlite:///path/to/file.db`, `postgresql://…`.",
    )
    http: Listen = option(
        Listen("127.0.0.1", 8425), Listen.parse, "Where the API and the console listen."
    )
    smtp: Listen | None = option(
        Listen("127.0.0.1", 2525), _optional_listen, "Where SMTP submission listens, or `off`."
    )
    base_url: str | None = option(
        None, _url, "The address people reach us at; links in mail start with it."
    )
    secret_key_file: Path | None = option(
        None, Path, "The key that seals secrets; unset: in the home folder, made on first start."
    )
    allow_networks: tuple[Network, ...] = option(
        (), _networks, "Networks that tenants' relays may reach besides public ones, with commas."
    )
    max_waiting: int = option(
        MAX_WAITING, _count, "How many deliveries may wait. At more, mail is refused for a while."
    )
    check_relays_minutes: int = option(
        60, _minutes, "How often a relay that carries nothing is asked to let us in; 0: never."
    )
    traces: str = option(
        "off", str, "Where OpenTelemetry spans go: the name of an exporter, as `otlp`; or `off`."
    )
    log: str = option("text", _log_form, "How log lines look: `text` or `json`.")

    @property
    def database(self) -> str:
        """The database URL, the default worked out."""
        return self.database_url or f"sqlite:///{self.home / 'pillarbox.db'}"

    @property
    def key_file(self) -> Path:
        return self.secret_key_file or self.home / "secret.key"

    @property
    def is_for_this_machine(self) -> bool:
        """Whether nobody but this machine's people is expected: the address is loopback."""
        host = urlsplit(self.public_url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or _is_loopback(host)

    @property
    def public_url(self) -> str:
        return self.base_url or f"http://{Listen(self.http.reachable, self.http.port)}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def load(environ: Mapping[str, str] | None = None, file: Path | None = None) -> Config:
    """
    The configuration: defaults, then the TOML file, then the environment.

    The home is made absolute, so that whatever names it names the same folder.
    Raises Rejected with every unknown key and every value that cannot be read.
    """
    environ = os.environ if environ is None else environ
    given = {} if file is None else _from_toml(file)
    given |= {name: text for name, text in environ.items() if name.startswith(_PREFIX)}
    return _build(given)


def names() -> dict[str, str]:
    """Every environment variable with its sentence, in order."""
    return {_variable(each.name): each.metadata["help"] for each in fields(Config)}


def executable_environment() -> dict[str, str]:
    """The environment as it is, for a child process that must see the same."""
    return dict(os.environ)


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def _from_toml(file: Path) -> dict[str, str]:
    try:
        keys = tomllib.loads(file.read_text())
    except OSError as error:
        raise Invalid(f"{file} could not be read: {error.strerror}", field="--config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} is not TOML: {error}", field="--config") from None
    texts = {}
    for key, value in keys.items():
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if not isinstance(value, str):
            raise Invalid(f"{file}: {key} must be text in quotes", field=key)
        texts[_variable(key)] = value
    return texts


def _build(given: Mapping[str, str]) -> Config:
    known = {_variable(each.name): each for each in fields(Config)}
    problems, values = [], {}
    for variable, text in sorted(given.items()):
        if variable not in known:
            problems.append(_unknown(variable, known))
            continue
        option_ = known[variable]
        try:
            values[option_.name] = option_.metadata["parse"](text)
        except ValueError as error:
            problems.append(Invalid(f"{variable} is “{text}”: {error}", field=variable))
    if problems:
        raise Rejected(problems)
    config = Config(**values)
    return replace(config, home=config.home.absolute())


def _unknown(variable: str, known: Iterable[str]) -> Invalid:
    near = difflib.get_close_matches(variable, list(known), n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    return Invalid(f"{variable} is not an option{hint}", field=variable)
