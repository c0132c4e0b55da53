"""Every conversation in tests/dialogues, played without and with a socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.mail.outcome import Failed, Loss, Lost, Outcome
from pillarbox.mail.reply import Reply
from pillarbox.smtp import opening, session
from pillarbox.smtp.dialogue import Options, beginning, ends_session, left_half_way, transact
from pillarbox.smtp.endpoint import Endpoint, TlsMode
from pillarbox.smtp.replies import ReplyParser
from pillarbox.smtp.session import open_session
from pillarbox.smtp.steps import Flight, HangUp, Hear, PointOfNoReturn, Pour, Say
from pillarbox.smtp.transcript import Transcript
from support import conversation
from support.conversation import Conversation, in_words
from support.scripted_relay import matches, scripted_relay


@pytest.fixture(params=conversation.every(), ids=lambda path: path.stem)
def talk(request: pytest.FixtureRequest) -> Conversation:
    path: Path = request.param
    return conversation.read(path)


def test_every_conversation_says_why_it_is_here_and_how_it_ends(talk: Conversation) -> None:
    """A file without a reason or an expectation tests nothing."""
    assert talk.why
    assert talk.expected


def test_the_dialogue_says_its_lines_to_a_list(talk: Conversation) -> None:
    """No socket: the generators alone speak and judge as the file says."""
    player = ListPlayer(talk)
    outcomes = _play_everything(talk, player)

    assert outcomes == talk.expected
    assert not player.steps or player.steps[0][0] == ".", (
        "the dialogue ended before the conversation did"
    )


@pytest.mark.parametrize("octet_by_octet", [False, True], ids=["whole", "octets"])
async def test_the_session_says_its_lines_to_a_relay(
    talk: Conversation, octet_by_octet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same over a real socket, however the relay's octets are cut."""
    monkeypatch.setattr(session, "token", lambda: conversation.NONCE)
    transcript = Transcript(SystemClock())

    async with scripted_relay(talk.steps, octet_by_octet=octet_by_octet) as relay:
        outcomes = await _converse(talk, relay.port, transcript)

    assert outcomes == talk.expected
    assert "pencil" not in str(transcript)
    assert "ya29" not in str(transcript)
    if "note" in talk.settings:
        assert talk.settings["note"] in str(transcript)


async def _converse(talk: Conversation, port: int, transcript: Transcript) -> dict[str, str]:
    endpoint = Endpoint(
        host="127.0.0.1", port=port, tls=TlsMode.NONE, ehlo_name=conversation.EHLO_NAME
    )
    opened = await open_session(endpoint, talk.credentials, transcript=transcript)
    if isinstance(opened, Failed):
        return {"opening": in_words(opened)}

    async def may_still_send() -> bool:
        return talk.keeps_lease

    outcomes: dict[Any, Outcome] = {}
    letters = [(talk.envelope, talk.content) for _ in range(talk.messages)]
    for number, letter in enumerate(letters):
        following = letters[number + 1] if letter is not letters[-1] and talk.is_hurried else None
        outcomes = await opened.transact(
            *letter,
            point_of_no_return=may_still_send,
            behind=lambda following=following: following,
        )
    opened.abort()
    return _named(outcomes)


def _play_everything(talk: Conversation, player: ListPlayer) -> dict[str, str]:
    capabilities = player.play(opening.greet(conversation.EHLO_NAME))
    if isinstance(capabilities, Failed):
        return {"opening": in_words(capabilities)}
    if talk.credentials:
        peer = opening.Peer("127.0.0.1", player.port, conversation.NONCE)
        mechanism = player.play(opening.authenticate(talk.credentials, capabilities, peer))
        if isinstance(mechanism, Failed):
            return {"opening": in_words(mechanism)}
    outcomes: dict[Any, Outcome] = {}
    half_way, begun = False, None
    for left in reversed(range(talk.messages)):
        following = None
        if talk.is_hurried and left:
            following = beginning(talk.envelope, talk.content, capabilities)
        behind = following.octets if following else b""
        options = Options(reset_first=half_way, behind=lambda said=behind: said, begun=begun)
        begun = following
        outcomes = player.play(transact(talk.envelope, talk.content, capabilities, options))
        half_way = left_half_way(outcomes)
    return _named(outcomes)


def _named(outcomes: dict[Any, Outcome]) -> dict[str, str]:
    return {path.local_part: in_words(outcome) for path, outcome in outcomes.items()}


class ListPlayer:
    """Drives a dialogue from a list of steps, without any I/O."""

    port = 25

    def __init__(self, talk: Conversation) -> None:
        self.steps = deque(talk.steps)
        self._keeps_lease = talk.keeps_lease
        self._lost: Lost | None = None

    def play(self, dialogue: Any) -> Any:
        try:
            step = next(dialogue)
            while True:
                step = dialogue.send(self._take(step))
        except StopIteration as end:
            return end.value

    def _take(self, step: Any) -> Any:
        match step:
            case Say(octets=octets, behind=behind):
                self._expect(octets + behind)
                return self._answer()
            case Flight(says=says, is_said=is_said):
                if not is_said:
                    self._expect(b"".join(say.octets for say in says))
                return list(self._answers(says))
            case Hear():
                return self._answer()
            case Pour(pieces=pieces):
                self._expect(b"".join(pieces))
            case PointOfNoReturn():
                return self._keeps_lease
            case HangUp():
                self._lost = Lost(Loss.CLOSED, "we hung up")
        return None

    def _answers(self, says: tuple[Say, ...]) -> Iterator[Reply | Lost]:
        for say in says:
            yield (answer := self._answer())
            if ends_session(say.stage, answer):
                return

    def _expect(self, octets: bytes) -> None:
        for line in octets.decode().split("\r\n")[:-1]:
            if self._lost is None and self.steps and self.steps[0][0] != ".":
                kind, expected = self.steps.popleft()
                assert kind == "C", f"we said {line!r} when it was the relay's turn"
                assert matches(line, expected), f"expected {expected!r}, said {line!r}"

    def _answer(self) -> Reply | Lost:
        parser = ReplyParser()
        while self.steps and self.steps[0][0] == "S":
            replies = parser.feed(f"{self.steps.popleft()[1]}\r\n".encode())
            if replies:
                return replies[0]
            if parser.fault:
                self._lost = parser.fault
                return parser.fault
        if self._lost is None:
            assert self.steps, "the dialogue waits for an answer that the file does not have"
            assert self.steps.popleft() == (".", "")
            self._lost = Lost(Loss.CLOSED, "the relay hung up")
        return self._lost


def test_conversations_cover_both_ways_of_sending() -> None:
    """Guards the folder itself: there are many, and some pipeline and some do not."""
    talks = [conversation.read(path) for path in conversation.every()]
    flights = [
        [kind for kind, _ in groupby(talk.steps, key=lambda step: step[0])] for talk in talks
    ]
    assert len(talks) >= 25
    assert any("PIPELINING" in line for talk in talks for _, line in talk.steps)
    assert any(len(flight) > 10 for flight in flights)
