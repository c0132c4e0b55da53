"""Settings from files and from `--set FIELD=VALUE`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pillarbox.cli.exits import Usage

_KEY = frozenset({"client_key", "client_key_passphrase", "signing_key"})
_FROM_FILES = frozenset({"authorities", "client_certificate", "signing_certificate"}) | _KEY
_SECRETS = frozenset({"password", "proxy_password", "client_secret"}) | _KEY
_NOT_HERE = "use --password-stdin, --password-env NAME or --client-secret-env NAME"


def read_import(file: str, format_: str) -> dict[str, Any]:
    """The settings in a file, with the name that an export gives them. Raises Usage."""
    try:
        text = Path(file).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Usage(f"{file} cannot be read: {reason}") from None
    if format_ == "url":
        return {"settings": text.strip()}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Usage(f"{file} is not JSON: {error}") from None
    if format_ != "pillarbox" or not isinstance(found, dict) or "settings" not in found:
        return {"settings": found}
    return {name: found[name] for name in ("settings", "name") if name in found}


def read_setting(text: str) -> tuple[str, str | None]:
    """Name and value of `field=value`; None for nothing. Raises Usage."""
    name, equals, value = (each.strip() for each in text.partition("="))
    if not equals or not name:
        raise Usage(f"--set {text}: write it as field=value")
    if name in _FROM_FILES and value.startswith("@"):
        return name, _read(name, value[1:])
    if name in _SECRETS and not value.startswith(("env:", "file:")):
        instead = f"write --set {name}=@FILE" if name in _FROM_FILES else _NOT_HERE
        raise Usage(
            f"--set {name}=…: a secret on the command line can be read by others; {instead}"
        )
    if name in _FROM_FILES and "\n" not in value and Path(value).is_file():
        raise Usage(f"--set {name}={value}: this is a file; write --set {name}=@{value}")
    return name, value or None


def _read(name: str, file: str) -> str:
    try:
        text = Path(file).expanduser().read_text()
        return text.rstrip("\r\n") if name == "client_key_passphrase" else text
    except OSError as error:
        raise Usage(f"--set {name}=@{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Usage(f"--set {name}=@{file}: this is not PEM (-----BEGIN …)") from None
