"""What works today and may not tomorrow, or not for every message: warnings from settings alone."""

from __future__ import annotations

from collections.abc import Iterator

from pillarbox.diagnosis.case import Case
from pillarbox.diagnosis.findings import Status, Step, warned
from pillarbox.mail.address import Address
from pillarbox.mail.outcome import Stage
from pillarbox.relays.presets import Login
from pillarbox.relays.relay import Auth, RelayKind

# Providers that are taking passwords away. When and how stands in the preset's notes, because
# such dates move.
_PASSWORDS_END = frozenset({"microsoft-365"})


def settings_step(case: Case) -> Step:
    """
    The configuration step of settings without faults, with everything worth knowing.

    Typed settings are not done yet: what can still be said when they are saved is no caution.
    """
    settings = case.settings
    cautions = list(_cautions(case))
    evidence = f"a {settings.kind.value} relay"
    if settings.kind is RelayKind.SMTP:
        evidence = f"{settings.host} port {settings.port}, tls {settings.tls.value}"
    if not cautions:
        evidence = f"{evidence}; no contradictions"
    step = Step(stage=Stage.CONFIGURATION, status=Status.OK, evidence=evidence)
    for cause, fix in cautions:
        step = warned(step, cause, fix)
    return step


def _cautions(case: Case) -> Iterator[tuple[str, str | None]]:
    """A cause, and a fix unless the cause says what to do."""
    settings, preset = case.settings, case.preset
    if settings.kind is RelayKind.SANDBOX:
        return
    if settings.from_ is None and not case.question.is_typed:
        yield (
            "The relay has no from: a message that names no sender is refused.",
            "Set from to the address that mail comes from.",
        )
    if preset is None or settings.auth is not Auth.PASSWORD:
        return
    if preset.provider in _PASSWORDS_END and preset.notes:
        yield preset.notes, None
    if preset.login is Login.ADDRESS and settings.from_:
        yield from _other_domain(preset.name, settings.from_.address, settings.username)


def _other_domain(
    provider: str, sender: Address, username: str | None
) -> Iterator[tuple[str, str]]:
    """Where the login is the mailbox, another domain in From is usually refused."""
    _, at, domain = (username or "").lower().rpartition("@")
    if at and sender.domain != domain:
        yield (
            f"From is at {sender.domain} and the account at {domain}; {provider} may refuse"
            " the one from the other, or write its own address into From.",
            f"Set from to an address at {domain}, or allow the account to send as {sender}.",
        )
