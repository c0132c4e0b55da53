"""oidc-provider as a mail provider's authorization server, in a process that a test can command."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.certificates import issue
from support.peers import NODE_PACKAGES, need_node_package
from support.web_form import post_form

MAILBOX = "app@pillarbox.test"
SCOPE = "https://mail.example/send"
SCOPES = ("openid", "email", "offline_access", SCOPE)

CLIENT = "pillarbox"
CLIENT_SECRET = "known to two"  # of a server that lives for one test
DEVICE_CLIENT = "pillarbox-device"
APP_CLIENT = "pillarbox-app"
SIGNING_CLIENT = "pillarbox-app-signing"
SERVICE_ACCOUNT = "robot@project.example"
_MAIL_SERVER = "mail-server"

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the server allows. Seconds are lifetimes of what it issues."""

    redirect_uris: tuple[str, ...] = ("http://127.0.0.1/callback",)
    access_seconds: int = 3600
    refresh_seconds: int = 86_400
    rotates: bool = True
    """Whether each refresh brings a new refresh token and ends the old one."""
    scopes: tuple[str, ...] = SCOPES
    tls: bool = False


@dataclass(frozen=True, slots=True)
class TokenCall:
    """One request to a token endpoint, and how it was answered."""

    grant: str | None
    client: str | None
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Issued:
    """What a consent leaves."""

    access_token: str
    refresh_token: str


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """
    A running server, with four clients: CLIENT and APP_CLIENT have CLIENT_SECRET, DEVICE_CLIENT
    has none, SIGNING_CLIENT signs with the key in `key_pem`, as SERVICE_ACCOUNT does.
    """

    issuer: str
    ca_pem: Path
    key_pem: Path
    desk_port: int

    @property
    def authorize_url(self) -> str:
        return f"{self.issuer}/auth"

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/token"

    @property
    def device_url(self) -> str:
        return f"{self.issuer}/device/auth"

    @property
    def assertion_url(self) -> str:
        """Takes what a service account signed (RFC 7523), for the mailbox it names as `sub`."""
        return f"{self.issuer}/service-account/token"

    @property
    def introspection_url(self) -> str:
        """With the name and password of the mail server, which may ask about every token."""
        scheme, _, rest = self.issuer.partition("://")
        return f"{scheme}://{_MAIL_SERVER}:{_MAIL_SERVER}@{rest}/token/introspection"

    def issue(self, account: str = MAILBOX, *, client: str = CLIENT) -> Issued:
        """Tokens as after a consent in the browser, without the browser."""
        return Issued(
            **self._wish("/issue", account=account, client=client, scope=" ".join(SCOPES))
        )

    def expire_access_tokens(self) -> int:
        """All end before their time; refresh tokens stay. How many there were."""
        return int(self._wish("/expire"))

    def revoke(self, account: str | None = None) -> int:
        """Everything ends that this account, or anybody, had allowed."""
        return int(self._wish("/revoke", account=account))

    def introspect(self, token: str) -> Any:
        """What a mail server is told about a token (RFC 7662 §2.2)."""
        return post_form(self.introspection_url, {"token": token}, ca=self.ca_pem)[1]

    def set_lifetimes(self, **seconds: int) -> None:
        """`access` and `refresh`, of what is issued from now on."""
        self._wish("/lifetimes", **seconds)

    def calls(self, grant: str | None = None) -> list[TokenCall]:
        """What the token endpoints were asked, of this grant type or of all, oldest first."""
        found = [TokenCall(**call) for call in self._wish("/calls")]
        return [call for call in found if grant in (None, call.grant)]

    def delay(self, seconds: float, *, times: int = 1) -> None:
        """The next answers of the token endpoint take longer."""
        self._wish("/trouble", delay=seconds, times=times)

    def hang(self, *, times: int = 1) -> None:
        """The next requests for a token get no answer at all."""
        self._wish("/trouble", hang=True, times=times)

    def answer_instead(
        self, status: int, body: Any, *, headers: Mapping[str, str] | None = None, times: int = 1
    ) -> None:
        """The next answers of the token endpoint. body is text, or becomes JSON."""
        self._wish("/trouble", status=status, body=body, headers=dict(headers or {}), times=times)

    def _wish(self, path: str, **wish: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.desk_port, timeout=10)
        try:
            connection.request("POST", path, json.dumps(wish))
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, text
            return json.loads(text or "null")
        finally:
            connection.close()


@contextmanager
def authorization_server(
    tmp_path: Path, options: Options | None = None
) -> Iterator[AuthorizationServer]:
    """Serve until the block ends. Needs Node.js and the packages of tests/peers."""
    node = need_node_package("oidc-provider")
    options = options or Options()
    folder = tmp_path / "authorization-server"
    folder.mkdir()
    certificates = issue(folder)
    key_pem = folder / "key.pem"
    jwk = _new_key(key_pem)
    wish = asdict(options) | {
        "app_client": APP_CLIENT,
        "app_mailbox": MAILBOX,
        "certificate": str(certificates.server_pem) if options.tls else None,
        "clients": _clients(options, jwk),
        "service_account": {"email": SERVICE_ACCOUNT, "jwk": jwk},
    }
    log = tmp_path / "authorization-server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [node, NODE_PACKAGES / "authorization_server.mjs", json.dumps(wish)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
        )
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            if not line:
                raise RuntimeError(log.read_text())
            told = json.loads(line)
            yield AuthorizationServer(told["issuer"], certificates.ca_pem, key_pem, told["desk"])
        finally:
            server.stdin.close()


def _clients(options: Options, jwk: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    scope = " ".join(options.scopes)
    secret = {"client_secret": CLIENT_SECRET}  # in the form or by Basic, as the client likes
    nowhere: dict[str, Any] = {"redirect_uris": [], "response_types": []}
    as_itself = nowhere | {"grant_types": ["client_credentials"], "scope": scope}
    return [
        secret
        | {
            "client_id": CLIENT,
            "redirect_uris": options.redirect_uris,
            "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": scope,
        },
        nowhere
        | {
            "client_id": DEVICE_CLIENT,
            "application_type": "native",
            "token_endpoint_auth_method": "none",
            "grant_types": [_DEVICE_GRANT, "refresh_token"],
            "scope": scope,
        },
        as_itself | secret | {"client_id": APP_CLIENT},
        as_itself
        | {
            "client_id": SIGNING_CLIENT,
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "RS256",
            "jwks": {"keys": [jwk]},
        },
        nowhere | {"client_id": _MAIL_SERVER, "client_secret": _MAIL_SERVER, "grant_types": []},
    ]


def _new_key(path: Path) -> Mapping[str, str]:
    """An RSA key as a PEM file, and its public half as a JWK (RFC 7517)."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public = key.public_key().public_numbers()
    return {"kty": "RSA", "alg": "RS256", "n": _number(public.n), "e": _number(public.e)}


def _number(value: int) -> str:
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
