"""The project's own files, as the architecture tests read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "pillarbox"


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file of the program: `queue.claim`, where it is, its text and its tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The unit of layering: a top-level package, or one of the inlets."""
        parts = self.name.split(".")
        return ".".join(parts[:2]) if parts[0] == "inlets" else parts[0]

    def is_in(self, keeper: str) -> bool:
        """Whether this is that module, or in that package."""
        return f"{self.name}.".startswith(f"{keeper}.")

    def at(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


@cache
def modules() -> tuple[Module, ...]:
    """Every module that holds code: all but the `__init__.py` files."""
    paths = sorted(path for path in SRC.rglob("*.py") if path.name != "__init__.py")
    return tuple(map(_module, paths))


def _module(path: Path) -> Module:
    name = ".".join(path.relative_to(SRC).with_suffix("").parts)
    text = path.read_text()
    return Module(name, path, text, ast.parse(text, path))


def snippet(name: str, text: str) -> Module:
    """A module that is in no file, to see whether a check sees what it looks for."""
    return Module(name, SRC / f"{name.replace('.', '/')}.py", text, ast.parse(text))


def imports(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """Every dotted name imported, wherever in the file. A relative one keeps its dots."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node, alias.name) for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                prefix = "." * level + (f"{source}." if source else "")
                yield from ((node, f"{prefix}{alias.name}") for alias in names)


def attributes(module: Module) -> Iterator[tuple[ast.Attribute, str]]:
    """Every attribute read, as written: `datetime.now`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            yield node, ast.unparse(node)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@cache
def project_files() -> tuple[Path, ...]:
    """What is, or is about to be, committed: every file that .gitignore does not name."""
    ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split())]
    return tuple(sorted(_walk(ROOT, ignored)))


def _walk(folder: Path, ignored: list[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if any(fnmatch(path.name, pattern) for pattern in ignored):
            continue
        if path.is_dir():
            yield from _walk(path, ignored)
        else:
            yield path


def listed(findings: Iterator[str]) -> str:
    """All findings, one a line. Empty when there are none: tests assert that."""
    return "\n".join(findings)
