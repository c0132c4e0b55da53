"""
Whether a relay works, step by step, by the code that delivers mail.

No message is sent unless a test mail is asked for: then the same session goes on to the end of
DATA, because a relay that lets us in may still refuse the sender or the content there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pillarbox.base.clock import Clock
from pillarbox.base.errors import Invalid, Unusable
from pillarbox.base.secret import Secret
from pillarbox.diagnosis import ports
from pillarbox.diagnosis.case import Case, Question, hurried, preset_of
from pillarbox.diagnosis.cautions import settings_step
from pillarbox.diagnosis.corrections import corrections, of_contradiction, of_doors, with_answers
from pillarbox.diagnosis.discretion import discreet
from pillarbox.diagnosis.findings import LABELS, Proposal, Report, Status, Step, skipped
from pillarbox.diagnosis.guarded import guarded, wrong_port
from pillarbox.diagnosis.letter import check_letter
from pillarbox.diagnosis.local import folder_step, sandbox_step
from pillarbox.diagnosis.reach import reach, with_addresses
from pillarbox.diagnosis.sender import Readiness, Sender, check
from pillarbox.diagnosis.steps import steps_of
from pillarbox.diagnosis.surroundings import Surroundings
from pillarbox.diagnosis.token import Ask, is_refused, look
from pillarbox.diagnosis.visit import Visit, visit
from pillarbox.diagnosis.words import listed
from pillarbox.mail.address import Address
from pillarbox.mail.outcome import Failed, Stage
from pillarbox.relays.access_tokens import AccessTokens
from pillarbox.relays.change import RelayChange, Replace
from pillarbox.relays.defaults import settle
from pillarbox.relays.registry import Registry
from pillarbox.relays.relay import (
    Auth,
    RelayKind,
    RelaySettings,
    Secrets,
    Slot,
    credentials,
    endpoint,
    usual_reverse_path,
)
from pillarbox.relays.versions import Relay
from pillarbox.smtp.endpoint import TlsMode
from pillarbox.smtp.transcript import Transcript

if TYPE_CHECKING:
    from pillarbox.diagnosis.proposals import Proposals


class Diagnosis:
    """One engine for saved relays and for what somebody has just typed."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        surroundings: Surroundings | None = None,
        tokens: AccessTokens | None = None,
    ) -> None:
        self._registry = registry
        self._tokens = tokens
        self._clock = clock
        self._around = surroundings or Surroundings()

    async def of_relay(
        self,
        relay: Relay,
        *,
        mail_from: Address | None = None,
        rcpt_to: Address | None = None,
        is_sending: bool = False,
    ) -> Report:
        """
        A saved relay, with its stored secrets. It takes half a minute at most.

        is_sending: a test mail goes to rcpt_to, and a minute is waited for its end. Raises
        Rejected when the relay cannot be used for that.
        """
        question = Question(mail_from=mail_from, rcpt_to=rcpt_to, is_sending=is_sending)
        try:
            secrets = self._registry.secrets(relay)
            return await self._of(relay.settings, secrets, question, self._ask(relay))
        except Unusable as fault:
            return _faulty([Invalid(str(fault), field=Slot.PASSWORD.value)], relay.settings)

    async def of_sign_in(self, relay: Relay) -> Report:
        """A saved relay up to sign-in: no sender is named, and no other port is looked for."""
        question = Question(is_brief=True)
        try:
            secrets = self._registry.secrets(relay)
            return await self._of(relay.settings, secrets, question, self._ask(relay))
        except Unusable as fault:
            return _faulty([Invalid(str(fault), field=Slot.PASSWORD.value)], relay.settings)

    async def of_change(
        self,
        change: RelayChange,
        *,
        mail_from: Address | None = None,
        rcpt_to: Address | None = None,
        is_sending: bool = False,
    ) -> Report:
        """
        Typed values, complete with their own secrets: no stored one is ever tried with them.

        With faults in the settings nothing is contacted, and each fault is a failing step.
        is_sending as in of_relay.
        """
        if problems := change.problems(now=self._clock.now()):
            settled = settle(change.values, None, signs_in=False)
            return _faulty(problems, settled)
        question = Question(
            mail_from=mail_from, rcpt_to=rcpt_to, is_typed=True, is_sending=is_sending
        )
        typed = {
            slot.value: secret.secret
            for slot, secret in change.secrets.items()
            if isinstance(secret, Replace)
        }
        settings, secrets = change.apply_to(None), Secrets(**typed)
        return await self._of(settings, secrets, question, self._ask_typed(settings, secrets))

    def _ask(self, relay: Relay) -> Ask:
        async def ask(instead_of: Secret | None) -> Secret | None:
            return await self._tokens.of(relay, instead_of=instead_of) if self._tokens else None

        return ask

    def _ask_typed(self, settings: RelaySettings, secrets: Secrets) -> Ask:
        async def ask(_: Secret | None) -> Secret | None:
            return await self._tokens.of_typed(settings, secrets) if self._tokens else None

        return ask

    async def propose(self, address: Address) -> Proposals:
        """Settings for somebody who has nothing but an address; nothing is stored or signed in."""
        # What it needs is slow to import, and seldom asked for.
        from pillarbox.diagnosis.proposals import propose

        return await propose(address, self._around, self._clock)

    async def of_sender(
        self,
        address: Address,
        *,
        relay: Relay | None = None,
        selectors: tuple[str, ...] = (),
        ours: Mapping[str, str] | None = None,
    ) -> Readiness:
        """Whether mail from this address will be believed, when it goes by this relay."""
        settings = relay.settings if relay else None
        sender = Sender(
            address=address,
            preset=preset_of(settings) if settings else None,
            username=settings.username if settings else None,
            selectors=selectors,
            ours=dict(ours or {}),
        )
        return await check(sender, self._around.lookup)

    async def _of(
        self, settings: RelaySettings, secrets: Secrets, question: Question, ask: Ask
    ) -> Report:
        if question.is_sending:
            check_letter(settings, question)
        match settings.kind:
            case RelayKind.SANDBOX:
                return _local(settings, question, sandbox_step())
            case RelayKind.PICKUP:
                return _local(settings, question, await folder_step(settings))
        case = self._case(settings, secrets, question)
        if not self._around.allow_private and (fault := wrong_port(settings)):
            return _faulty([fault], settings)
        try:
            report = await self._of_server(await self._with_token(case, secrets, ask), ask)
        except Invalid as fault:
            return _faulty([fault], settings)
        report = discreet(report, secrets)
        return report if self._around.allow_private else guarded(report)

    def _case(self, settings: RelaySettings, secrets: Secrets, question: Question) -> Case:
        where = endpoint(
            settings,
            secrets,
            ehlo_name=self._around.ehlo_name,
            allow_private=self._around.allow_private,
            allow_networks=self._around.allow_networks,
        )
        if question.mail_from is None and not question.is_brief:
            question = replace(question, mail_from=usual_reverse_path(settings))
        return Case(
            settings=settings,
            endpoint=hurried(where, self._around.patience),
            question=question,
        )

    async def _with_token(
        self, case: Case, secrets: Secrets, ask: Ask, instead_of: Secret | None = None
    ) -> Case:
        """The case with its credentials. Without a token nobody is asked to sign in."""
        settings = case.settings
        if settings.auth is not Auth.OAUTH2:
            return replace(case, credentials=credentials(settings, secrets))
        token = await look(ask, self._clock, instead_of)
        if token.token is None:
            return replace(case, token=token, credentials=None)
        signing_in = credentials(settings, secrets, token.token)
        return replace(case, token=token, credentials=signing_in)

    async def _visit(self, case: Case, ask: Ask) -> tuple[Case, Visit]:
        """A token that is refused is renewed once, as in delivery."""
        seen = await visit(case, Transcript(self._clock), self._around.resolver)
        if case.token is None or case.token.token is None or not is_refused(seen.failed):
            return case, seen
        case = await self._with_token(case, Secrets(), ask, case.token.token)
        return case, await visit(case, Transcript(self._clock), self._around.resolver)

    async def _of_server(self, case: Case, ask: Ask) -> Report:
        case, seen = await self._visit(case, ask)
        failed = seen.failed or seen.refused(Stage.MAIL)
        is_searching = failed is not None and not case.question.is_brief
        searching = self._search(case, failed if is_searching else None)
        found = corrections(case, failed) if failed else ()
        hosts = self._try_hosts(case, found if is_searching else ())
        search, tried, answers = await asyncio.gather(
            searching, reach(case, seen, self._clock), hosts
        )
        found = with_answers(found, answers)
        steps = steps_of(case, seen, self._clock.now())
        report = Report(
            steps=(settings_step(case), *with_addresses(steps, tried)),
            proposals=found + of_doors(case, search.answering),
            transcript=seen.lines(),
        )
        return _advised(report, search)

    async def _try_hosts(self, case: Case, found: Sequence[Proposal]) -> dict[str, bool]:
        """Whether each host that was probably meant answers, up to EHLO as other doors do."""
        there = [
            ports.elsewhere(case.endpoint, each["host"], (each["port"], TlsMode(each["tls"])))
            for each in (proposal.change for proposal in found)
            if "host" in each
        ]
        clock, resolver = self._clock, self._around.resolver
        opened = await asyncio.gather(*(ports.is_open(each, clock, resolver) for each in there))
        return {each.host: is_open for each, is_open in zip(there, opened, strict=True)}

    async def _search(self, case: Case, failed: Failed | None) -> ports.Search:
        if failed is None or not ports.may_be_the_wrong_door(case, failed):
            return ports.Search()
        around = self._around
        return await ports.search(case, around.doors, self._clock, around.resolver)


