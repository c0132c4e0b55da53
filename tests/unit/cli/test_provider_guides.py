"""The guides to providers: what they say to type is taken, and what they name exists."""

from __future__ import annotations

import inspect
import itertools
import re
import shlex
from pathlib import Path

import pytest
import trustme

from pillarbox.cli.main import parser
from pillarbox.cli.relay import Settings
from pillarbox.relays import presets
from pillarbox.relays.change import RelayChange
from support.source import ROOT

GUIDES = sorted((ROOT / "docs/guides/providers").glob("*.md"))
PAGES = [path for path in GUIDES if path.name != "README.md"]

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HOST = re.compile(r"`((?:smtp|email-smtp|mail|in)[\w-]*(?:\.[\w-]+){2,})`")
_OURS = ("example.net", "example.org", "corp.example", "protection.outlook.com")
_SECRETS = {"--password-env": "password", "--client-secret-env": "client_secret"}
_IS_NO_PRESET = ("company-relay", "rapidmail")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
each_guide = pytest.mark.parametrize("page", GUIDES, ids=lambda path: path.stem)


def commands(page: Path) -> list[list[str]]:
    """What a reader types, as words after `pillarbox`."""
    lines = "".join(_BLOCK.findall(page.read_text())).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("pillarbox ")]


def _put_files_into(folder: Path) -> None:
    """What the commands read: an authority, and keys with their certificate."""
    trustme.CA().cert_pem.write_to_path(str(folder / "company.pem"))
    ours = trustme.CA().issue_cert("pillarbox.test", key_type=trustme.KeyType.RSA)
    ours.cert_chain_pems[0].write_to_path(str(folder / "pillarbox.pem"))
    ours.private_key_pem.write_to_path(str(folder / "pillarbox.key"))
    ours.private_key_pem.write_to_path(str(folder / "service-account.pem"))


def bound(words: list[str]) -> inspect.BoundArguments:
    """The command's arguments. Raises CycloptsError for what it does not take."""
    _, arguments, unknown, *_ = parser().parse_known_args(words)
    assert not unknown, words
    return arguments


@each_guide
def test_every_command_is_one(page: Path) -> None:
    """Its options and their values are taken by the command line."""
    for words in commands(page):
        bound(words)


@each_page
def test_every_relay_that_is_added_could_be(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings have no contradiction and nothing is missing but the secret itself."""
    _put_files_into(tmp_path)
    monkeypatch.chdir(tmp_path)
    adding = [words for words in commands(page) if words[:2] == ["relay", "add"]]
    assert adding, "a guide says how to add the relay"
    for words in adding:
        given = bound(words).arguments
        settings: Settings = given["settings"]
        fields = settings.fields()
        fields.pop("default", None)  # it is said of all relays, not of this one
        fields |= {name: "x" for option, name in _SECRETS.items() if option in words}
        assert RelayChange.read(fields).problems() == (), words


@each_page
def test_every_host_of_a_provider_is_the_one_of_its_preset(page: Path) -> None:
    """Prose and tables name no server that the presets do not know."""
    text = page.read_text()
    named = {host for host in _HOST.findall(text) if not host.endswith(_OURS)}
    known = {preset.host for preset in presets.every()}

    assert named <= known
    assert named or page.stem in _IS_NO_PRESET


@each_page
def test_a_preset_is_typed_as_its_table_says(page: Path) -> None:
    """A port or TLS mode that is said beside a preset is one of its own."""
    for words in commands(page):
        said = dict(itertools.pairwise(words))
        preset = presets.get(said.get("--preset"))
        if preset is not None and "--port" in said:
            ports = {preset.port, *(port for port, _ in preset.alternatives)}
            assert int(said["--port"]) in ports


@each_page
def test_every_guide_has_its_values_and_its_errors(page: Path) -> None:
    """The tables that are made from presets and catalogue are there (scripts/guides.py)."""
    text = page.read_text()

    assert "<!-- errors: " in text
    assert "\n| It says | Why | What to do |\n" in text
    assert "<!-- values: " in text or page.stem in _IS_NO_PRESET


def test_the_list_of_guides_is_whole() -> None:
    """Each page is linked from the first one."""
    index = (ROOT / "docs/guides/providers/README.md").read_text()

    assert [page.name for page in PAGES if f"({page.name})" not in index] == []
