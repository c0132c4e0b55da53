"""The message everybody carries: 5,252 octets of text and HTML, to one recipient."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

SENDER = "shop@sender.example"
RECIPIENT = "ann@recipient.example"
SUBJECT = "Your order is on its way"
OCTETS = 5252

_LINE = "The parcel left our house this morning and will be with you soon.\n"
TEXT = _LINE * 18
_PARAGRAPH = f"<p>{_LINE.strip()}</p>\n"


def _composed(html: str) -> bytes:
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = SENDER, RECIPIENT, SUBJECT
    message["Date"] = "Fri, 20 Nov 2026 12:00:00 +0000"
    message["Message-ID"] = "<1@sender.example>"
    message.set_content(TEXT)
    message.add_alternative(html, subtype="html")
    message.set_boundary("=_part")
    return message.as_bytes()


def _padded() -> str:
    """As many paragraphs as fit, then what is missing in dots."""
    html = "<!doctype html>\n"
    while len(_composed(html + _PARAGRAPH)) <= OCTETS - 80:
        html += _PARAGRAPH
    missing = OCTETS - len(_composed(html)) - len("\r\n")
    return f"{html}{'.' * (missing // 2 - 1)}\n{'.' * (missing - missing // 2 - 1)}\n"


HTML = _padded()
CONTENT = _composed(HTML)
