"""
From what was seen on a visit to the steps of a report. No I/O.

The evidence is not yet fit to be shown: it goes through discretion.py.
"""

from __future__ import annotations

import re
from datetime import datetime

from pillarbox.base.dial import is_loopback
from pillarbox.diagnosis import certificate
from pillarbox.diagnosis.case import Case
from pillarbox.diagnosis.findings import Status, Step, skipped, warned
from pillarbox.diagnosis.token import step_of_token
from pillarbox.diagnosis.visit import Visit, stages, step_of
from pillarbox.diagnosis.words import in_words, seconds_in_words
from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Stage, Unknown, Withheld
from pillarbox.mail.reply import Reply
from pillarbox.relays.classify import Verdict, Where, classify
from pillarbox.relays.relay import Auth
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.endpoint import TlsMode

_TRIED_AGAIN = re.compile(
    r"(?:Nothing to do: it|It|Mail waits and) is tried again"
    r"(?: later| for some time| in a new session| in a new one)?"
)
EXPIRES_SOON = 21  # days; whoever renews by hand needs some


def steps_of(case: Case, seen: Visit, now: datetime) -> tuple[Step, ...]:
    """One step for each stage, in the order of the session. After a failure the rest is skipped."""
    steps: list[Step] = []
    broken: Step | None = None
    has_token, is_sending = case.token is not None, case.question.is_sending
    for stage in stages(case.endpoint.tls, has_token=has_token, is_sending=is_sending):
        if broken is not None:
            steps.append(skipped(stage, f"not reached: “{broken.label}” failed"))
            continue
        step = _step(stage, case, seen, now)
        steps.append(step)
        broken = step if step.status is Status.FAIL else None
    return tuple(steps)


def failed_step(case: Case, failed: Failed, seen: Visit, now: datetime) -> Step:
    """A failure in the catalogue's words. An address that is only asked about may wait: a warning.

    A letter that was not taken is a failure: somebody wanted it sent.
    """
    verdict = classify(failed.stage, failed.answer, Where.of(case.settings))
    is_about_address = failed is not seen.failed and verdict.blame is not Blame.RELAY
    is_passing = is_about_address and not verdict.permanent and not case.question.is_sending
    stage = step_of(failed.stage)
    return Step(
        stage=stage,
        status=Status.WARN if is_passing else Status.FAIL,
        evidence=_evidence(failed, seen) + _unbelieved(seen, now),
        milliseconds=_waited(seen, stage),
        cause=verdict.cause,
        fix=_of_now(_fix(verdict, stage, case, seen)),
        advice_id=verdict.advice,
    )


def _of_now(fix: str) -> str:
    """The catalogue speaks of mail, which is tried again by itself. A diagnosis is not."""
    return _TRIED_AGAIN.sub("Diagnose it again in a moment", fix)


def _fix(verdict: Verdict, stage: Stage, case: Case, seen: Visit) -> str:
    """Where the catalogue knows nothing of this provider, what its preset knows helps more."""
    if _wants_sign_in(stage, case, seen):
        return f"It offers sign-in and may want it: set username and password. {verdict.fix}"
    notes = case.preset.notes if case.preset else None
    is_general = verdict.advice.startswith(("auth.", "refused."))
    if stage is Stage.AUTH and is_general and case.preset and notes:
        return f"{verdict.fix} {case.preset.name}: {notes}"
    return verdict.fix


def _wants_sign_in(stage: Stage, case: Case, seen: Visit) -> bool:
    """Sign-in was offered and not used, and MAIL or RCPT met a policy (RFC 3463 §3.8: x.7.z)."""
    if stage not in (Stage.MAIL, Stage.RCPT) or case.settings.auth is not Auth.NONE:
        return False
    reply = seen.said(stage)
    failed = seen.refused(stage)
    answer = failed.answer if failed else reply
    is_policy = (
        isinstance(answer, Reply) and answer.enhanced is not None and answer.enhanced.subject == 7
    )
    return is_policy and seen.session is not None and bool(seen.session.capabilities.mechanisms)


def _step(stage: Stage, case: Case, seen: Visit, now: datetime) -> Step:
    if stage is Stage.TOKEN and case.token is not None:
        return step_of_token(case.token)
    failed = seen.failed or seen.refused(stage)
    if failed and step_of(failed.stage) is stage:
        return failed_step(case, failed, seen, now)
    why_skipped = _why_skipped(stage, case, seen)
    if why_skipped:
        return skipped(stage, why_skipped)
    if stage is Stage.DATA and isinstance(seen.outcome, Unknown):
        return _uncertain(case, seen.outcome, seen)
    if stage is Stage.TLS:
        return _tls_step(case, seen, now)
    return Step(
        stage=stage,
        status=Status.OK,
        evidence=_fact(stage, case, seen),
        milliseconds=_waited(seen, stage),
    )


