"""
One mail transaction, as a conversation. There are no sockets here: see wire.py.

A dialogue is a generator. It yields steps, is sent what came back, and returns what became
of each recipient. Sessions drive it over a wire; tests drive it with a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pillarbox.base.errors import Invalid
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import (
    Answer,
    Blame,
    Failed,
    Lack,
    Loss,
    Lost,
    Outcome,
    Relayed,
    Stage,
    Withheld,
    is_expected,
    refusal,
)
from pillarbox.mail.reply import Reply
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.command import command, path
from pillarbox.smtp.steps import Dialogue, Flight, HangUp, Hear, PointOfNoReturn, Pour, Say

PIECE = 65_536  # octets of content that are written at once
_CLOSING = 421  # RFC 5321 §3.8: may answer any command; the relay hangs up after it

# Each begins with one octet to look for, which is quicker than to count or to look for two.
_LONE_CR = re.compile(rb"\r(?!\n)")
_LONE_LF = re.compile(rb"\n(?<!\r\n)")
_DOT_AFTER_LF = re.compile(rb"\n\.")
_RSET = Say(Stage.RSET, b"RSET\r\n")
_DATA = Say(Stage.DATA, b"DATA\r\n")
_DOT = Say(Stage.END_OF_DATA, b".\r\n")

Outcomes = dict[Address, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    How to say it. reset_first takes back what an earlier transaction left half said.

    behind is asked when the end of the content is about to be said, for the beginning of the
    next transaction, to go out with it. begun: what of this one went out so.
    """

    use_chunking: bool = True
    reset_first: bool = False
    behind: Callable[[], bytes] = bytes
    begun: Beginning | None = None


class Beginning(NamedTuple):
    """What is said before the content. by_chunks: it goes in chunks (RFC 3030), without DATA."""

    recipients: tuple[Address, ...]
    says: tuple[Say, ...]
    by_chunks: bool

    @property
    def octets(self) -> bytes:
        return b"".join([say.octets for say in self.says])


def transact(
    envelope: Envelope,
    content: Content,
    capabilities: Capabilities,
    options: Options = Options(),
) -> Dialogue[Outcomes]:
    """
    MAIL, RCPT and DATA or BDAT (RFC 5321 §3.3, RFC 3030); what became of each recipient.

    Raises Invalid if the content is not what passed the gate of mail/content.py.
    """
    begun, outcomes = options.begun, Outcomes()
    if begun is None:
        check_line_ends(content.octets)
        if withheld := _withheld(envelope, content, capabilities):
            return dict.fromkeys(envelope.forward_paths, withheld)
        outcomes = _unreachable(envelope, capabilities)
        begun = _begin(envelope, content, capabilities, options, outcomes)
        if not begun.recipients:
            return outcomes

    answers: list[Answer]
    if capabilities.pipelining:
        answers = yield Flight(begun.says, options.begun is not None)
    else:
        answers = yield from _one_by_one(begun.says)
    outcomes |= _judge(begun, answers)
    waiting = [path for path in begun.recipients if path not in outcomes]
    if not waiting:
        yield from _leave(begun, answers)
        return outcomes
    result = yield from (_by_chunks if begun.by_chunks else _by_data)(content, options)
    return outcomes | dict.fromkeys(waiting, result)


def beginning(
    envelope: Envelope, content: Content, capabilities: Capabilities, options: Options = Options()
) -> Beginning | None:
    """
    What `transact` says before the content, to be said behind another transaction.

    None when the relay does not take it so, or when there is something to be said about it
    that needs no relay.
    """
    is_plain = capabilities.pipelining and not _unreachable(envelope, capabilities)
    if not is_plain or _withheld(envelope, content, capabilities):
        return None
    check_line_ends(content.octets)
    return _begin(envelope, content, capabilities, options)


def left_half_way(outcomes: Outcomes) -> bool:
    """Whether the relay still holds a reverse path, so that RSET must come before the next MAIL."""
    for outcome in outcomes.values():
        if not isinstance(outcome, Failed) or outcome.stage not in (Stage.RCPT, Stage.DATA):
            return False
    return True


def ends_session(stage: Stage, answer: Answer) -> bool:
    """Nobody is there any more, or relay and we no longer talk about the same thing."""
    if not isinstance(answer, Reply):
        return isinstance(answer, Lost)
    code = answer.code
    is_strange = code < 400 and not is_expected(stage, answer)
    return code == _CLOSING or (is_strange and stage is not Stage.AUTH)


def transparent(octets: bytes) -> Iterator[bytes]:
    """Content in pieces of whole lines, leading dots doubled (RFC 5321 §4.5.2); no final dot."""
    for piece in pieces(octets):
        stuffed = piece.replace(b"\r\n.", b"\r\n..") if _DOT_AFTER_LF.search(piece) else piece
        yield b"." + stuffed if stuffed.startswith(b".") else stuffed


