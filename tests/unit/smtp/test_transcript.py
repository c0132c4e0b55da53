"""What a session's record shows, and what it does not."""

from __future__ import annotations

from datetime import UTC, datetime

from pillarbox.mail.outcome import Stage
from pillarbox.mail.reply import Reply
from pillarbox.smtp.transcript import Transcript


class Ticking:
    """A clock that moves ten milliseconds whenever it is read."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        self._seconds += 0.01
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        self._seconds += seconds


def test_it_reads_like_a_conversation() -> None:
    """Lines of both sides and notes, one below the other."""
    transcript = Transcript(Ticking())
    transcript.note(Stage.CONNECT, "connected to 192.0.2.1 port 25")
    transcript.hear(Stage.GREETING, Reply(220, ("relay.test", "hello")))
    transcript.say(Stage.EHLO, b"EHLO me.test\r\n")

    assert str(transcript) == (
        "*: connected to 192.0.2.1 port 25\nS: 220-relay.test\nS: 220 hello\nC: EHLO me.test"
    )


def test_what_cannot_be_printed_is_escaped_and_long_lines_end() -> None:
    """A relay's text moves no cursor, hides nothing and fills no screen."""
    transcript = Transcript(Ticking())
    transcript.hear(Stage.GREETING, Reply(220, ("a\x1b[2Jb\u202ec", "x" * 5_000)))

    first, second = str(transcript).split("\n")
    assert first == "S: 220-a\\x1b[2Jb\\u202ec"
    assert len(second) < 1_100


def test_challenges_stay_out_by_position() -> None:
    """334 at AUTH is never shown; 334 anywhere else would be an answer like others."""
    transcript = Transcript(Ticking())
    transcript.hear(Stage.AUTH, Reply(334, ("c2VjcmV0",)))
    assert str(transcript) == "S: 334 (challenge)"


def test_time_is_what_others_made_us_wait() -> None:
    """The gap before a reply counts for its stage; the gap before our own command does not."""
    transcript = Transcript(Ticking())
    transcript.hear(Stage.GREETING, Reply(220, ()))
    transcript.say(Stage.EHLO, b"EHLO x\r\n")
    transcript.hear(Stage.EHLO, Reply(250, ()))

    waits = transcript.milliseconds()
    assert {stage: round(wait) for stage, wait in waits.items()} == {
        Stage.GREETING: 10,
        Stage.EHLO: 10,
    }


def test_it_does_not_grow_for_ever_and_slices_stay_right() -> None:
    """The opening and the latest stay; what lies between is forgotten."""
    transcript = Transcript(Ticking())
    for number in range(2_000):
        transcript.note(Stage.MAIL, f"note {number}")
    mark = transcript.mark()
    transcript.note(Stage.MAIL, "the last")

    texts = [entry.text for entry in transcript.entries]
    assert len(texts) <= 401
    assert texts[0] == "note 0"
    assert [entry.text for entry in transcript.since(mark)] == ["the last"]
