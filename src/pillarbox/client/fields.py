"""What callers say, in the field names of the API; `from_` stands for `from`."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from pillarbox.base.errors import Invalid


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with a message. A content_id makes it an image inside the HTML."""

    filename: str
    content: bytes
    content_type: str | None = None
    content_id: str | None = None

    @classmethod
    def from_file(cls, path: Path | str) -> Attachment:
        """The file as it is now, its type from its name. Raises Invalid."""
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise Invalid(f"{path} cannot be read: {error.strerror}", field="attachments") from None
        return cls(path.name, content, mimetypes.guess_type(path.name)[0])

    def as_json(self) -> dict[str, str]:
        written = {
            "filename": self.filename,
            "content": base64.b64encode(self.content).decode(),
            "content_type": self.content_type,
            "content_id": self.content_id,
        }
        return {name: value for name, value in written.items() if value is not None}


Addresses = str | Sequence[str]


class MessageFields(TypedDict, total=False):
    """
    A message to send. Addresses are `ann@example.org` or `Ann <ann@example.org>`.

    attachments are Attachments, or paths of files. Times without a zone are refused.
    """

    from_: str
    to: Addresses
    cc: Addresses
    bcc: Addresses
    reply_to: Addresses
    subject: str
    text: str
    html: str
    attachments: Sequence[Attachment | Path | str]
    headers: Mapping[str, str]
    relay: str
    stream: str
    send_at: datetime | str
    expires_at: datetime | str
    tags: Sequence[str]
    metadata: Mapping[str, str]
    idempotency_key: str


def as_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as the API takes them. What is None is left out of a message."""
    return {
        name.removesuffix("_"): _written(name, value)
        for name, value in given.items()
        if value is not None
    }


def settings_as_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a relay as the API takes them. None is said: it means the default."""
    return {name.removesuffix("_"): value for name, value in given.items()}


def _written(name: str, value: Any) -> Any:
    match value:
        case datetime() if value.tzinfo is None:
            raise Invalid("this time needs a zone, for example UTC", field=name)
        case datetime():
            return value.isoformat()
        case list() | tuple() if name == "attachments":
            return [_attachment(each).as_json() for each in value]
        case tuple():
            return list(value)
    return value


def _attachment(given: Attachment | Path | str) -> Attachment:
    return given if isinstance(given, Attachment) else Attachment.from_file(given)
