"""`pillarbox send`: hand over a message, and follow it if asked to."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pillarbox.cli.exits import Exit, Usage
from pillarbox.cli.options import NOTHING, Everywhere, Home, ask, group, print_json

if TYPE_CHECKING:
    from pillarbox.client.answers import Message
    from pillarbox.client.client import Pillarbox

app = group("send", "Send a message.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Envelope:
    """Who it is from, and for."""

    to: Annotated[tuple[str, ...], Parameter(metavar="ADDRESS")] = ()
    """For whom; as often as needed."""

    cc: Annotated[tuple[str, ...], Parameter(metavar="ADDRESS")] = ()
    """Further recipients, shown to all."""

    bcc: Annotated[tuple[str, ...], Parameter(metavar="ADDRESS")] = ()
    """Further recipients, shown to nobody."""

    from_: Annotated[str | None, Parameter(name="--from", metavar="ADDRESS")] = None
    """Whom it is from: 'Name <a@b.example>'. Without it, the relay's own."""

    reply_to: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
    """Where answers go."""

    def fields(self) -> dict[str, Any]:
        return {
            "to": list(self.to) or None,
            "cc": list(self.cc) or None,
            "bcc": list(self.bcc) or None,
            "from_": self.from_,
            "reply_to": self.reply_to,
        }


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Letter:
    """What it says."""

    subject: str | None = None
    """The subject."""

    text: str | None = None
    """The body as plain text."""

    text_file: Annotated[str | None, Parameter(metavar="FILE", allow_leading_hyphen=True)] = None
    """The body as plain text, from a file; - is standard input."""

    html: str | None = None
    """The body as HTML."""

    attach: Annotated[tuple[Path, ...], Parameter(metavar="FILE")] = ()
    """A file to send with it; as often as needed."""

    header: Annotated[tuple[str, ...], Parameter(metavar="'NAME: VALUE'")] = ()
    """A further header field; as often as needed."""

    def fields(self) -> dict[str, Any]:
        """Raises Usage."""
        if self.text is not None and self.text_file is not None:
            raise Usage("use one of --text and --text-file")
        return {
            "subject": self.subject,
            "text": _read(self.text_file) if self.text_file else self.text,
            "html": self.html,
            "attachments": self.attach or None,
            "headers": dict(_header(each) for each in self.header) or None,
        }


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Handling:
    """How it is carried."""

    relay: str | None = None
    """By which relay. Without it, by the default one."""

    stream: str | None = None
    """transactional, code or bulk: how long and how often it is tried."""

    send_at: Annotated[str | None, Parameter(metavar="TIME")] = None
    """Not before this moment: 2026-11-20T17:30:00+01:00."""

    idempotency_key: Annotated[str | None, Parameter(metavar="KEY")] = None
    """Your name for this message. Sending it again sends no second one."""

    wait: bool = False
    """Follow it to its end. Ends with 1 when no relay took it."""

    def fields(self) -> dict[str, Any]:
        return {
            "relay": self.relay,
            "stream": self.stream,
            "send_at": self.send_at,
            "idempotency_key": self.idempotency_key,
        }


_ENVELOPE, _LETTER, _HANDLING = Envelope(), Letter(), Handling()


@app.default
def send(
    *,
    envelope: Envelope = _ENVELOPE,
    letter: Letter = _LETTER,
    handling: Handling = _HANDLING,
    everywhere: Everywhere = NOTHING,
) -> Exit:
    """Send a message. It is on disk when the command ends, and is not lost.

    pillarbox send --to ann@example.org --subject Hello --text 'Hello, Ann.'
    """
    fields = envelope.fields() | letter.fields() | handling.fields()
    given = {name: value for name, value in fields.items() if value is not None}

    async def work(box: Pillarbox) -> Message:
        message = await box.messages.send(given)
        if handling.wait:
            return await _follow(box, message, everywhere)
        if not everywhere.json:
            _show_receipt(message, box, everywhere)
        return message

    message = ask(everywhere, work, deliver=handling.wait, home=Home.MADE)
    if everywhere.json:
        print_json(message.json)
    return Exit.NOT_WELL if handling.wait and not message.is_relayed else Exit.DONE


def _show_receipt(message: Message, box: Pillarbox, everywhere: Everywhere) -> None:
    state = "scheduled" if message.state == "scheduled" else "queued"
    print(f"{message.id}  {state}, {_count(message)}, by {message.relay}")
    if box.server_url is None:
        home = everywhere.load().home
        print(f"\nNo server is running on {home}. It is on disk; `pillarbox serve` carries it.")
    else:
        print(f"\nWhat becomes of it: pillarbox message show {message.id}")


def _count(message: Message) -> str:
    count = len(message.deliveries)
    return f"{count} recipient{'s' * (count != 1)}"


async def _follow(box: Pillarbox, message: Message, everywhere: Everywhere) -> Message:
    """Each attempt as it happens, for people; the end of it for machines."""
    from pillarbox.cli.terminal import console
    from pillarbox.cli.watch import Watch

    out = None if everywhere.json else console()
    if out is not None:
        out.print(f"{message.id}  accepted, {_count(message)}, by {message.relay}")
    return await Watch(box, out).follow(message)


def _read(name: str) -> str:
    """A file, or standard input. Raises Usage."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text()
    except OSError as error:
        raise Usage(f"--text-file {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Usage(f"--text-file {name}: this is not text in UTF-8") from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise Usage(f"--header {text}: write it as 'Name: value'")
    return name.strip(), value.strip()
