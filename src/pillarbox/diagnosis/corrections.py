"""What was probably meant: a host that is nearly a provider's, a user name of the right form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pillarbox.base.errors import Rejected
from pillarbox.diagnosis.case import Case
from pillarbox.diagnosis.findings import Proposal
from pillarbox.diagnosis.ports import Door
from pillarbox.diagnosis.spelling import nearest
from pillarbox.mail.outcome import Failed, Loss, Lost, Stage
from pillarbox.mail.reply import Reply
from pillarbox.relays import presets
from pillarbox.relays.change import RelayChange
from pillarbox.relays.difference import dropped_secrets
from pillarbox.relays.presets import Login, Preset
from pillarbox.relays.relay import Auth, RelaySettings
from pillarbox.smtp.endpoint import TlsMode

_SPOKEN = {
    TlsMode.IMPLICIT: "with TLS from the first octet",
    TlsMode.STARTTLS: "with STARTTLS",
    TlsMode.NONE: "in the clear",
}


def corrections(case: Case, failed: Failed) -> tuple[Proposal, ...]:
    """What follows from the failure alone. Nobody is contacted."""
    if failed.stage is Stage.AUTH and isinstance(failed.answer, Reply):
        return tuple(_user_names(case))
    if failed.stage in (Stage.DNS, Stage.CONNECT) and isinstance(failed.answer, Lost):
        return tuple(_hosts(case, failed.answer))
    return ()


def with_answers(found: tuple[Proposal, ...], answers: Mapping[str, bool]) -> tuple[Proposal, ...]:
    """The same, and of each other host whether it answered when it was tried."""
    return tuple(_with_answer(each, answers.get(each.change.get("host", ""))) for each in found)


def _with_answer(proposal: Proposal, is_open: bool | None) -> Proposal:
    if is_open is None:
        return proposal
    told = "It answers." if is_open else "It does not answer from here now."
    return replace(proposal, why=f"{proposal.why} {told}")


def of_doors(case: Case, doors: Iterable[Door]) -> tuple[Proposal, ...]:
    """One proposal for each door that answered."""
    return tuple(
        _proposal(case.settings, {"port": port, "tls": tls.value}, _why(case, port, tls))
        for port, tls in doors
    )


def of_contradiction(settings: RelaySettings) -> tuple[Proposal, ...]:
    """Port and TLS mode that contradict each other: either may be the one that was meant."""
    doors = ((465, TlsMode.IMPLICIT), (587, TlsMode.STARTTLS))
    return tuple(
        _proposal(
            settings,
            {"port": port, "tls": tls.value},
            f"Port {port} {_SPOKEN[tls]} is what servers offer: set port {port} and tls"
            f" {tls.value}.",
        )
        for port, tls in doors
    )


def _why(case: Case, port: int, tls: TlsMode) -> str:
    host = case.settings.host
    if port != case.settings.port:
        return f"{host} answers on {port} {_SPOKEN[tls]}: set port {port} and tls {tls.value}."
    if tls is TlsMode.IMPLICIT:
        return f"Port {port} of {host} speaks TLS from the first octet: set tls to implicit."
    return f"Port {port} of {host} begins in the clear and offers STARTTLS: set tls to starttls."


def _hosts(case: Case, lost: Lost) -> Iterator[Proposal]:
    """The provider's host, when a mail domain, a name or nearly that host was typed."""
    host = case.settings.host
    meant = presets.find(host)
    if meant is None and lost.loss is not Loss.REFUSED:
        meant = _nearest(host)
    if meant is None or meant.host == host:
        return
    change = {"host": meant.host, "port": meant.port, "tls": meant.tls.value}
    why = f"The server of {meant.name} is {meant.host}: set host to that."
    yield _proposal(case.settings, change, why)


def _nearest(host: str) -> Preset | None:
    every = reversed(presets.every())
    known = {preset.host: preset for preset in every if presets.by_host(preset.host)}
    close = nearest(host, known)
    return known[close] if close else None


def _user_names(case: Case) -> Iterator[Proposal]:
    """What the provider expects as user name, when something else was typed."""
    preset, username = case.preset, case.settings.username
    if preset is None or case.settings.auth is not Auth.PASSWORD:
        return
    if preset.login is Login.FIXED and preset.username and username != preset.username:
        why = f"At {preset.name} the user name is the word “{preset.username}” for everybody."
        yield _proposal(case.settings, {"username": preset.username}, why)
    if preset.login is Login.ADDRESS and "@" not in (username or "") and (whole := _address(case)):
        why = f"At {preset.name} the user name is the whole address: {whole}."
        yield _proposal(case.settings, {"username": whole}, why)


def _address(case: Case) -> str | None:
    """The address that a bare user name probably stands for."""
    sender, username, preset = case.settings.from_, case.settings.username, case.preset
    if sender and (not username or username == sender.address.local_part):
        return str(sender.address)
    if not username:
        return None
    if sender:
        return f"{username}@{sender.address.domain}"
    return f"{username}@{preset.domains[0]}" if preset and preset.domains else None


def _proposal(settings: RelaySettings, typed: Mapping[str, Any], why: str) -> Proposal:
    """The change, with the secrets that it would drop."""
    change = RelayChange.read(typed)
    try:
        dropped = dropped_secrets(settings, change.apply_to(settings), change.secrets)
    except Rejected:
        dropped = ()
    asks = "password" if settings.auth is Auth.PASSWORD else None
    asks_again = tuple(slot.value for slot in dropped if slot.value == asks)
    return Proposal(change=typed, why=why, asks_again=asks_again)
