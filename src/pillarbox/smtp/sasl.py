"""
SASL mechanisms as conversations (RFC 4422 §3), and the only place where the wire's secrets open.

A mechanism is a generator. It yields responses, is sent the relay's challenges, and is sent
None when the relay says that we are in; then it returns, or raises Unproven.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stringprep
import unicodedata
from collections.abc import Generator

from pillarbox.smtp.endpoint import Credentials, Mechanism, Proxy, Trust

Exchange = Generator[bytes | None, bytes | None, None]
"""Yields None where the relay must speak first."""

# Over verified TLS a password is safe from the wire, so what counts is what the relay keeps:
# CRAM-MD5 makes it keep the password in the clear, which is worse than seeing it in passing.
_FOR_PASSWORDS = (Mechanism.SCRAM_SHA_256, Mechanism.PLAIN, Mechanism.LOGIN, Mechanism.CRAM_MD5)

# Both carry the same bearer token. XOAUTH2 is the one that Google and Microsoft document for
# SMTP, so where both are offered it is the one that has been tried.
_FOR_TOKENS = (Mechanism.XOAUTH2, Mechanism.OAUTHBEARER)

MIN_ITERATIONS = 4_096  # RFC 7677 §4
MAX_ITERATIONS = 500_000  # a hostile relay must not keep us computing; about 0.2 s


class Unproven(Exception):
    """The relay's side of the exchange is wrong, or proves that it is not the one we know."""


def choose(credentials: Credentials, offered: tuple[str, ...]) -> Mechanism | None:
    """The mechanism to use: the one asked for or the best that fits, if the relay offers it."""
    fitting = _FOR_TOKENS if credentials.is_token else _FOR_PASSWORDS
    wanted = (credentials.mechanism,) if credentials.mechanism else fitting
    return next((mechanism for mechanism in wanted if mechanism.value in offered), None)


def begin(
    mechanism: Mechanism, credentials: Credentials, *, host: str, port: int, nonce: str
) -> Exchange:
    """A fresh exchange. nonce is printable ASCII without commas, never used before."""
    username, secret = credentials.username, credentials.secret.reveal()
    match mechanism:
        case Mechanism.PLAIN:
            return _plain(username, secret)
        case Mechanism.LOGIN:
            return _login(username, secret)
        case Mechanism.CRAM_MD5:
            return _cram_md5(username, secret)
        case Mechanism.SCRAM_SHA_256:
            return _scram_sha_256(username, secret, nonce)
        case Mechanism.XOAUTH2:
            return _xoauth2(username, secret)
        case Mechanism.OAUTHBEARER:
            return _oauthbearer(username, secret, host, port)


def proxy_login(proxy: Proxy) -> tuple[str, str] | None:
    """User name and password for the proxy, which base/dial.py takes as text."""
    if proxy.username is None:
        return None
    return proxy.username, proxy.password.reveal() if proxy.password else ""


def private_key(trust: Trust) -> str:
    """The PEM text of the client's key, which ssl can only read from a file."""
    return trust.client_key.reveal() if trust.client_key else ""


def _plain(username: str, password: str) -> Exchange:
    """RFC 4616 §2."""
    if "\0" in username + password:
        raise Unproven("PLAIN cannot carry a NUL character")
    _end((yield f"\0{username}\0{password}".encode()))


def _login(username: str, password: str) -> Exchange:
    """Never standardised; the prompts are ignored because every server words them differently."""
    _challenge((yield None))
    _challenge((yield username.encode()))
    _end((yield password.encode()))


def _cram_md5(username: str, password: str) -> Exchange:
    """RFC 2195 §2."""
    challenge = _challenge((yield None))
    digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
    _end((yield f"{username} {digest}".encode()))