_NOT_ALWAYS = frozenset({Stage.CONFIGURATION, Stage.TOKEN, Stage.DATA})


def _advised(report: Report, search: ports.Search) -> Report:
    """What we found out is better advice than what usually helps."""
    broken = report.failure
    if broken is None:
        return report
    fix = broken.fix
    if report.proposals:
        fix = report.proposals[0].why
    elif search.ports:
        fix = f"{fix} We tried {listed(search.ports)} as well: none answers as this relay needs it."
    better = replace(broken, fix=fix)
    steps = tuple(better if step is broken else step for step in report.steps)
    return replace(report, steps=steps)


def _local(settings: RelaySettings, question: Question, tried: Step) -> Report:
    """A relay without a server."""
    case = Case(settings=settings, endpoint=endpoint(settings, Secrets()), question=question)
    return Report(steps=(settings_step(case), tried))


def _faulty(problems: Sequence[Invalid], settings: RelaySettings) -> Report:
    """Each fault with its field. Nobody was contacted."""
    faults = [
        Step(
            stage=Stage.CONFIGURATION,
            status=Status.FAIL,
            evidence=f"{problem.field}: {problem}" if problem.field else str(problem),
            cause=_sentence(str(problem)),
            field=problem.field,
        )
        for problem in problems
    ]
    rest = [each for each in LABELS if each not in _NOT_ALWAYS]
    skips = [skipped(stage, "nothing was contacted: the settings have faults") for stage in rest]
    is_about_tls = any(problem.field in ("tls", "port") for problem in problems)
    proposals = of_contradiction(settings) if is_about_tls and settings.host else ()
    return Report(steps=(*faults, *skips), proposals=proposals)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")
