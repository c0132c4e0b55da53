"""Known facts about providers' relays, so that nobody has to know them: see presets.toml."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any

from pillarbox.smtp.endpoint import Mechanism, TlsMode


class Login(Enum):
    """What a provider expects as the user name."""

    FIXED = "fixed"  # the same word for everybody: see Preset.username
    ADDRESS = "address"  # the whole mail address
    GIVEN = "given"  # the provider shows it, together with the secret
    NOBODY = "nobody"  # no sign-in: test servers on this machine


_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """
    One provider's relay, as its documentation states it on `docs_url`.

    `provider` is what replies.toml knows it by: regions of one provider share it.
    """

    id: str
    provider: str
    name: str
    host: str
    port: int
    tls: TlsMode
    login: Login
    aliases: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    spf: str | None = None
    selectors: tuple[str, ...] = ()
    username: str | None = None
    mechanism: Mechanism | None = None
    secret_name: str = "password"  # noqa: S105 - what the provider calls it
    alternatives: tuple[tuple[int, TlsMode], ...] = ()
    max_connections: int | None = None
    messages_per_minute: int | None = None
    limits: str | None = None
    notes: str | None = None
    docs_url: str | None = None


def find(text: str) -> Preset | None:
    """By id, name, alias, mail domain or whole mail address, in any case."""
    return _index().get(_key(text))


def get(preset_id: str | None) -> Preset | None:
    """By id; None for one that a later version may have dropped."""
    return _catalogue().get(preset_id or "")


def by_host(host: str) -> Preset | None:
    """The preset whose relay this host is. This machine may run anything: it has none."""
    return None if host in _THIS_MACHINE else _hosts().get(host.lower())


def by_mail_exchanger(host: str) -> Preset | None:
    """Whose customer a domain is, by one of its MX hosts. The longest ending counts."""
    labels = host.lower().split(".")
    endings = (".".join(labels[at:]) for at in range(len(labels)))
    return next((known for each in endings if (known := _exchangers().get(each))), None)


def nearest(text: str) -> str | None:
    """The id a person may have meant, for “did you mean”."""
    close = difflib.get_close_matches(_key(text), _index(), n=1, cutoff=0.7)
    return _index()[close[0]].id if close else None


def regions_of(text: str) -> tuple[Preset, ...]:
    """The presets of a provider that has a relay in each region: “ses”, “Amazon SES”, “aws”."""
    return _regional().get(_key(text), ())


def every() -> tuple[Preset, ...]:
    """All of them, in the order of their names."""
    return tuple(sorted(_catalogue().values(), key=lambda preset: preset.name.casefold()))


def _key(text: str) -> str:
    """“Someone@Gmail.com”, “gmail.com” and “ GMAIL ” are to be found."""
    return text.rpartition("@")[2].strip().casefold()


@cache
def _rows() -> tuple[Mapping[str, Any], ...]:
    text = resources.files("pillarbox.relays").joinpath("presets.toml").read_text("utf-8")
    return tuple(tomllib.loads(text)["preset"])


@cache
def _catalogue() -> Mapping[str, Preset]:
    presets = [preset for row in _rows() for preset in _read(row)]
    return {preset.id: preset for preset in presets}


@cache
def _index() -> Mapping[str, Preset]:
    """Every word that finds a preset. Ids win over names, names over aliases and domains."""
    found: dict[str, Preset] = {}
    for preset in _catalogue().values():
        found.setdefault(preset.id, preset)
    for preset in _catalogue().values():
        for word in (preset.name, *preset.aliases, *preset.domains):
            found.setdefault(word.casefold(), preset)
    return found


@cache
def _regional() -> Mapping[str, tuple[Preset, ...]]:
    return {
        word.casefold(): tuple(_read(row))
        for row in _rows()
        if "regions" in row
        for word in (row["id"], row["name"], *row.get("aliases", ()))
    }


@cache
def _hosts() -> Mapping[str, Preset]:
    """Two presets may share a host (Gmail and Workspace): the first one in the file counts."""
    found: dict[str, Preset] = {}
    for preset in _catalogue().values():
        found.setdefault(preset.host, preset)
    return found


@cache
def _exchangers() -> Mapping[str, Preset]:
    return {ending: preset for preset in _catalogue().values() for ending in preset.mx}


def _read(row: Mapping[str, Any]) -> Iterator[Preset]:
    """One preset, or one for each region of a provider that has a host in each."""
    regions = row.get("regions")
    if regions is None:
        yield _preset(row, row["id"], {})
        return
    for region in regions:
        yield _preset(row, f"{row['id']}-{region}", {"region": region})  # aliases name them all


def _preset(row: Mapping[str, Any], preset_id: str, region: Mapping[str, str]) -> Preset:
    known = {name: row[name] for name in _PLAIN if name in row}
    name = f"{row['name']} ({region['region']})" if region else row["name"]
    return Preset(
        id=preset_id,
        provider=row.get("provider", row["id"]),
        name=name,
        host=row["host"].format(**region),
        port=row["port"],
        tls=TlsMode(row["tls"]),
        login=Login(row["login"]),
        aliases=tuple(row.get("aliases", ())) if not region else (),
        domains=tuple(row.get("domains", ())),
        mx=tuple(row.get("mx", ())),
        selectors=tuple(row.get("selectors", ())),
        mechanism=Mechanism(row["mechanism"]) if "mechanism" in row else None,
        alternatives=tuple((port, TlsMode(tls)) for port, tls in row.get("alternatives", ())),
        **known,
    )


_PLAIN = (
    "username",
    "spf",
    "secret_name",
    "max_connections",
    "messages_per_minute",
    "limits",
    "notes",
    "docs_url",
)