def _xoauth2(username: str, token: str) -> Exchange:
    """Google's protocol: after a failure the relay waits for an empty answer, then says 535."""
    failure = yield f"user={username}\1auth=Bearer {token}\1\1".encode()
    if failure is not None:
        _end((yield b""))
        raise Unproven("the relay reported an error and then let us in")


def _oauthbearer(username: str, token: str, host: str, port: int) -> Exchange:
    """RFC 7628 §3.1; after a failure the relay waits for one control-A (§3.2.3)."""
    start = f"n,a={_saslname(username)},"
    failure = yield f"{start}\1host={host}\1port={port}\1auth=Bearer {token}\1\1".encode()
    if failure is not None:
        _end((yield b"\1"))
        raise Unproven("the relay reported an error and then let us in")


def _scram_sha_256(username: str, password: str, nonce: str) -> Exchange:
    """RFC 5802 §3 with SHA-256 (RFC 7677). The relay proves that it knows the password too."""
    first_bare = f"n={_saslname(_prepared(username))},r={nonce}"
    server_first = _challenge((yield f"n,,{first_bare}".encode()))
    facts = _attributes(server_first)
    salt, iterations = _salt(facts), _iterations(facts)
    if not facts["r"].startswith(nonce) or facts["r"] == nonce:
        raise Unproven("the relay's SCRAM nonce does not continue ours")

    without_proof = f"c=biws,r={facts['r']}"
    signed = f"{first_bare},{server_first.decode()},{without_proof}".encode()
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password).encode(), salt, iterations)
    client_key = _mac(salted, b"Client Key")
    signature = _mac(hashlib.sha256(client_key).digest(), signed)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    final = f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    verdict = _attributes(_challenge((yield final)))
    expected = base64.b64encode(_mac(_mac(salted, b"Server Key"), signed)).decode()
    if not hmac.compare_digest(verdict.get("v", "").encode(), expected.encode()):
        raise Unproven("the relay does not know the password: its SCRAM signature is wrong")
    _end((yield b""))


def _challenge(challenge: bytes | None) -> bytes:
    if challenge is None:
        raise Unproven("the relay let us in before the exchange was over")
    return challenge


def _end(challenge: bytes | None) -> None:
    if challenge is not None:
        raise Unproven("the relay asked for more than the mechanism has to say")


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _attributes(message: bytes) -> dict[str, str]:
    """`r=…,s=…,i=…`; RFC 5802 §5.1: an `m=` extension is one that we must not ignore."""
    if not message.isascii():
        raise Unproven("the relay's SCRAM message is not ASCII")
    pairs = (part.partition("=") for part in message.decode().split(","))
    attributes = {name: value for name, _, value in pairs}
    if "m" in attributes:
        raise Unproven("the relay's SCRAM message has an extension that we do not know")
    return attributes


def _salt(facts: dict[str, str]) -> bytes:
    if not {"r", "s", "i"} <= facts.keys():
        raise Unproven("the relay's SCRAM message lacks nonce, salt or iteration count")
    try:
        return base64.b64decode(facts["s"], validate=True)
    except binascii.Error:
        raise Unproven("the relay's SCRAM salt is not base64") from None


def _iterations(facts: dict[str, str]) -> int:
    text = facts["i"]
    iterations = int(text) if text.isdigit() and len(text) < 10 else 0
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise Unproven(
            f"the relay asks for {text[:20]} SCRAM iterations;"
            f" between {MIN_ITERATIONS} and {MAX_ITERATIONS} are reasonable"
        )
    return iterations


def _saslname(text: str) -> str:
    """RFC 5802 §5.1: the two characters that would end an attribute."""
    return text.replace("=", "=3D").replace(",", "=2C")


def _prepared(text: str) -> str:
    """SASLprep, RFC 4013 §2.1 and §2.2; what it forbids could not have been typed at the relay."""
    if text.isascii():
        return text
    spaced = ("" if stringprep.in_table_b1(c) else c for c in text)
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in spaced)
    return unicodedata.normalize("NFKC", mapped)
