"""
Conversations between us and a relay, as text files: what is said is what is tested.

    # Why this conversation is here.
    to: ann bob                         settings: recipients (at example.test), and more below
    S: 220 relay.test ESMTP             what the relay says
    C: EHLO me.test                     what it must hear; `C: (content)` is the whole content
    .                                   the relay hangs up
    = ann relayed 250                   what becomes of each recipient of the last message
    = bob failed rcpt recipient permanent 550
    = opening failed auth relay transient 535

Settings: from, to, content (plain, dots, 8bit, utf8, big), credentials (password, token),
mechanism, nonce, messages (how many), behind (yes: each begins with the end of the one
before), lease (lost), dsn (full), note (text of the transcript).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pillarbox.base.secret import Secret
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import Failed, Lost, Outcome, Relayed, Unknown, Withheld
from pillarbox.smtp.endpoint import Credentials, Mechanism

FOLDER = Path(__file__).parent.parent / "dialogues"
EHLO_NAME = "me.test"
NONCE = "rOprNGfwEbeRWgbNEkqO"  # RFC 7677 §3

CONTENTS = {
    "plain": b"Subject: hi\r\n\r\nhello\r\n",
    "dots": b"Subject: hi\r\n\r\n.\r\n.hidden\r\n..twice\r\n",
    "8bit": "Subject: hi\r\n\r\nhallö\r\n".encode(),
    "utf8": "Subject: hallö\r\n\r\nhello\r\n".encode(),
    "big": b"Subject: hi\r\n\r\n" + b"0123456789abcde\r\n" * 8_000,
}


@dataclass(frozen=True, slots=True)
class Conversation:
    """One file, read. steps are ("S" or "C", line) pairs and (".", "")."""

    settings: dict[str, str]
    steps: tuple[tuple[str, str], ...]
    expected: dict[str, str]
    why: str = field(default="")

    @property
    def content(self) -> Content:
        return Content.pass_gate(CONTENTS[self.settings.get("content", "plain")])

    @property
    def envelope(self) -> Envelope:
        sender = self.settings.get("from", "me")
        recipients = self.settings.get("to", "ann").split()
        return Envelope(
            None if sender == "<>" else address(sender), tuple(map(address, recipients))
        )

    @property
    def credentials(self) -> Credentials | None:
        kind = self.settings.get("credentials")
        if kind is None:
            return None
        mechanism = self.settings.get("mechanism")
        return Credentials(
            username="user",
            secret=Secret("pencil" if kind == "password" else "ya29.token"),
            is_token=kind == "token",
            mechanism=Mechanism(mechanism) if mechanism else None,
        )

    @property
    def messages(self) -> int:
        return int(self.settings.get("messages", "1"))

    @property
    def is_hurried(self) -> bool:
        """Whether each message begins behind the dot of the one before."""
        return self.settings.get("behind") == "yes"

    @property
    def keeps_lease(self) -> bool:
        return self.settings.get("lease") != "lost"


def address(name: str) -> Address:
    return Address.parse(name if "@" in name else f"{name}@example.test")


def read(path: Path) -> Conversation:
    """Raises ValueError for a line that means nothing."""
    settings: dict[str, str] = {}
    steps: list[tuple[str, str]] = []
    expected: dict[str, str] = {}
    why: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            why.append(line[1:].strip())
        elif line.startswith(("S: ", "C: ")) or line in ("S:", "C:"):
            steps.append((line[0], line[3:]))
        elif line == ".":
            steps.append((".", ""))
        elif line.startswith("= "):
            who, what = line[2:].split(" ", 1)
            expected[who] = what
        elif ": " in line:
            key, value = line.split(": ", 1)
            settings[key] = value
        elif line.strip():
            raise ValueError(f"{path.name}: {line}")
    content = CONTENTS[settings.get("content", "plain")]
    uses_bdat = any(line.startswith("BDAT") for kind, line in steps if kind == "C")
    expanded = _expanded(steps, content, stuffed=not uses_bdat)
    return Conversation(settings, expanded, expected, " ".join(why))


def _expanded(
    steps: list[tuple[str, str]], content: bytes, *, stuffed: bool
) -> tuple[tuple[str, str], ...]:
    lines = content.decode().split("\r\n")[:-1]
    if stuffed:
        lines = ["." + line if line.startswith(".") else line for line in lines]
    whole = [("C", line) for line in lines]
    result: list[tuple[str, str]] = []
    for step in steps:
        result += whole if step == ("C", "(content)") else [step]
    return tuple(result)


def in_words(outcome: Outcome) -> str:
    """An outcome as the files write it."""
    match outcome:
        case Relayed(reply=reply):
            return f"relayed {reply.code}"
        case Unknown():
            return "unknown"
        case Failed(stage=stage, blame=blame, permanent=permanent, answer=answer):
            word = "permanent" if permanent else "transient"
            who = blame.name.lower()
            step = stage.value.replace(" ", "-")
            return f"failed {step} {who} {word} {_answer_in_words(answer)}"


def _answer_in_words(answer: object) -> str:
    match answer:
        case Lost(loss=loss):
            return loss.name.lower()
        case Withheld(lack=lack):
            return lack.name.lower()
    return str(answer).split(" ", 1)[0]


def every() -> list[Path]:
    return sorted(FOLDER.glob("*.txt"))
