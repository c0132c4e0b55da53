"""Known facts about who gives tokens for mail, so that nobody has to know them: providers.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from pillarbox.oauth.client import Authentication, Grant

CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """
    An authorization server, as its documentation at docs_url states it.

    {tenant} in an address stands for the organisation. A custom one has no addresses here:
    the relay brings them.
    """

    id: str
    name: str
    grants: tuple[Grant, ...]
    authentication: Authentication
    presets: tuple[str, ...] = ()
    authorize_url: str | None = None
    token_url: str | None = None
    device_url: str | None = None
    revocation_url: str | None = None
    issuer: str | None = None
    scopes: str | None = None
    app_scopes: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    unused_days: int | None = None
    docs_url: str | None = None

    @property
    def needs_tenant(self) -> bool:
        return "{tenant}" in (self.token_url or "")


def get(provider_id: str | None) -> Provider | None:
    """By id; None for one that a later version may have dropped."""
    return _catalogue().get(provider_id or "")


def of_preset(preset_id: str | None) -> Provider | None:
    """Who gives tokens for this provider's relay."""
    return next((each for each in every() if preset_id in each.presets), None)


def every() -> tuple[Provider, ...]:
    """All of them, in the order of the file."""
    return tuple(_catalogue().values())


@cache
def _catalogue() -> Mapping[str, Provider]:
    text = resources.files("pillarbox.oauth").joinpath("providers.toml").read_text("utf-8")
    return {each["id"]: _provider(each) for each in tomllib.loads(text)["provider"]}


def _provider(entry: Mapping[str, Any]) -> Provider:
    read = {
        "presets": tuple(entry.get("presets", ())),
        "grants": tuple(map(Grant, entry["grants"])),
        "authentication": Authentication(entry["authentication"]),
    }
    return Provider(**{**entry, **read})
