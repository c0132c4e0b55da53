"""
Write docs/reference, and tables of other pages, from the code: what they say is what it does.

    python scripts/reference.py            write the pages
    python scripts/reference.py --check    end with 1 when one is not what would be written
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import inspect
import io
import pkgutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import blocking
import guides
import pillarbox
from markdown_tables import code, table
from pillarbox.app import open_app
from pillarbox.base import config
from pillarbox.base.config import Config
from pillarbox.base.errors import PillarboxError
from pillarbox.cli import exits
from pillarbox.cli.main import COMMANDS, help_page, main, parser
from pillarbox.inlets.http import problems
from pillarbox.inlets.http.figures import FIGURES
from pillarbox.inlets.http.openapi import describe
from pillarbox.inlets.http.reading.fields import Partly
from pillarbox.journal.events import Event, catalogue
from pillarbox.relays import presets
from pillarbox.relays.catalogue import Entry, entries
from pillarbox.relays.change import PASSPHRASE
from pillarbox.relays.fields import READERS
from pillarbox.relays.relay import RelaySettings, Slot, attribute
from reference_words import EXITS, RELAY_FIELDS, SHAPES

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/reference"
MEASURED = (
    "diagnose-captures.md",  # tests/journeys/test_broken_setups.py
    "performance.md",  # python -m bench
    "reliability.md",  # scripts/faults.py
    "reply-matrix.md",
)
"""Pages that are written by what they tell of."""
MADE = "\nMade by `make docs` from {source}. Change that and run it again.\n"

Json = dict[str, Any]


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "configuration.md": configuration(),
        "errors.md": errors(),
        "events.md": events(),
        "http.md": http(),
        "cli.md": command_line(),
        "metrics.md": metrics(),
        "relays.md": relays(),
        "advice.md": advice(),
    }


def configuration() -> str:
    defaults = Config()
    derived = {
        "database_url": defaults.database,
        "secret_key_file": str(defaults.key_file),
        "base_url": defaults.public_url,
    }
    rows = []
    for field, (variable, sentence) in zip(
        dataclasses.fields(Config), config.names().items(), strict=True
    ):
        default = derived.get(field.name, getattr(defaults, field.name))
        shown = code(default) if default not in ((), None) else "–"
        rows.append((code(variable), code(field.name), shown, sentence))
    return page(
        "Configuration",
        "`src/pillarbox/base/config.py`",
        "What must be known before the database can be opened. Everything else is a setting in "
        "it: see [relays](relays.md).",
        "An environment variable wins over a key of the TOML file that `--config FILE` names, and "
        "that wins over the default. A key that pillarbox does not know stops the start and names "
        "the nearest one.",
        table(("Variable", "TOML key", "Default", "What it is"), rows),
        "In TOML every value is text in quotes; networks may be a list:",
        '```toml\nhome = "/var/lib/pillarbox"\nhttp = "127.0.0.1:8425"\n'
        'base_url = "https://mail.example.org"\nlog = "json"\n```',
        "`PILLARBOX_SMTP` and `PILLARBOX_ALLOW_NETWORKS` are read and checked, and nothing uses "
        "them yet: there is no SMTP inlet and there are no tenants.",
    )


def errors() -> str:
    kinds = sorted(
        (kind for kind in subclasses(PillarboxError) if exit_of(kind) and kind is not Partly),
        key=lambda kind: (kind.code, kind.__name__),
    )
    rows = [
        (code(kind.code), code(kind.__name__), status_of(kind), exit_of(kind), sentence(kind))
        for kind in kinds
    ]
    plain = [
        (code(word), status, problems._PLAIN_DETAILS.get(status, "A fault of ours; see our log."))
        for status, word in problems._PLAIN_CODES.items()
    ]
    outs = [(each.value, code(each.name.lower()), EXITS[each.name]) for each in exits.Exit]
    return page(
        "Errors",
        "`src/pillarbox/base/errors.py` and everything that extends it",
        "Over HTTP an error is `application/problem+json` (RFC 9457) with a stable `code` to "
        "switch on; `detail` is for people; `errors` names every field that is wrong. The command "
        "line says the same on stderr and ends with the code below. In Python each is an "
        "exception.",
        "A failed delivery is not an error. It is a state of the message, with the server's "
        "answer and [advice](advice.md).",
        table(("Code", "Raised as", "HTTP", "Exit", "What it means"), rows),
        "## What HTTP itself has a word for",
        table(("Code", "HTTP", "What it means"), plain),
        "## Exit codes",
        table(("Exit", "Name", "When"), outs),
    )


def subclasses(kind: type[PillarboxError]) -> Iterator[type[PillarboxError]]:
    """All of them, wherever they are defined."""
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def status_of(kind: type[PillarboxError]) -> str:
    found = [problems.STATUS[each][0] for each in kind.__mro__ if each in problems.STATUS]
    in_client = kind.__module__.startswith(("pillarbox.client", "pillarbox.base.http"))
    return "–" if in_client or not found else str(found[0])


def exit_of(kind: type[PillarboxError]) -> str:
    found = [exits._EXITS[each] for each in kind.__mro__ if each in exits._EXITS]
    return str(found[0].value) if found else ""


def events() -> str:
    common = ", ".join(code(field.name) for field in dataclasses.fields(Event))
    rows = [
        (code(name), sentence(kind), facts(kind) or "–")
        for name, kind in sorted(catalogue().items())
    ]
    return page(
        "Events",
        "`src/pillarbox/journal/events.py`",
        "Everything that happens is written to the journal in the transaction that makes it true. "
        "`GET /v1/events` reads it from a cursor; a message shows its own.",
        f"Each event may say {common}. Its own fields are its `facts`.",
        table(("Event", "What happened", "Facts"), rows),
    )


def facts(kind: type[Event]) -> str:
    shared = {field.name for field in dataclasses.fields(Event)}
    own = (field.name for field in dataclasses.fields(kind) if field.name not in shared)
    return ", ".join(map(code, own))


async def description() -> Json:
    """The published OpenAPI document, of a program with an empty home."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_app(Config(home=Path(folder)), deliver=False) as app:
            return describe(app.asgi)


