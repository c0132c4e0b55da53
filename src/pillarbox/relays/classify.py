"""
What a server's answer means: whose fault it is, what has to stop, and what a person can do.

The catalogue is replies.toml. What it does not know is judged by mail/outcome.py, from the
stage and the class of the reply alone. Servers repeat addresses and other servers' words in
their replies. Those are cut out before any sentence is looked for, because whoever chose
the address would otherwise choose the verdict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from pillarbox.mail.outcome import Answer, Blame, Failed, Lost, Stage, Withheld, refusal
from pillarbox.mail.reply import EnhancedStatus, Reply
from pillarbox.relays import presets
from pillarbox.relays.catalogue import Entry, entry_of, group, pattern
from pillarbox.relays.relay import RelaySettings
from pillarbox.smtp.endpoint import TlsMode


class Suspends(Enum):
    """What happens to the rest of the relay's mail."""

    NO = "no"
    SLOW = "slow"  # it goes on, with fewer sessions at once
    REST = "rest"  # it waits for a while and is tried again without anybody
    PERSON = "person"  # it waits until somebody has changed something


class Quota(Enum):
    """How long a used-up allowance takes to come back."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The relay an answer came from. provider is the key of its sentences, if it is known."""

    provider: str | None = None
    host: str = "the server"
    port: int | None = None
    tls: TlsMode | None = None

    @classmethod
    def of(cls, settings: RelaySettings) -> Where:
        return cls(
            provider=provider_of(settings),
            host=settings.host,
            port=settings.port,
            tls=settings.tls,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    advice is the id of the entry in replies.toml. cause and fix are for people.

    rest_for is how long to wait before the relay is tried again, when it rests.
    if_it_carries is whom to blame instead, for good, when the relay carries other mail.
    """

    advice: str
    blame: Blame
    permanent: bool
    suspends: Suspends
    if_it_carries: Blame | None
    quota: Quota | None
    rest_for: timedelta | None
    cause: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What entries of a kind have in common. None: as mail/outcome.py says."""

    blame: Blame | None = None
    permanent: bool | None = None
    suspends: Suspends = Suspends.NO


KINDS = {
    "account": _Kind(blame=Blame.RELAY, permanent=False, suspends=Suspends.PERSON),
    "setup": _Kind(blame=Blame.RELAY, permanent=False, suspends=Suspends.PERSON),
    "pace": _Kind(blame=Blame.RELAY, permanent=False, suspends=Suspends.SLOW),
    "quota": _Kind(blame=Blame.RELAY, permanent=False, suspends=Suspends.REST),
    "later": _Kind(permanent=False),
    "sender": _Kind(blame=Blame.SENDER),
    "recipient": _Kind(blame=Blame.RECIPIENT),
    "message": _Kind(blame=Blame.MESSAGE),
    "reputation": _Kind(blame=Blame.SENDER),
}

_BLAMES = {
    "recipient": Blame.RECIPIENT,
    "message": Blame.MESSAGE,
    "sender": Blame.SENDER,
    "relay": Blame.RELAY,
}

# A day's allowance usually comes back bit by bit, so a relay asks again before the day is over.
REST = {
    None: timedelta(minutes=1),
    Quota.HOUR: timedelta(minutes=10),
    Quota.DAY: timedelta(hours=1),
}

_PROVIDER_DOMAINS = {
    "outlook.com": "microsoft-365",  # …mail.protection.outlook.com, the MX of an organisation
    "google.com": "gmail",
    "amazonaws.com": "ses",
    "yahoodns.net": "yahoo",
    "icloud.com": "icloud",
}

_LONGEST = 2000  # characters looked at; a hostile server may send many more, and patterns are slow
_FOREIGN_WORDS = re.compile(r'\bsaid:.*|<[^<>]*>|"[^"]*"@\S*|\S*@\S*', re.DOTALL)


def classify(stage: Stage, answer: Answer, where: Where | None = None) -> Verdict:
    """
    The verdict on an answer that was not the good one. Always has an answer of its own.

    Never changes what is uncertain: for that, see refusal() in mail/outcome.py.
    """
    where = where or Where()
    match answer:
        case Reply():
            entry = _reply_entry(stage, answer, where)
        case Lost(known_as=str() as advice):
            entry = entry_of(advice)
        case Lost():
            entry = _first(group("loss"), stage, where, losses=answer.loss.value)
        case Withheld():
            entry = _first(group("lack"), stage, where, lacks=answer.lack.value)
    return _verdict(entry, stage, answer, where)


def provider_of(settings: RelaySettings) -> str | None:
    """Whose sentences to expect: by the preset, else by the host."""
    preset = presets.get(settings.preset) or presets.by_host(settings.host)
    if preset is not None:
        return preset.provider
    for domain, provider in _PROVIDER_DOMAINS.items():
        if settings.host.endswith(f".{domain}"):
            return provider
    return None


def _reply_entry(stage: Stage, reply: Reply, where: Where) -> Entry:
    """What this provider means by it, then what anybody means, then the class of the reply."""
    text = _FOREIGN_WORDS.sub("<>", reply.text[:_LONGEST])
    candidates = [entry for entry in group("reply") if _may_mean(entry, stage, reply)]
    for said_here, by_text in ((True, True), (True, False), (False, True), (False, False)):
        for entry in candidates:
            counts = ("text" in entry) is by_text and _is_said(entry, where, said_here=said_here)
            if counts and (not by_text or pattern(entry["text"]).search(text)):
                return entry
    return _fallback(stage, reply)


def _may_mean(entry: Entry, stage: Stage, reply: Reply) -> bool:
    """Code, stage and status agree, as far as the entry names them."""
    if reply.code not in entry.get("codes", (reply.code,)):
        return False
    if stage.value not in entry.get("stages", (stage.value,)):
        return False
    return "status" not in entry or any(_covers(s, reply.enhanced) for s in entry["status"])


def _is_said(entry: Entry, where: Where, *, said_here: bool) -> bool:
    """
    Whether this entry counts in this step: the provider's own ones first, then anybody's.

    Of a server whose provider we do not know, distinctive sentences of providers count
    too, and before the general ones. Their private status codes do not.
    """
    providers = entry.get("providers", ())
    if not said_here:
        return not providers
    if where.provider is None:
        return bool(providers) and "text" in entry and not entry.get("here_only", False)
    return where.provider in providers


def _covers(written: str, status: EnhancedStatus | None) -> bool:
    """Whole codes only: 5.7.139 is not 5.7.13. “5.7.606-649” is a range of details."""
    if status is None:
        return False
    klass, subject, details = written.split(".")
    low, _, high = details.partition("-")
    same = (int(klass), int(subject)) == (status.klass, status.subject)
    return same and int(low) <= status.detail <= int(high or low)


def _fallback(stage: Stage, reply: Reply) -> Entry:
    is_permanent = _is_final(stage, reply)
    for entry in group("fallback"):
        permanent = entry.get("permanent_code")
        if _may_mean(entry, stage, reply) and permanent in (None, is_permanent):
            return entry
    raise LookupError("the last fallback has no condition")


def _first(entries: tuple[Entry, ...], stage: Stage, where: Where, **what: str) -> Entry:
    """The first entry for a loss or a lack whose conditions all hold."""
    tls = where.tls.value if where.tls else None
    facts = {**what, "stages": stage.value, "ports": where.port, "tls": tls}
    for entry in entries:
        if all(fact in _listed(entry, name, fact) for name, fact in facts.items()):
            return entry
    raise LookupError(f"replies.toml says nothing about {what}")


def _listed(entry: Entry, name: str, fact: object) -> Any:
    """What an entry demands; it demands nothing where it is silent."""
    return entry.get(name, (fact,))


def _verdict(entry: Entry, stage: Stage, answer: Answer, where: Where) -> Verdict:
    by_class = refusal(stage, answer)
    failed = by_class if isinstance(by_class, Failed) else None
    kind = KINDS.get(entry.get("kind", ""), _Kind())
    blame = _blame(entry, kind, failed)
    suspends = Suspends(entry["suspends"]) if "suspends" in entry else kind.suspends
    if entry.get("kind") in ("later", "reputation") and blame is Blame.RELAY:
        suspends = Suspends.PERSON if suspends is Suspends.PERSON else Suspends.REST
    quota = Quota(entry["quota"]) if "quota" in entry else None
    if suspends is Suspends.SLOW and quota is not None:
        suspends = Suspends.REST  # fewer sessions bring no allowance back
    words = {
        "host": where.host,
        "port": where.port or "?",
        "tls": where.tls.value if where.tls else "?",
    }
    return Verdict(
        advice=entry["id"],
        blame=blame,
        permanent=_permanent(entry, kind, failed, blame),
        suspends=suspends,
        if_it_carries=_BLAMES.get(entry.get("blame_if_it_carries", "")),
        quota=quota,
        rest_for=REST[quota] if suspends is Suspends.REST else None,
        cause=entry["cause"].format(**words),
        fix=entry["fix"].format(**words),
    )


def _blame(entry: Entry, kind: _Kind, failed: Failed | None) -> Blame:
    if "blame" in entry:
        return _BLAMES[entry["blame"]]
    return kind.blame or (failed.blame if failed else Blame.RELAY)


def _permanent(entry: Entry, kind: _Kind, failed: Failed | None, blame: Blame) -> bool:
    """A 4yz is never final, and the relay's fault never fails mail (invariant 3)."""
    if blame is Blame.RELAY:
        return False
    if isinstance(failed, Failed) and isinstance(failed.answer, Reply):
        said_final = _is_final(failed.stage, failed.answer)
        wanted: bool | None = entry.get("permanent", kind.permanent)
        return said_final if wanted is None else wanted and said_final
    return failed.permanent if failed else False


def _is_final(stage: Stage, reply: Reply) -> bool:
    """5yz, but for 552 to RCPT: older servers mean "not so many" (RFC 5321 §4.5.3.1.10)."""
    return reply.code >= 500 and not (stage is Stage.RCPT and reply.code == 552)
