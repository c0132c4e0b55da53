"""Who we are at an authorization server, and how we get tokens there. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pillarbox.base.dial import Policy
from pillarbox.base.secret import Secret


class Grant(Enum):
    """How an access token comes about."""

    AUTHORIZATION_CODE = "authorization_code"  # RFC 6749 §4.1, always with PKCE (RFC 7636)
    DEVICE_CODE = "device_code"  # RFC 8628, where there is no browser
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name; somebody pastes a token they have
    CLIENT_CREDENTIALS = "client_credentials"  # RFC 6749 §4.4, for the application itself
    JWT_BEARER = "jwt_bearer"  # RFC 7523 §2.1: Google's service accounts

    @property
    def is_app_only(self) -> bool:
        """Nobody is asked: the application has the right by itself."""
        return self in (Grant.CLIENT_CREDENTIALS, Grant.JWT_BEARER)


class Authentication(Enum):
    """How a client proves at the token endpoint that it is itself, by registered names."""

    BASIC = "client_secret_basic"  # RFC 6749 §2.3.1
    POST = "client_secret_post"
    KEY = "private_key_jwt"  # RFC 7523 §2.2
    NONE = "none"  # a public client: PKCE or the device code has to do

    @property
    def needs_secret(self) -> bool:
        return self in (Authentication.BASIC, Authentication.POST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """
    Everything that asking for tokens takes.

    scopes are separated by spaces. subject is the mailbox that a service account acts for.
    signing_certificate is PEM text; its thumbprint is how Microsoft finds the key. policy
    says which addresses besides public ones may be reached.
    """

    provider: str
    grant: Grant
    client_id: str
    token_url: str
    authentication: Authentication = Authentication.NONE
    client_secret: Secret | None = None
    signing_key: Secret | None = None  # PEM, unencrypted
    signing_certificate: str | None = None
    key_id: str | None = None
    authorize_url: str | None = None
    device_url: str | None = None
    revocation_url: str | None = None
    issuer: str | None = None
    scopes: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    subject: str | None = None
    login_hint: str | None = None
    unused_days: int | None = None
    policy: Policy = field(default_factory=lambda: Policy(allow_private=True))