def pieces(octets: bytes) -> Iterator[bytes]:
    """Whole lines, about PIECE octets at a time, so that big content is not copied at once."""
    if len(octets) <= PIECE:
        yield octets
        return
    start = 0
    while start < len(octets):
        end = octets.rfind(b"\r\n", start, start + PIECE) + 2
        if end < start + 2 or start + PIECE >= len(octets):
            end = len(octets) if start + PIECE >= len(octets) else start + PIECE
        yield octets[start:end]
        start = end


def check_line_ends(octets: bytes) -> None:
    """The last look before the wire: every CR and LF is half of a CRLF, and the last line ends."""
    is_whole = octets.endswith(b"\r\n")
    if not is_whole or _LONE_CR.search(octets) or _LONE_LF.search(octets):
        raise Invalid("content must pass the gate before it is sent", field="content")


def _begin(
    envelope: Envelope,
    content: Content,
    capabilities: Capabilities,
    options: Options,
    unreachable: Container[Address] = (),
) -> Beginning:
    """RSET if need be, MAIL, RCPT for each recipient, DATA (RFC 5321 §4.1.1.2 to §4.1.1.4)."""
    utf8 = capabilities.smtputf8 and (content.needs_smtputf8 or envelope.needs_smtputf8)
    parameters = _mail_parameters(content, capabilities)
    smtputf8 = " SMTPUTF8" if utf8 else ""
    mail = f"MAIL FROM:{path(envelope.reverse_path)}{parameters}{smtputf8}"
    says = [_RSET] if options.reset_first else []
    says.append(Say(Stage.MAIL, command(mail, utf8=utf8)))
    recipients = dict.fromkeys(envelope.forward_paths)
    if unreachable:
        recipients = {each: None for each in recipients if each not in unreachable}
    says.extend([_rcpt(each, utf8=utf8) for each in recipients])
    by_chunks = capabilities.chunking and options.use_chunking
    if not by_chunks:
        says.append(_DATA)
    return Beginning(tuple(recipients), tuple(says), by_chunks)


def _rcpt(recipient: Address, *, utf8: bool) -> Say:
    return Say(Stage.RCPT, command(f"RCPT TO:{path(recipient)}", utf8=utf8))


def _mail_parameters(content: Content, capabilities: Capabilities) -> str:
    """RFC 1870 §3, RFC 6152 §2."""
    parameters = f" SIZE={content.size}" if capabilities.size is not None else ""
    if content.is_eight_bit and capabilities.eight_bit_mime:
        parameters += " BODY=8BITMIME"
    return parameters


def _withheld(envelope: Envelope, content: Content, capabilities: Capabilities) -> Failed | None:
    """What the relay's EHLO already answered for the whole message."""
    sender = envelope.reverse_path
    withheld: Withheld | None = None
    if content.is_eight_bit and not capabilities.eight_bit_mime:
        cause = "the message has 8-bit text and the relay takes 7-bit text only"
        withheld = Withheld(Lack.EIGHT_BIT, cause)
    if not capabilities.smtputf8 and (
        content.needs_smtputf8 or (sender is not None and sender.needs_smtputf8)
    ):
        cause = "the sender's address or the header needs SMTPUTF8, which the relay does not offer"
        withheld = Withheld(Lack.SMTPUTF8, cause)
    if not capabilities.has_room_for(content.size):
        cause = f"the message has {content.size} octets and the relay takes {capabilities.size}"
        withheld = Withheld(Lack.SIZE, cause)
    return _failed(Stage.MAIL, withheld) if withheld else None


def _unreachable(envelope: Envelope, capabilities: Capabilities) -> Outcomes:
    """Recipients whose address this relay cannot be told (RFC 6531 §3.2)."""
    if capabilities.smtputf8 or not envelope.needs_smtputf8:
        return {}
    cause = "the address needs SMTPUTF8, which the relay does not offer"
    withheld = _failed(Stage.RCPT, Withheld(Lack.SMTPUTF8, cause))
    return {path: withheld for path in envelope.forward_paths if path.needs_smtputf8}


def _one_by_one(says: Sequence[Say]) -> Dialogue[list[Answer]]:
    """Without PIPELINING, stopping as soon as going on makes no sense."""
    answers: list[Answer] = []
    has_recipient = False
    for say in says:
        if say.stage is Stage.DATA and not has_recipient:
            break
        answer: Answer = yield say
        answers.append(answer)
        refused = refusal(say.stage, answer) is not None
        has_recipient = has_recipient or (say.stage is Stage.RCPT and not refused)
        if ends_session(say.stage, answer) or (refused and say.stage is not Stage.RCPT):
            break
    return answers


