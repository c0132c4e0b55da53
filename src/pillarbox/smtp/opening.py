"""
The conversation before the first message: greeting, EHLO, STARTTLS, AUTH. No sockets here.

A dialogue is a generator. It yields steps, is sent what came back, and returns what became
of it. Sessions drive it over a wire; tests drive it with a list.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from pillarbox.mail.outcome import (
    Answer,
    Blame,
    Failed,
    Lack,
    Loss,
    Lost,
    Stage,
    Unknown,
    Withheld,
    refusal,
)
from pillarbox.mail.reply import Reply
from pillarbox.smtp import sasl
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.command import MAX_COMMAND, command
from pillarbox.smtp.endpoint import Credentials, Mechanism
from pillarbox.smtp.steps import Dialogue, HangUp, Hear, Note, Say, Upgrade

_NO_EHLO = frozenset({500, 501, 502, 504, 550})  # RFC 5321 §3.2: then HELO is worth a try
_CONTINUE = 334  # RFC 4954 §4


@dataclass(frozen=True, slots=True)
class Peer:
    """The relay as OAUTHBEARER wants it named, and a number used once for SCRAM."""

    host: str
    port: int
    nonce: str


def greet(ehlo_name: str) -> Dialogue[Capabilities | Failed]:
    """Wait to be greeted, then introduce ourselves (RFC 5321 §3.1 and §3.2)."""
    answer = yield Hear(Stage.GREETING)
    if refused := _refusal(Stage.GREETING, _not_smtp(answer)):
        return refused
    return (yield from hello(ehlo_name))


def hello(ehlo_name: str) -> Dialogue[Capabilities | Failed]:
    """EHLO, and HELO for a relay that does not know EHLO. After TLS nothing said before counts."""
    answer = yield Say(Stage.EHLO, command(f"EHLO {ehlo_name}"))
    if isinstance(answer, Reply) and answer.code in _NO_EHLO:
        answer = yield Say(Stage.EHLO, command(f"HELO {ehlo_name}"))
        return _refusal(Stage.EHLO, answer) or Capabilities()
    return _refusal(Stage.EHLO, answer) or Capabilities.parse(answer)


def secure(capabilities: Capabilities) -> Dialogue[Failed | None]:
    """STARTTLS or nothing (RFC 3207 §4): without it not another word is said."""
    if not capabilities.starttls:
        withheld = Withheld(
            Lack.STARTTLS, "the relay does not offer STARTTLS, so nothing was sent to it"
        )
        return _refusal(Stage.STARTTLS, withheld)
    answer = yield Say(Stage.STARTTLS, command("STARTTLS"))
    if refused := _refusal(Stage.STARTTLS, answer):
        return refused
    lost = yield Upgrade()
    return _refusal(Stage.TLS, lost) if lost else None


def authenticate(
    credentials: Credentials, capabilities: Capabilities, peer: Peer
) -> Dialogue[Mechanism | Failed]:
    """One mechanism, once (RFC 4954 §4). Trying them in turn is how passwords get locked."""
    mechanism = sasl.choose(credentials, capabilities.mechanisms)
    if mechanism is None:
        return _no_mechanism(credentials, capabilities)
    exchange = sasl.begin(mechanism, credentials, host=peer.host, port=peer.port, nonce=peer.nonce)
    try:
        answer = yield from _exchange(mechanism, exchange)
    except sasl.Unproven as fault:
        yield HangUp(str(fault))
        return _failed(Stage.AUTH, Lost(Loss.UNPROVEN, str(fault)))
    return _refusal(Stage.AUTH, answer) or mechanism


def _exchange(mechanism: Mechanism, exchange: sasl.Exchange) -> Dialogue[Answer]:
    """Carry responses and challenges, in base64, until the relay says yes or no."""
    initial = next(exchange)
    answer: Answer
    line = f"AUTH {mechanism.value}"
    if initial is not None and len(line) + len(_encoded(initial)) + 3 <= MAX_COMMAND:
        text = f"{line} {_encoded(initial)}"
        answer = yield Say(Stage.AUTH, command(text), f"{line} (secret)")
        initial = None
    else:
        answer = yield Say(Stage.AUTH, command(line))
    while isinstance(answer, Reply) and answer.code == _CONTINUE:
        challenge = _decoded(answer)
        if mechanism in (Mechanism.XOAUTH2, Mechanism.OAUTHBEARER) and challenge:
            yield Note(Stage.AUTH, _token_error(challenge))
        response = initial if initial is not None else _respond(exchange, challenge)
        initial = None
        encoded = base64.b64encode(response) + b"\r\n"
        answer = yield Say(Stage.AUTH, encoded, "(secret)" if response else "")
    if isinstance(answer, Reply) and answer.code // 100 == 2:
        _finish(exchange)
    return answer


def _respond(exchange: sasl.Exchange, challenge: bytes) -> bytes:
    try:
        response = exchange.send(challenge)
    except StopIteration:  # pragma: no cover - every mechanism ends by itself only on None
        response = None
    if response is None:
        raise sasl.Unproven("the relay asked for more than the mechanism has to say")
    return response


def _finish(exchange: sasl.Exchange) -> None:
    """Tell the mechanism that the relay said yes; it may know better."""
    try:
        exchange.send(None)
    except StopIteration:
        return
    raise sasl.Unproven("the relay let us in before the exchange was over")


def _encoded(response: bytes) -> str:
    """RFC 4954 §4: an initial response that is empty is written `=`."""
    return base64.b64encode(response).decode() or "="


def _decoded(reply: Reply) -> bytes:
    try:
        return base64.b64decode(reply.lines[0] if reply.lines else "", validate=True)
    except (binascii.Error, ValueError):
        # Some relays say "334 Username:" in the clear. The words never matter, so they pass.
        return reply.lines[0].encode()


def _token_error(challenge: bytes) -> str:
    """RFC 7628 §3.2.2: status and scope may be kept, anything else might quote the token."""
    try:
        error = json.loads(challenge)
    except ValueError:
        return "the relay refused the token without saying why"
    if not isinstance(error, dict):
        return "the relay refused the token without saying why"
    kept = (f"{key} {str(error[key])[:80]}" for key in ("status", "scope") if key in error)
    return "the relay refused the token: " + ", ".join(kept)


def _no_mechanism(credentials: Credentials, capabilities: Capabilities) -> Failed:
    if not capabilities.mechanisms:
        cause = "the relay does not offer AUTH on this connection"
        return _failed(Stage.AUTH, Withheld(Lack.AUTH, cause))
    kind = "an access token" if credentials.is_token else "a password"
    wanted = credentials.mechanism.value if credentials.mechanism else f"anything for {kind}"
    offered = ", ".join(capabilities.mechanisms)
    cause = f"the relay offers {offered}; we may not use {wanted}"
    if not credentials.mechanism:
        cause = f"the relay offers {offered}, and none of them takes {kind}"
    return _failed(Stage.AUTH, Withheld(Lack.MECHANISM, cause))


def _not_smtp(answer: Answer) -> Answer:
    """What cannot be read as a greeting did not come from an SMTP server."""
    if isinstance(answer, Lost) and answer.loss is Loss.MALFORMED_REPLY:
        return Lost(Loss.NOT_SMTP, f"this is not an SMTP server: {answer.cause}")
    return answer


def _refusal(stage: Stage, answer: Answer) -> Failed | None:
    refused = refusal(stage, answer)
    assert not isinstance(refused, Unknown)  # only the final dot ever is
    return refused


def _failed(stage: Stage, answer: Answer) -> Failed:
    return Failed(stage, Blame.RELAY, permanent=False, answer=answer)
