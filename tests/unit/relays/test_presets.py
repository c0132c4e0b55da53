"""The catalogue of providers: every row is usable and every row is found."""

from __future__ import annotations

import pytest

from pillarbox.mail.address import Address
from pillarbox.relays import presets
from pillarbox.relays.change import RelayChange
from pillarbox.relays.defaults import agree
from pillarbox.relays.presets import Login, Preset
from pillarbox.smtp.endpoint import TlsMode

EVERY = presets.every()


@pytest.mark.parametrize("preset", EVERY, ids=lambda preset: preset.id)
def test_a_preset_and_an_account_make_a_relay(preset: Preset) -> None:
    """Nothing else has to be typed, and nothing contradicts itself."""
    typed = {"preset": preset.id}
    if preset.login is not Login.NOBODY:
        typed["password"] = "s3cret"
    if preset.login in (Login.ADDRESS, Login.GIVEN):
        typed["username"] = "app@example.org"

    change = RelayChange.read(typed)
    assert change.problems() == ()
    made = change.apply_to()
    assert (made.host, made.port, made.tls) == (preset.host, preset.port, preset.tls)
    assert made.preset == preset.id


@pytest.mark.parametrize("preset", EVERY, ids=lambda preset: preset.id)
def test_a_preset_is_complete_and_plausible(preset: Preset) -> None:
    """Ports agree with TLS modes, domains are domains, only test servers go without TLS."""
    for port, tls in ((preset.port, preset.tls), *preset.alternatives):
        assert agree(port, tls)
    for domain in preset.domains:
        Address.parse(f"someone@{domain}")
    assert (preset.login is Login.FIXED) == (preset.username is not None)
    assert (preset.tls is TlsMode.NONE) == (preset.login is Login.NOBODY)
    assert preset.docs_url is None or preset.docs_url.startswith("https://")
    assert "{" not in preset.host + preset.name


@pytest.mark.parametrize("preset", EVERY, ids=lambda preset: preset.id)
def test_a_preset_is_found_by_every_name_it_has(preset: Preset) -> None:
    """By id, name, alias, mail domain and address, in any case; no name leads elsewhere."""
    for word in (preset.id, preset.name, *preset.aliases, *preset.domains):
        assert presets.find(word.upper()) == preset
    for domain in preset.domains:
        assert presets.find(f"Some.One@{domain}") == preset


def test_the_catalogue_is_large_enough_to_be_useful() -> None:
    """At least sixty providers, and every region of those that have a host in each."""
    assert len({preset.provider for preset in EVERY}) >= 60
    assert len(presets.regions_of("Amazon SES")) == len(presets.regions_of("aws")) >= 18


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("gmial", "gmail"), ("sengrid", "sendgrid"), ("microsoft 356", "microsoft-365")],
)
def test_a_typo_gets_a_suggestion(typed: str, meant: str) -> None:
    """The reader learns the nearest name."""
    (problem, *_) = RelayChange.read({"preset": typed}).problems()
    assert problem.field == "preset"
    assert f"Did you mean {meant}?" in str(problem)


def test_a_provider_with_regions_asks_for_one() -> None:
    """“ses” alone is not a host."""
    (problem,) = RelayChange.read({"preset": "SES"}).problems()
    assert "ses-eu-west-1" in str(problem)


def test_nothing_is_found_for_nonsense() -> None:
    """No preset and no suggestion."""
    assert presets.find("qwertzuiop") is None
    assert presets.nearest("qwertzuiop") is None
