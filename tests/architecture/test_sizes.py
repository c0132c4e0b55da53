"""Nothing outgrows what a reader can hold at once."""

from __future__ import annotations

import ast

from support.source import functions, listed, modules, snippet

FILE_LINES = 400
FUNCTION_LINES = 50
PARAMETERS = 5
NESTING = 3

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def test_no_file_outgrows_one_sitting() -> None:
    """A longer file holds two concepts."""
    found = (
        f"{module.at(module.tree)}: {lines} lines, of at most {FILE_LINES}. Split it by concept."
        for module in modules()
        if not module.is_in("client.blocking")  # generated: nobody reads or writes it
        if (lines := module.text.count("\n")) > FILE_LINES
    )

    assert listed(found) == ""


def test_no_function_outgrows_a_screen() -> None:
    """A longer function is on more than one level of abstraction."""
    found = (
        f"{module.at(function)}: {function.name} has {lines} lines, of at most {FUNCTION_LINES}."
        " Give its steps names."
        for module in modules()
        if not module.is_in("base.db.migrations")  # a list of columns, never changed again
        for function in functions(module)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    )

    assert listed(found) == ""


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return sum(argument.arg not in {"self", "cls"} for argument in named)


def test_a_sixth_parameter_is_a_missing_noun() -> None:
    """What travels together is a value with a name."""
    found = (
        f"{module.at(function)}: {function.name} takes {count} parameters, of at most"
        f" {PARAMETERS}. Put those that belong together in a dataclass."
        for module in modules()
        for function in functions(module)
        if (count := parameters(function)) > PARAMETERS
    )

    assert listed(found) == ""


def depth(node: ast.AST) -> int:
    """How deep blocks stand in blocks below this node. An `elif` is as deep as its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            continue
        is_elif = isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)
        opens = isinstance(child, _BLOCKS) and not is_elif
        deepest = max(deepest, depth(child) + opens)
    return deepest


def test_nothing_is_nested_deeply() -> None:
    """Leave early, or give the inner block a name."""
    found = (
        f"{module.at(function)}: {function.name} nests {levels} blocks, of at most {NESTING}."
        for module in modules()
        for function in functions(module)
        if (levels := depth(function)) > NESTING
    )

    assert listed(found) == ""


def test_sizes_are_counted_as_a_reader_counts() -> None:
    """Without self; an elif is no deeper than its if; an inner function begins anew."""
    text = """
def f(self, a, /, b, *, c):
    if a:
        pass
    elif b:
        pass
    else:
        for x in c:
            def g():
                with x:
                    pass
"""
    [outer, _] = functions(snippet("queue.claim", text))

    assert parameters(outer) == 3
    assert depth(outer) == 2
