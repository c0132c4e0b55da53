"""What the reference says where the code does not say it itself."""

from __future__ import annotations

RELAY_FIELDS = {
    "name": "What people and scripts call it. At most 100 characters, and no two are the same.",
    "kind": "`smtp` is a server; `sandbox` keeps mail to look at and sends nothing; `pickup` "
    "writes each message as a file.",
    "default": "`true`: mail that names no relay goes here. Another relay takes it over the same "
    "way; it is never set to `false`.",
    "inherits": "Another relay, whose word counts, live, for every field that is not said of this "
    "one. Its secrets count only while this one goes where they were typed for. Null ends it and "
    "keeps the values.",
    "preset": "A provider from the table below. Host, port, TLS mode, sign-in and limits follow "
    "from it; what is typed wins.",
    "host": "The server's name or IP address, without scheme and port.",
    "port": "The server's port. Left out, it follows from `tls`, and `tls` from it.",
    "tls": "`implicit` speaks TLS from the first octet; `starttls` begins in the clear and "
    "requires the change before anything is said; `none` is for this machine.",
    "auth": "`none`, `password` or `oauth2`. A user name or a password makes it `password` by "
    "itself, a client id `oauth2`.",
    "username": "Who we are there.",
    "mechanism": "The one SASL mechanism to use. Left out: the strongest one that is offered.",
    "from": "Whom mail is from when it does not say: `Name <a@b.example>`.",
    "reply_to": "Where answers go when a message does not say.",
    "headers": "Header fields for every message, an object of names and values.",
    "reverse_path": "The address in MAIL FROM, which failures are returned to. Left out: "
    "the sender's.",
    "senders": "Who may be in From: addresses, domains, `*.example.org`. Left out: everybody.",
    "other_senders": "What happens to mail from others: `refuse`, or `rewrite`, which sends it "
    "from `from` with answers to its author.",
    "bcc": "Addresses that get a copy of everything, for an archive.",
    "recipients": "Who may get mail: addresses, domains, `*.example.org`. Left out: everybody. "
    "Mail for others is refused, or goes to `redirect_to`.",
    "redirect_to": "The address that gets what is for others than `recipients`; without those, "
    "everything. For staging.",
    "max_octets": "The largest message that it takes, composed, in octets.",
    "authorities": "Certificates of the authorities to believe, in PEM. Left out: the system's.",
    "pin": "SHA-256 of the server's certificate. With a pin neither chain, name nor dates count.",
    "server_name": "The name that the certificate must have, when it is not the host.",
    "minimum_tls": "The lowest TLS version that we agree to: `1.2` or `1.3`.",
    "client_certificate": "Our own certificate, in PEM, for servers that ask for one; then whoever "
    "issued it.",
    "ehlo_name": "What we introduce ourselves as. Left out: the host of `PILLARBOX_BASE_URL`, "
    "else `localhost`.",
    "local_address": "The address of this machine to connect from.",
    "proxy_kind": "`http` (CONNECT) or `socks5`: what stands between us and the server.",
    "proxy_host": "The proxy's name or address.",
    "proxy_port": "The proxy's port.",
    "proxy_username": "Who we are at the proxy.",
    "connect_timeout_seconds": "How long a connection may take.",
    "greeting_timeout_seconds": "How long the server may take to greet us.",
    "command_timeout_seconds": "How long an answer to a command may take.",
    "final_timeout_seconds": "How long the answer to the final dot may take.",
    "max_connections": "How many sessions at once.",
    "messages_per_minute": "How many messages may begin in any minute. Left out: no limit.",
    "messages_per_connection": "After how many messages a session is closed.",
    "connection_age_seconds": "After how long a session is closed.",
    "directory": "`pickup` only: the folder, as a whole path.",
    "password": "A secret: it goes in and never comes out.",
    "proxy_password": "A secret: the one of `proxy_username`.",
    "client_key": "A secret: the key of `client_certificate`, in PEM.",
    "client_key_passphrase": "Opens `client_key` as it comes in; it is not kept.",
    "provider": "`oauth2`: who gives the tokens, `google`, `microsoft`, `microsoft-china` or "
    "`custom`. Follows from the preset.",
    "grant": "How tokens come: a person signs in (`authorization_code`, `device_code`), pastes "
    "a `refresh_token`, or the application has the right itself (`client_credentials`, "
    "`jwt_bearer`).",
    "client_id": "The application at the provider; of a Google service account, its address.",
    "client_authentication": "How the client proves itself. Left out: as the provider has it, "
    "`private_key_jwt` with a `signing_certificate`.",
    "client_secret_expires_on": "The day that the provider shows beside the secret. You are "
    "warned 30 days before.",
    "tenant_id": "Microsoft: the directory id of the organisation.",
    "authorize_url": "`custom`: where people sign in. https, or http to this machine.",
    "token_url": "`custom`: where tokens come from.",
    "device_url": "`custom`: where device codes come from (RFC 8628).",
    "revocation_url": "`custom`: where a token is taken back (RFC 7009).",
    "issuer": "`custom`: who the answer must come from (RFC 9207).",
    "scopes": "What to ask for, with spaces. Left out: what the provider wants for mail.",
    "authorize_parameters": "Further parameters of the address that people sign in at.",
    "subject": "`jwt_bearer`: the mailbox that a service account acts for. Left out: `username`.",
    "key_id": "The id of `signing_key` at the provider (`kid`).",
    "signing_certificate": "The certificate of `signing_key`, in PEM, where the provider finds "
    "the key by it (Microsoft).",
    "client_secret": "A secret: the application's own.",
    "signing_key": "A secret: the private key that signs for the client, in PEM.",
}
"""One sentence for each thing that a relay can be told. A field without one stops the check."""

SHAPES = {
    "port": "whole number, 1 to 65535",
    "proxy_port": "whole number, 1 to 65535",
    "headers": "object",
    "from": "mailbox",
    "reply_to": "mailbox",
    "reverse_path": "address",
    "redirect_to": "address",
    "senders": "list",
    "bcc": "list",
    "recipients": "list",
    "minimum_tls": "`1.2` · `1.3`",
    "host": "host",
    "proxy_host": "host",
    "server_name": "host",
    "authorities": "PEM",
    "signing_certificate": "PEM",
    "authorize_parameters": "object",
    "authorize_url": "URL",
    "token_url": "URL",
    "device_url": "URL",
    "revocation_url": "URL",
    "issuer": "URL",
    "client_secret_expires_on": "day",
    "client_certificate": "PEM",
}
"""What a person types, where the reader does not say it itself."""

EXITS = {
    "DONE": "It was done.",
    "NOT_WELL": "The thing asked about is not well: a relay, a message, the installation.",
    "USAGE": "The command line cannot be read.",
    "REFUSED": "It was refused; sending it again changes nothing.",
    "UNAVAILABLE": "It cannot be done now; the same command may work later.",
    "INTERRUPTED": "Ctrl-C.",
}