def _judge(begun: Beginning, answers: list[Answer]) -> Outcomes:
    """
    The recipients that will not get the message, and why.

    A refused RCPT is about its recipient. A refused RSET, MAIL or DATA, and anything that ends
    the session, is about everybody who is still waiting.
    """
    outcomes: Outcomes = {}
    recipients = iter(begun.recipients)
    for say, answer in zip(begun.says, answers, strict=False):
        recipient = next(recipients) if say.stage is Stage.RCPT else None
        refused = refusal(say.stage, answer)
        if not refused:
            continue
        if recipient and not ends_session(say.stage, answer):
            outcomes[recipient] = refused
            continue
        return dict.fromkeys(begun.recipients, refused) | outcomes
    return outcomes


def _leave(begun: Beginning, answers: list[Answer]) -> Dialogue[None]:
    """
    RFC 2920 §3.1: 354 although nobody will get the message wants a lone dot, not RSET.

    If the relay took a recipient all the same, a lone dot would send them an empty message.
    """
    replies = list(zip(begun.says, answers, strict=False))
    last, answer = replies[-1]
    if last.stage is not Stage.DATA or refusal(Stage.DATA, answer):
        return
    if any(say.stage is Stage.RCPT and not refusal(say.stage, reply) for say, reply in replies):
        yield HangUp("the relay accepted a recipient of a message that it refused")
        return
    yield _DOT


def _by_data(content: Content, options: Options) -> Dialogue[Outcome]:
    """
    Content with doubled dots, the point of no return, the final dot (RFC 5321 §4.1.1.4).

    The dot is not said with the content, though it would save a write: a connection that breaks
    within the content is known not to have brought it.
    """
    early = yield Pour(Stage.DATA, transparent(content.octets), content.size)
    if early is not None:
        return (yield from _interrupted(early))
    return (yield from _pass_point_of_no_return(_DOT, options))


def _by_chunks(content: Content, options: Options) -> Dialogue[Outcome]:
    """
    RFC 3030 §2. Small content is one chunk. Big content is a chunk and an empty last one.

    So the octets that come after the point of no return are always few.
    """
    size = content.size
    if size <= PIECE:
        chunk = b"BDAT %d LAST\r\n%b" % (size, content.octets)
        say = Say(Stage.END_OF_DATA, chunk, f"BDAT {size} LAST ({size} octets)")
        return (yield from _pass_point_of_no_return(say, options))
    early = yield Pour(Stage.DATA, _chunk(content.octets), size)
    answer = early if early is not None else (yield Hear(Stage.DATA))
    if isinstance(answer, Lost) or refusal(Stage.END_OF_DATA, answer):
        if early is not None:
            yield HangUp("the relay answered before the chunk was complete")
        return _before_the_end(answer)
    last = Say(Stage.END_OF_DATA, b"BDAT 0 LAST\r\n")
    return (yield from _pass_point_of_no_return(last, options))


def _chunk(octets: bytes) -> Iterator[bytes]:
    yield b"BDAT %d\r\n" % len(octets)
    yield from pieces(octets)


def _pass_point_of_no_return(last: Say, options: Options) -> Dialogue[Outcome]:
    """Nothing is uncertain before this; everything is until the relay answers."""
    may_send = yield PointOfNoReturn()
    if may_send is False:
        yield HangUp("we no longer hold the message")
        lost = Lost(Loss.LET_GO, "we lost the right to send this message before the final dot")
        return Failed(Stage.DATA, Blame.RELAY, permanent=False, answer=lost)
    if may_send is not True:
        return (yield from _interrupted(may_send))
    behind = options.behind()
    answer: Answer = yield last._replace(behind=behind) if behind else last
    refused = refusal(Stage.END_OF_DATA, answer)
    if refused:
        return refused
    assert isinstance(answer, Reply)
    return Relayed(answer)


def _interrupted(early: Answer) -> Dialogue[Outcome]:
    """The relay answered, or went, before the end of the content; it cannot have taken it."""
    yield HangUp("the relay answered before the end of the content")
    return _before_the_end(early)


def _before_the_end(answer: Answer) -> Outcome:
    refused = refusal(Stage.END_OF_DATA, answer)
    if isinstance(refused, Failed):
        return replace(refused, stage=Stage.DATA)
    if not isinstance(answer, Lost):
        answer = Lost(Loss.MALFORMED_REPLY, f"the relay spoke out of turn: {answer}"[:200])
    return Failed(Stage.DATA, Blame.RELAY, permanent=False, answer=answer)


def _failed(stage: Stage, answer: Withheld) -> Failed:
    refused = refusal(stage, answer)
    assert isinstance(refused, Failed)
    return refused
