"""How one attempt at a delivery ended, and whose fault it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pillarbox.mail.reply import Reply


class Stage(Enum):
    """How far the session got, in the order it gets there."""

    CONFIGURATION = "configuration"
    DNS = "dns"
    CONNECT = "connect"
    PROXY = "proxy"
    TLS = "tls"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    TOKEN = "token"  # noqa: S105 - of OAuth 2.0, before AUTH
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END_OF_DATA = "end of data"
    RSET = "rset"
    QUIT = "quit"


class Blame(Enum):
    """What must stop: one recipient, one message, everything from one sender, or the relay."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    SENDER = "sender identity"
    RELAY = "relay"


class Loss(Enum):
    """Why no usable answer came: what diagnosis and the catalogue switch on."""

    UNUSABLE_SETTINGS = "the settings cannot be used"
    NAME_NOT_FOUND = "name not found"
    NAME_LOOKUP_FAILED = "name lookup failed"
    FORBIDDEN_ADDRESS = "forbidden address"  # our own rule: see base/dial.py
    REFUSED = "connection refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CLOSED = "connection closed"
    PROXY = "proxy refused"
    NOT_TLS = "the server does not speak TLS here"
    TLS_FAILED = "TLS handshake failed"
    CERTIFICATE_EXPIRED = "certificate expired"
    CERTIFICATE_NOT_YET_VALID = "certificate not yet valid"
    CERTIFICATE_NAME = "certificate for another name"
    CERTIFICATE_SELF_SIGNED = "certificate self-signed"
    CERTIFICATE_UNTRUSTED = "certificate from an unknown authority"
    CERTIFICATE_PIN = "certificate is not the pinned one"
    PLAINTEXT_AFTER_STARTTLS = "plaintext after STARTTLS"
    NOT_SMTP = "not an SMTP server"
    MALFORMED_REPLY = "malformed reply"
    REPLY_TOO_LONG = "reply too long"
    LET_GO = "we let it go"  # another has the lease, or its time is over; nobody is to blame
    NO_TOKEN = "no access token"  # noqa: S105 - what is missing
    UNPROVEN = "the relay did not keep to the mechanism"  # SASL; it may not be the one we know


@dataclass(frozen=True, slots=True)
class Lost:
    """
    The answer that never came. `cause` is a sentence without its full stop.

    known_as is an id of the catalogue, where whoever noticed it knows what it means.
    """

    loss: Loss
    cause: str
    known_as: str | None = None


class Lack(Enum):
    """What the relay does not offer although we need it."""

    STARTTLS = "STARTTLS"
    TLS = "TLS, without which no password is said"
    AUTH = "AUTH"
    MECHANISM = "a mechanism that we may use"
    SMTPUTF8 = "SMTPUTF8"
    EIGHT_BIT = "8BITMIME"
    SIZE = "room for a message of this size"


@dataclass(frozen=True, slots=True)
class Withheld:
    """What we did not say, because the relay's EHLO already answered it."""

    lack: Lack
    cause: str


Answer = Reply | Lost | Withheld


@dataclass(frozen=True, slots=True)
class Relayed:
    """The relay took responsibility (RFC 5321 §6.1). SMTP never tells us more than that."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Failed:
    """The relay did not take it, and we know that it did not."""

    stage: Stage
    blame: Blame
    permanent: bool
    answer: Answer


@dataclass(frozen=True, slots=True)
class Unknown:
    """The final dot may have gone out and no answer came back: it may have been relayed."""

    cause: str


Outcome = Relayed | Failed | Unknown

_ABOUT_US = frozenset({421, 432, 530, 534, 535, 538})  # closing, too busy for us, or our login
_BLAME = {
    Stage.MAIL: Blame.SENDER,
    Stage.RCPT: Blame.RECIPIENT,
    Stage.DATA: Blame.MESSAGE,
    Stage.END_OF_DATA: Blame.MESSAGE,
}


def refusal(stage: Stage, answer: Answer) -> Failed | Unknown | None:
    """
    What a bad answer at this stage means by its class alone, or None if the answer is good.

    Only the final dot and DATA need a particular good answer: 250 and 354. A refusal about
    *us* (wrong password, TLS required) is never permanent: it rests the relay. Otherwise
    one expired secret would fail every message that is waiting. relays/classify.py knows
    more, from the text.
    """
    match answer:
        case Withheld():
            return _withheld(stage, answer)
        case Lost() if stage is Stage.END_OF_DATA:
            return Unknown(answer.cause)
        case Lost():
            return Failed(stage, Blame.RELAY, permanent=False, answer=answer)
        case Reply() if is_expected(stage, answer):
            return None
        case Reply(code=code) if code in _ABOUT_US or stage not in _BLAME or code < 400:
            return _about_the_relay(stage, answer)
        case Reply(code=552) if stage is Stage.RCPT:
            # RFC 5321 §4.5.3.1.10: older relays say 552 for "too many recipients".
            return Failed(stage, Blame.RECIPIENT, permanent=False, answer=answer)
    return Failed(stage, _BLAME[stage], permanent=not answer.is_transient, answer=answer)


def is_expected(stage: Stage, reply: Reply) -> bool:
    """DATA goes on with 3yz and everything else with 2yz (RFC 5321 §4.3.2)."""
    return reply.code // 100 == (3 if stage is Stage.DATA else 2)


def _about_the_relay(stage: Stage, reply: Reply) -> Failed | Unknown:
    if stage is Stage.END_OF_DATA and reply.code < 400:
        return Unknown(f"the relay answered the final dot with {reply.code}")
    return Failed(stage, Blame.RELAY, permanent=False, answer=reply)


def _withheld(stage: Stage, answer: Withheld) -> Failed:
    """A message the relay cannot carry fails at once; a missing STARTTLS is the relay's."""
    about_message = answer.lack in (Lack.SIZE, Lack.SMTPUTF8, Lack.EIGHT_BIT)
    blame = Blame.MESSAGE if about_message else Blame.RELAY
    return Failed(stage, blame, permanent=about_message, answer=answer)
