"""Rules about what is defined in code: its names, and whether anything uses it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from tests.tidy.dialect import replacement
from tests.tidy.source import Source, Violation

SHIPPED: Final = frozenset({"src", "tools", "benchmarks", "engine"})
"""Areas whose names others read."""
EVENT: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
LOG_METHODS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
LOGGERS: Final = frozenset({"log", "_log", "logger", "_logger"})
PLAIN_DECORATORS: Final = frozenset(
    {
        *(
            "property",
            "cached_property",
            "setter",
            "staticmethod",
            "classmethod",
            "abstractmethod",
            "override",
        ),
        *("lru_cache", "cache", "contextmanager", "asynccontextmanager", "dataclass", "unique", "final"),
    }
)
"""Decorators that hand a function to nobody; what has any other is used by whoever decorates it."""


class Definition(msgspec.Struct, frozen=True):
    """A name that a module gives to something of its own."""

    name: str
    line: int
    end_line: int
    kind: str


def dialect(source: Source) -> Iterator[Violation]:
    """A name with a word that only we understand."""
    if source.area not in SHIPPED:
        return
    module = source.path.removesuffix(".py").rpartition("/")[2]
    for name, line in ((module, 1), *_named(source)):
        refused = replacement(name)
        if refused is not None:
            old, say = refused
            yield source.wrong(
                "dialect", line, f"{name}: for {old!r} the field says {say} (docs/glossary.md)"
            )


def _named(source: Source) -> Iterator[tuple[str, int]]:
    """Names that are given here: of functions, classes, parameters, variables and attributes."""
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def log_events(source: Source) -> Iterator[Violation]:
    """A log event that nobody can filter by.

    It is a constant in snake_case, and what varies stands in fields.
    """
    if source.area != "src":
        return
    for node in source.nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        receiver = node.func.value
        logger = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
        if node.func.attr == "log" and logger in LOGGERS:
            event = node.args[1] if len(node.args) > 1 else None
        elif node.func.attr in LOG_METHODS and logger in LOGGERS:
            event = node.args[0]
        else:
            continue
        text = event.value if isinstance(event, ast.Constant) else None
        if not isinstance(text, str) or not EVENT.fullmatch(text):
            yield source.wrong(
                "log-event",
                node.lineno,
                f"{ast.unparse(event) if event else 'no event'}: name the event in snake_case, and its values as fields",
            )


def unused_definitions(sources: Iterable[Source], templates: Iterable[str] = ()) -> Iterator[Violation]:
    """Functions, classes, methods and constants of the product that nothing but tests uses.

    A name is used where it is read, in the product, its tools or its benchmarks, outside of what it names.
    Names are compared without types: one that is also the name of something else counts as used.

    Args:
        sources: Of all areas.
        templates: Texts whose words are names that they use, as those of pages.
    """
    shipped = [s for s in sources if s.is_python and (s.area in SHIPPED or not s.area)]
    used: dict[str, list[tuple[str, int]]] = {}
    for source in shipped:
        for name, line in _read(source):
            used.setdefault(name, []).append((source.path, line))
    template_words = {word for text in templates for word in re.findall(r"\w+", text)}
    for source in shipped:
        for one in _definitions(source.tree) if source.area == "src" else ():
            places = used.get(one.name, ())
            is_used = any(
                path != source.path or not one.line <= line <= one.end_line for path, line in places
            )
            if not is_used and one.name not in template_words:
                yield source.wrong(
                    "unused-definition",
                    one.line,
                    f"the {one.kind} {one.name} is used by nothing but tests: wire it in or remove it",
                )


def _read(source: Source) -> Iterator[tuple[str, int]]:
    for node in source.nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias) and node.asname is not None:
            yield node.name, node.lineno
        elif isinstance(node, ast.MatchClass):
            yield from ((name, node.lineno) for name in node.kwd_attrs)


def _definitions(tree: ast.Module) -> Iterator[Definition]:
    """What a module defines for others: at its top, and in its classes."""
    scopes: list[ast.Module | ast.ClassDef] = [tree]
    while scopes:
        scope = scopes.pop()
        for node in scope.body:
            if isinstance(node, ast.ClassDef):
                scopes.append(node)
                if not _is_handed_on(node):
                    yield Definition(node.name, node.lineno, node.end_lineno or node.lineno, "class")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if not _is_handed_on(node) and not re.fullmatch(r"__\w+__", node.name):
                    kind = "method" if isinstance(scope, ast.ClassDef) else "function"
                    yield Definition(node.name, node.lineno, node.end_lineno or node.lineno, kind)
            elif isinstance(scope, ast.Module):
                yield from (
                    Definition(name, node.lineno, node.end_lineno or node.lineno, "constant")
                    for name in _assigned(node)
                    if not re.fullmatch(r"__\w+__", name)
                )


def _assigned(node: ast.stmt) -> Iterator[str]:
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    for target in targets:
        yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def _is_handed_on(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a decorator registers it somewhere, as a command with its application."""
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
        if name not in PLAIN_DECORATORS:
            return True
    return False


def repeated_classes(sources: Iterable[Source]) -> Iterator[Violation]:
    """Public classes of the product that have the name of another one."""
    homes: dict[str, str] = {}
    for source in sources:
        for node in source.tree.body if source.is_python and source.area == "src" else ():
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                other = homes.setdefault(node.name, source.path)
                if other != source.path:
                    yield source.wrong(
                        "class-name",
                        node.lineno,
                        f"{node.name} is also a class of {other}: give them names that tell them apart",
                    )


NAME_RULES: Final = (dialect, log_events)
