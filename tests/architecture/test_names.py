"""Names are words of the field, and every module says what it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from support.source import ROOT, SRC, Module, listed, modules, project_files

VAGUE_IN_CLASSES = {"Manager", "Helper", "Helpers", "Util", "Utils", "Service", "Handler", "Base"}
VAGUE_MODULES = {"util", "utils", "helper", "helpers", "manager", "common", "misc", "service"}
VAGUE_NAMES = {"data", "info", "process"}

LEFTOVER = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")


def classes(module: Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))


def given_names(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Names we chose: functions, their parameters, variables."""
    for node in ast.walk(module.tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node, name
                given = (argument.arg for argument in node.args.args)
                # asyncio calls data_received(data), HTMLParser handle_data(data): not our choice.
                yield from ((node, one) for one in given if one not in name.split("_"))
            case ast.Name(id=name, ctx=ast.Store()):
                yield node, name


def test_classes_are_nouns_of_the_field() -> None:
    """Manager, Helper or Service says nothing about what a class is."""
    found = (
        f"{module.at(node)}: {node.name}. Name it for what it is."
        for module in modules()
        for node in classes(module)
        for word in re.findall(r"[A-Z][a-z]+", node.name)
        if word in VAGUE_IN_CLASSES and not (word == "Handler" and module.is_in("inlets.smtp"))
    )

    assert listed(found) == ""


def test_names_say_which() -> None:
    """Everything is data, and everything is processed: say which, and how."""
    found = (
        f"{module.at(node)}: {name}. Name it for what it holds or does."
        for module in modules()
        for node, name in given_names(module)
        if name.strip("_") in VAGUE_NAMES - field_terms(module) or name.startswith("do_")
    )

    assert listed(found) == ""


def field_terms(module: Module) -> set[str]:
    """DATA is a command of SMTP, and "data" what every list in our API is under."""
    terms_of = ("smtp", "inlets.http.schemas", "inlets.http.api")
    is_term = any(module.is_in(each) for each in terms_of)
    return {"data"} if is_term else set()


def test_modules_are_concepts() -> None:
    """A drawer for everything is where things get lost."""
    found = {
        str(path.relative_to(SRC)) for path in SRC.rglob("*") if path.stem.lower() in VAGUE_MODULES
    }

    assert found == set(), "name the module for its concept"


def test_every_module_begins_with_a_sentence() -> None:
    """Who opens a file is told in one line what it is."""
    found = (
        f"{module.at(module.tree)}: begin the module with a docstring, one sentence with a full"
        " stop, then a blank line before anything more."
        for module in modules()
        if not is_sentence(ast.get_docstring(module.tree))
    )

    assert listed(found) == ""


def is_sentence(docstring: str | None) -> bool:
    if not docstring:
        return False
    first = docstring.split("\n\n")[0].rstrip()
    return not first[0].islower() and first[-1] in ".:?"


def test_nothing_is_left_for_later() -> None:
    """What is not done is an issue, not a remark in the code."""
    found = (
        f"{path.relative_to(ROOT)}:{number}: finish it, or file an issue."
        for path in project_files()
        if path.suffix in {".py", ".mjs", ".js", ".sh", ".md", ".toml", ".html", ".css"}
        and "static" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if LEFTOVER.search(line)
    )

    assert listed(found) == ""