def _uncertain(case: Case, outcome: Unknown, seen: Visit) -> Step:
    """RFC 1047: after the final dot silence says nothing."""
    return Step(
        stage=Stage.DATA,
        status=Status.FAIL,
        evidence=outcome.cause,
        milliseconds=_waited(seen, Stage.DATA),
        cause="No answer came after the final dot: nobody knows whether the mail was sent.",
        fix=f"Look into the mailbox of {case.question.rcpt_to} before you send another.",
    )


def _why_skipped(stage: Stage, case: Case, seen: Visit) -> str | None:
    match stage:
        case Stage.AUTH if case.settings.auth is Auth.NONE:
            return "auth is none: this relay signs in nowhere"
        case Stage.MAIL if case.question.mail_from is None:
            return "there is no sender to ask about: the relay has no from, and none was given"
        case Stage.RCPT if case.question.rcpt_to is None:
            return "no recipient was given to ask about"
        case Stage.RCPT if seen.said(Stage.RCPT) is None:
            return "the relay was not asked, because it did not take the sender"
    return None


def _fact(stage: Stage, case: Case, seen: Visit) -> str:
    match stage:
        case Stage.DNS:
            return _addresses(case, seen)
        case Stage.CONNECT:
            return _connected(case, seen)
        case Stage.EHLO:
            reply = seen.said(Stage.EHLO)
            return in_words(Capabilities.parse(reply)) if reply else ""
        case Stage.AUTH:
            mechanism = seen.session.mechanism if seen.session else None
            return f"{mechanism.value}: {seen.said(stage)}" if mechanism else ""
        case Stage.DATA:
            return str(seen.said(Stage.END_OF_DATA) or "")
        case Stage.QUIT:
            reply = seen.said(stage)
            return str(reply) if reply else "no answer to QUIT, which harms nothing"
    return str(seen.said(stage) or "")


def _addresses(case: Case, seen: Visit) -> str:
    noted = seen.noted(Stage.DNS) or ""
    addresses = noted.split(", ")
    whose = "the proxy has " if case.endpoint.proxy else ""
    count = "1 address" if len(addresses) == 1 else f"{len(addresses)} addresses"
    return f"{whose}{count}: {noted}"


def _connected(case: Case, seen: Visit) -> str:
    where = seen.noted(Stage.CONNECT) or ""
    return f"through the proxy: {where}" if case.endpoint.proxy else where


def _tls_step(case: Case, seen: Visit, now: datetime) -> Step:
    if case.endpoint.tls is TlsMode.NONE:
        step = skipped(Stage.TLS, "tls is none: everything is said in the clear")
        if is_loopback(case.settings.host):
            return step
        reply = seen.said(Stage.EHLO)
        offers = reply is not None and Capabilities.parse(reply).starttls
        fix = "The server offers STARTTLS: set tls to starttls." if offers else None
        return warned(step, "Anybody on the way can read this mail.", fix)
    facts = seen.tls
    assert facts is not None
    days = (facts.not_after - now).days
    step = Step(
        stage=Stage.TLS,
        status=Status.OK,
        evidence=f"{facts.version}, {facts.cipher}; {certificate.in_words(facts, now)}",
        milliseconds=_waited(seen, Stage.TLS),
    )
    if days >= EXPIRES_SOON or case.endpoint.trust.pin:
        return step
    cause = f"The certificate expires in {days} days."
    return warned(step, cause, "Its operator has to renew it before that, or mail stops.")


def _evidence(failed: Failed, seen: Visit) -> str:
    """What the server said; if it said nothing, what happened and how long we waited."""
    match failed.answer:
        case Lost(loss=Loss.NOT_SMTP):
            return "what answered is not an SMTP server"
        case Lost(loss=Loss.TIMEOUT, cause=cause) if " seconds" not in cause:
            waited = _waited(seen, step_of(failed.stage)) or 0.0
            return f"{cause}; we waited {seconds_in_words(waited / 1000)}"
        case Lost(cause=cause) | Withheld(cause=cause):
            return cause
        case Reply():
            return str(failed.answer)


def _unbelieved(seen: Visit, now: datetime) -> str:
    """What the certificate says of itself. The fingerprint is for whoever wants to pin it."""
    if seen.unbelieved is None:
        return ""
    shown = certificate.in_words(seen.unbelieved, now)
    return f"; it shows a {shown}; SHA-256 {seen.unbelieved.sha256}"


def _waited(seen: Visit, stage: Stage) -> float | None:
    """Milliseconds that the other side took, everything that belongs to the step together."""
    waits = seen.transcript.milliseconds()
    taken = [spent for each, spent in waits.items() if step_of(each) is stage]
    return sum(taken) if taken else None
