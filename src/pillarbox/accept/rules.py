"""What a submission must fulfil beyond its words: relay, times, tags, and a draft that holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from pillarbox.accept.destinations import chosen_relay
from pillarbox.accept.permitted import rewritten, sender_problems
from pillarbox.accept.submission import Submission
from pillarbox.base.errors import Invalid, NotFound, Rejected
from pillarbox.mail.draft import Draft
from pillarbox.mail.header import Header
from pillarbox.mail.mailbox import Mailbox
from pillarbox.queue.streams import STREAMS, TRANSACTIONAL, Stream, stream_named
from pillarbox.relays.roster import Roster
from pillarbox.relays.versions import Relay

MAX_TAGS = 20
MAX_METADATA = 50  # pairs
MAX_METADATA_VALUE = 500  # characters
MAX_AHEAD = timedelta(days=366)  # how far ahead send_at may be

_NOBODY = Mailbox.parse("nobody@invalid")  # stands in so that a draft's other faults show
_TAG = re.compile(r"[A-Za-z0-9_.\-]{1,100}")


class Checked:
    """
    A submission held against the rules. Every problem is in `problems`; the rest is usable
    only when there is none.
    """

    def __init__(self, submission: Submission, registry: Roster, now: datetime) -> None:
        self.registry = registry
        self.problems = list(submission.faults)
        self._unread = {(fault.field or "").partition("/")[0] for fault in submission.faults}
        self.stream = self._stream(submission)
        self.relay = self._relay(submission, registry)
        self.expires_at = submission.expires_at or (
            (submission.send_at or now) + self.stream.lifetime
        )
        if submission.send_at or submission.expires_at:
            self._note(_time_problems(submission, self.expires_at, now))
        if submission.tags or submission.metadata:
            self._note(_label_problems(submission))
        self.draft = self._draft(submission)

    def _note(self, problems: Iterator[Invalid]) -> None:
        """A field that could not be read has been complained about already."""
        self.problems += [
            each for each in problems if (each.field or "").partition("/")[0] not in self._unread
        ]

    def _stream(self, submission: Submission) -> Stream:
        try:
            return stream_named(submission.stream)
        except Invalid as problem:
            self._note(iter([problem]))
            return STREAMS[TRANSACTIONAL.name]

    def _relay(self, submission: Submission, registry: Roster) -> Relay:
        try:
            return chosen_relay(registry, submission)
        except NotFound as problem:
            self._note(iter([Invalid(str(problem), field="relay")]))
            return registry.default()

    def _draft(self, submission: Submission) -> Draft | None:
        parts = with_defaults(submission.draft, self.relay)
        if self.relay.settings.senders:
            self._note(sender_problems(parts, self.relay))
        if parts.get("from_") is None:
            missing = f"say who it is from: the relay “{self.relay.name}” has no default sender"
            self._note(iter([Invalid(missing, field="from")]))
            parts["from_"] = _NOBODY
        try:
            return Draft(**parts)
        except Rejected as rejected:
            self._note(iter(rejected.problems))
            return None


def with_defaults(draft: Mapping[str, Any], relay: Relay) -> dict[str, Any]:
    """The draft's parts, with the relay's sender, reply-to and headers where it names none."""
    settings = relay.settings
    parts = rewritten(draft, settings)
    parts["from_"] = parts.get("from_") or settings.from_
    if settings.reply_to is not None and not parts.get("reply_to"):
        parts["reply_to"] = (settings.reply_to,)
    if not settings.headers:
        return parts
    given = tuple(parts.get("headers", ()))
    names = {header.name.lower() for header in given}
    extra = (Header(name, value) for name, value in settings.headers if name.lower() not in names)
    parts["headers"] = (*given, *extra)
    return parts


def send_at_problems(send_at: datetime | None, now: datetime) -> Iterator[Invalid]:
    """A minute in the past is forgiven: clocks differ."""
    if send_at is not None and send_at < now - timedelta(minutes=1):
        yield Invalid("send_at is in the past; leave it out to send now", field="send_at")
    if send_at is not None and send_at > now + MAX_AHEAD:
        yield Invalid(f"send_at is more than {MAX_AHEAD.days} days ahead", field="send_at")


def _time_problems(
    submission: Submission, expires_at: datetime, now: datetime
) -> Iterator[Invalid]:
    send_at = submission.send_at
    yield from send_at_problems(send_at, now)
    if submission.expires_at is None:
        return  # it follows send_at
    if expires_at <= now:
        yield Invalid("expires_at is in the past; nothing would be sent", field="expires_at")
    elif send_at is not None and expires_at <= send_at:
        yield Invalid("expires_at is before send_at; nothing would be sent", field="expires_at")


def _label_problems(submission: Submission) -> Iterator[Invalid]:
    if len(submission.tags) > MAX_TAGS:
        yield Invalid(f"a message takes at most {MAX_TAGS} tags", field="tags")
    for number, tag in enumerate(submission.tags):
        if not _TAG.fullmatch(tag):
            yield Invalid(
                "a tag is 1 to 100 letters, digits, dots, hyphens and underscores",
                field=f"tags/{number}",
            )
    if len(submission.metadata) > MAX_METADATA:
        yield Invalid(f"a message takes at most {MAX_METADATA} metadata pairs", field="metadata")
    for name, value in submission.metadata.items():
        if not _TAG.fullmatch(name) or len(value) > MAX_METADATA_VALUE or "\x00" in value:
            yield Invalid(
                f"metadata names are like tags, values at most {MAX_METADATA_VALUE} characters",
                field=f"metadata/{name[:100]}",
            )