def http() -> str:
    described = asyncio.run(description())
    operations = [
        (method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    rows = [
        (
            f"`{method.upper()} {path}`",
            first(operation.get("description", "")),
            ", ".join(sorted(operation["responses"])),
        )
        for method, path, operation in operations
    ]
    sections = [parameters(*each) for each in operations if asked(each[2])]
    message = described["components"]["schemas"]["MessageRequest"]["properties"]
    fields = [(code(name), each["description"]) for name, each in message.items()]
    return page(
        "HTTP",
        "the OpenAPI document",
        "The whole description is OpenAPI 3.1 at `/v1/openapi.json`. Requests to `/v1/…` carry "
        "`Authorization: Bearer pb_…`. Refusals have the codes of [errors](errors.md).",
        "`GET /metrics` answers in Prometheus' text format: without a key to this machine, with "
        "one to others. `/v1/openapi.json` and `/docs`, the same for people, need no key.",
        table(("Request", "What it does", "Answers"), rows),
        "## Fields of a message",
        "For `POST /v1/messages`. All may be left out but one recipient and one of `text`, `html` "
        "and `attachments`; null is the same as left out. An unknown field is refused.",
        table(("Field", "What it is"), fields),
        "## Parameters",
        *sections,
    )


def asked(operation: Json) -> list[Json]:
    """What may be said beside the path and the body."""
    return [each for each in operation.get("parameters", ()) if each["in"] != "path"]


def parameters(method: str, path: str, operation: Json) -> str:
    named = [
        (code(each["name"]), each["in"], each.get("description") or how_many(each["schema"]))
        for each in asked(operation)
    ]
    return f"`{method.upper()} {path}`\n\n{table(('Parameter', 'In', 'What it is'), named)}"


def how_many(schema: Json) -> str:
    return f"{schema['minimum']} to {schema['maximum']}; left out: {schema['default']}."


def command_line() -> str:
    sections = [f"```text\n{help_page()}\n```"]
    for name in COMMANDS:
        sections.append(f"## pillarbox {name}\n\n{help_of(name)}")
        inner = [each for each in parser()[name] if not each.startswith("-")]
        sections += [f"### pillarbox {name} {each}\n\n{help_of(name, each)}" for each in inner]
    return page("Command line", "`src/pillarbox/cli/`", *sections)


def help_of(*command: str) -> str:
    """What `--help` prints for it."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main([*command, "--help"])
    return f"```text\n{out.getvalue().strip()}\n```"


def metrics() -> str:
    rows = [
        (
            code(each.name + ("_total" if each.kind == "counter" else "")),
            each.kind,
            ", ".join(map(code, each.labels)) or "–",
            each.about + ".",
        )
        for each in FIGURES
    ]
    return page(
        "Metrics",
        "`src/pillarbox/inlets/http/figures.py`",
        "`GET /metrics` in Prometheus' text format. Counters begin with the process. What waits "
        "is counted every few seconds at most, so a scrape costs the same however long the queue.",
        "`relay` is the name of a relay, or the id of one that was removed. Beside these there "
        "are Prometheus' own figures of the process: `process_resident_memory_bytes`, "
        "`process_cpu_seconds_total`, `process_open_fds` and so on.",
        table(("Metric", "Kind", "Labels", "What it is"), rows),
    )


def relays() -> str:
    known = ["name", *READERS, *Slot, PASSPHRASE, "inherits", "default"]
    unsaid = set(known) ^ RELAY_FIELDS.keys()
    if unsaid:
        raise SystemExit(f"scripts/reference_words.py: see to {', '.join(sorted(unsaid))}")
    rows = [(code(name), type_of(name), default_of(name), RELAY_FIELDS[name]) for name in known]
    return page(
        "Relays",
        "`src/pillarbox/relays/fields.py`, `relay.py` and `presets.toml`",
        "What a relay can be told, by the names that JSON, Python (`from_` for `from`) and "
        "`--set FIELD=VALUE` use. A field that is left out stays as it is; null, or nothing after "
        "the equals sign, goes back to the default.",
        "A secret is bound to where it goes. When host, port, TLS mode, trust, user name or proxy "
        "change, it must be given again.",
        table(("Field", "Type", "Default", "What it is"), rows),
        "## Presets",
        "What providers' own pages state. `login` is what the provider expects as the user name: "
        "`address` is the whole mail address, `given` is what the provider shows with the secret, "
        "`fixed` is the word in brackets, `nobody` means that nobody signs in.",
        table(
            ("Preset", "Name", "Host", "Port", "TLS", "Login", "Limits"),
            map(preset_row, presets.every()),
        ),
    )


def type_of(name: str) -> str:
    if name in Slot.__members__.values():
        return "secret"
    if name in ("name", "inherits", "default"):
        return "true" if name == "default" else "text"
    if name == PASSPHRASE:
        return "secret"
    reader = READERS[name]
    enclosed = inspect.getclosurevars(reader).nonlocals
    if "by_word" in enclosed:
        return " · ".join(code(each.value) for each in enclosed["by_word"].values())
    if "least" in enclosed:
        kind = "whole number" if reader.__qualname__.startswith("whole") else "seconds"
        return f"{kind}, {enclosed['least']} to {enclosed['most']}"
    return SHAPES.get(name, "text")


def default_of(name: str) -> str:
    field = RelaySettings.__dataclass_fields__.get(attribute(name))
    if name in ("port", "tls", "auth"):
        return "follows"
    if field is None or field.default in (None, "", ()):
        return "–"
    return code(getattr(field.default, "value", field.default))


def preset_row(preset: presets.Preset) -> tuple[object, ...]:
    login = preset.login.value
    if preset.username:
        login += f" (`{preset.username}`)"
    others = "".join(f", {port} {tls.value}" for port, tls in preset.alternatives)
    tls = f"{preset.tls.value}{others}"
    limits = preset.limits or "–"
    return code(preset.id), preset.name, code(preset.host), preset.port, tls, login, limits


def advice() -> str:
    rows = [
        (code(entry["id"]), when(entry), entry.get("kind", "–"), entry["cause"], entry["fix"])
        for entry in entries()
    ]
    return page(
        "Advice",
        "`src/pillarbox/relays/replies.toml`",
        "What servers answer, why, and what to do. A delivery, an attempt, a step of a diagnosis "
        "and a relay that rests name one of these as `advice` (`advice_id` in a diagnosis). "
        "`{host}`, `{port}` and `{tls}` are those of the relay.",
        "Kinds: `account` and `setup` stop the relay until a person has acted; `pace` halves its "
        "sessions; `quota` rests it for a while; `later` is tried again; `sender`, `recipient`, "
        "`message` and `reputation` are about the mail. The others follow the class of the reply.",
        table(("Id", "When", "Kind", "Cause", "What to do"), rows),
    )


def when(entry: Entry) -> str:
    """The conditions of an entry, in the order in which a reader asks."""
    said = [f"{label} {joined(entry[name])}" for name, label in CONDITIONS if name in entry]
    if entry.get("mute"):
        said.append("names no error")
    if "permanent_code" in entry:
        said.append("a 5yz" if entry["permanent_code"] else "a 4yz")
    if "text" in entry:
        said.append(f"says {code(entry['text'])}")
    return "; ".join(said) or "anything else"


CONDITIONS = (
    ("providers", "from"),
    ("stages", "at"),
    ("codes", "code"),
    ("status", "status"),
    ("losses", "lost:"),
    ("http", "HTTP"),
    ("fault", "no token:"),
    ("error", "error"),
    ("lacks", "without"),
    ("ports", "port"),
    ("tls", "with tls"),
)


def joined(values: object) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) else str(values)


def page(title: str, source: str, *sections: str) -> str:
    body = "\n\n".join(section.strip() for section in sections)
    return f"# {title}\n{MADE.format(source=source)}\n{body}\n"


def first(text: str) -> str:
    """The first paragraph."""
    return text.split("\n\n")[0]


def sentence(kind: type) -> str:
    return first(inspect.getdoc(kind) or "")


def load_everything() -> None:
    """Errors are defined all over the program; a class that is not imported is not found."""
    for module in pkgutil.walk_packages(pillarbox.__path__, "pillarbox."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def run(*, check: bool) -> int:
    load_everything()
    made = pages()
    if not check:
        PAGES.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (PAGES / name).write_text(text)
        for guide, text in guides.pages().items():
            guide.write_text(text)
        return blocking.main()
    stale = [name for name, text in made.items() if not is_same(PAGES / name, text)]
    known = {*made, *MEASURED}
    stale += sorted(each.name for each in PAGES.glob("*.md") if each.name not in known)
    stale = [f"docs/reference/{name}" for name in stale]
    stale += [str(each) for each, text in guides.pages().items() if not is_same(each, text)]
    for name in stale:
        print(f"{name} is out of date: run `make docs`", file=sys.stderr)
    return 1 if blocking.main() or stale else 0


def is_same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(run(check="--check" in sys.argv[1:]))
