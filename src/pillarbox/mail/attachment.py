"""A file that travels with a message."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pillarbox.base.errors import Invalid
from pillarbox.mail import words
from pillarbox.mail.content import Content

MAX_FILENAME = 255  # characters
MAX_TYPE = 127  # characters, RFC 6838 §4.2
MAX_CONTENT_ID = 255  # characters

_NAME = r"[A-Za-z0-9!#$%&'*+.^_`{|}~\-]+"  # RFC 2045 §5.1
_TYPE = re.compile(rf'{_NAME}/{_NAME}(?:;[ ]?charset="?{_NAME}"?)?')
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+./=?^_`{|}~@\-]+")
_SEPARATORS = re.compile(r"[/\\]")
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # makes "gpj.exe" look like "exe.jpg"

MESSAGE = "message/rfc822"


@dataclass(frozen=True, slots=True)
class Attachment:
    """
    A name, a media type and the octets. With a content id, HTML may show it as `cid:…`.

    The type may carry a charset, nothing else. A whole message (message/rfc822) must not be
    put into base64 (RFC 2046 §5.2.1), so it is taken as it stands when it is plain ASCII with
    CRLF, and refused otherwise; the other message and multipart types are refused.
    """

    filename: str
    content_type: str
    content: bytes
    content_id: str | None = None

    def __post_init__(self) -> None:
        """Raises Invalid with the field that is wrong."""
        if fault := _name_fault(self.filename):
            raise Invalid(fault, field="filename")
        if len(self.content_type) > MAX_TYPE or not _TYPE.fullmatch(self.content_type):
            raise Invalid("a content type looks like image/png", field="content_type")
        if self.media_type.startswith(("message/", "multipart/")):
            _check_message(self.media_type, self.content)
        if self.content_id is not None and not (
            len(self.content_id) <= MAX_CONTENT_ID and _CONTENT_ID.fullmatch(self.content_id)
        ):
            raise Invalid(
                "a content id is ASCII letters, digits and punctuation, without angle brackets",
                field="content_id",
            )

    @property
    def media_type(self) -> str:
        """The type in lower case, without its charset."""
        return self.content_type.partition(";")[0].lower()

    @property
    def charset(self) -> str | None:
        """The charset, if the type names one."""
        return self.content_type.partition("charset=")[2].strip('"') or None


def _name_fault(filename: str) -> str | None:
    if not filename.strip(" .\t"):
        return "an attachment needs a file name"
    if len(filename) > MAX_FILENAME:
        return f"a file name is at most {MAX_FILENAME} characters long"
    if words.UNSAFE.search(filename) or "\t" in filename or _REORDERING.search(filename):
        return "a file name must not contain control characters or line ends"
    if _SEPARATORS.search(filename):
        return "a file name must not contain / or \\"
    return None


def _check_message(media_type: str, content: bytes) -> None:
    advice = "attach it as application/octet-stream instead"
    if media_type != MESSAGE:
        raise Invalid(
            f"an attachment of type {media_type} is not taken: {advice}", field="content_type"
        )
    if not content.isascii():
        raise Invalid(
            f"an attached message must be ASCII throughout: {advice}", field="content_type"
        )
    try:
        Content.pass_gate(content)
    except Invalid as fault:
        raise Invalid(
            f"the attached message cannot travel: {fault}; {advice}", field="content"
        ) from None
