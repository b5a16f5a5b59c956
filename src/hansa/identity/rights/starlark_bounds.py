"""What a policy in Starlark may not contain, because nothing bounds it while it runs.

The interpreter asks for its deadline once in a thousand instructions, and bounds no memory. So one
instruction whose result is far larger than the entity that it looks at, which others write, could take all
memory at once. Such instructions are refused when the file is loaded:

    a * b, a << b, a % b, a ** b     repetition and formatting of texts, large numbers
    a + b, a += b                    within a loop, unless one of them is a short constant
    range(n)                         unless its bounds are constants up to `RANGE_MAX`
    a.join(b), a.replace(b, c), a.format(b), a.extend(b)
                                     unless all but b (of `extend`: b) are constants
    a = [a, b], a = str(a), a.append(a)
                                     within a loop: what a loop makes of itself doubles each time
    lambda, and functions that call themselves, also by way of others
    range, getattr and these methods under another name
                                     since nobody could tell what is called

What is made of itself by way of another name is not seen: these bounds are for mistakes, since it is the
operator who writes policies. What else is left takes time and memory that are a small multiple of the size
of an entity, which is bounded as well (`ENTITY_MAX_BYTES`). Starlark is read as Python here, of which its
syntax is a part.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

ENTITY_MAX_BYTES: Final = 262_144
"""Of an entity that a policy is asked about; of a larger one it refuses."""
RANGE_MAX: Final = 10_000
TEXT_MAX_CHARS: Final = 256
_OPERATORS: Final[Mapping[type[ast.operator], str]] = {
    ast.Mult: "*",
    ast.LShift: "<<",
    ast.Mod: "%",
    ast.Pow: "**",
}
_BOUNDED_METHODS: Final = frozenset({"join", "format", "replace", "extend"})
_SHRINKING: Final = frozenset(
    {"all", "any", "bool", "getattr", "hasattr", "int", "len", "max", "min", "type"}
)
"""What is no larger than what it is called with."""
_APPENDING: Final = frozenset({"append", "insert", "setdefault", "update"})
_LOOPS: Final = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def unbounded(text: str) -> str | None:
    """What of a policy cannot be bounded, as a sentence with its line; None: all can be.

    Raises:
        SyntaxError: It is not Starlark.
    """
    tree = ast.parse(text)
    functions = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
    for name, function in functions.items():
        if _reaches(name, function, functions):
            return f"line {function.lineno}: {name} calls itself"
    called = {id(one.func) for one in ast.walk(tree) if isinstance(one, ast.Call)}
    in_loop = {id(below) for loop in _loops(tree, functions) for below in ast.walk(loop)}
    for node in ast.walk(tree):
        problem = _problem(node, is_repeated=id(node) in in_loop)
        if problem is None and id(node) not in called:
            problem = _alias(node)
        if problem is None and id(node) in in_loop:
            problem = _doubling(node)
        if problem is not None:
            return f"line {getattr(node, 'lineno', 1)}: {problem}"
    return None


def _problem(node: ast.AST, *, is_repeated: bool) -> str | None:
    match node:
        case ast.Lambda():
            return "lambda is not allowed"
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS:
            return f"{_OPERATORS[type(op)]} is not allowed"
        case ast.BinOp(left=left, op=ast.Add(), right=right) if is_repeated:
            return None if _is_short(left) or _is_short(right) else "+ in a loop takes a short constant"
        case ast.AugAssign(op=ast.Add(), value=value) if is_repeated:
            return None if _is_short(value) else "+= in a loop takes a short constant"
        case ast.Call():
            return _call(node)
    return None


def _call(node: ast.Call) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id="range"), args=args):
            if all(map(_is_small, args)):
                return None
            return f"range takes constants up to {RANGE_MAX:,}"
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str() as name), *_]):
            return f"{name} is called by its own name" if name in _BOUNDED_METHODS else None
        case ast.Call(func=ast.Name(id="getattr")):
            return "getattr takes a constant name"
        case ast.Call(func=ast.Attribute(value=value, attr=("join" | "format") as name)):
            return None if _is_short(value) else f"{name} takes a short constant before it"
        case ast.Call(func=ast.Attribute(attr=("replace" | "extend") as name), args=args):
            return None if args and all(map(_is_short, args)) else f"{name} takes short constants"
    return None


def _doubling(node: ast.AST) -> str | None:
    """What is wrong with something in a loop that is made of itself, as far as one statement shows it."""
    match node:
        case ast.Assign(targets=targets, value=value):
            assigned = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
            if any(assigned & _contents(one) for one in ast.walk(value)):
                return "in a loop, nothing is made of itself"
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute), args=args):
            if attribute in _APPENDING and any(name in _named(one) for one in args):
                return f"in a loop, {attribute} puts nothing into itself"
    return None


def _contents(node: ast.AST) -> set[str]:
    """The names in something that may be larger than they are, or deeper."""
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in _SHRINKING:
            return set()
        case ast.Call(args=args, keywords=keywords):
            return {name for one in (*args, *keywords) for name in _named(one)}
        case ast.ListComp(elt=ast.Name(id=name), generators=[ast.comprehension(target=ast.Name(id=item))]):
            return set() if name == item else _named(node)
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Set() | ast.ListComp() | ast.DictComp():
            return _named(node)
    return set()


def _alias(node: ast.AST) -> str | None:
    """What is wrong with something that is not called where it is named."""
    match node:
        case ast.Name(id=("range" | "getattr") as name):
            return f"{name} is called by its own name"
        case ast.Attribute(attr=name) if name in _BOUNDED_METHODS:
            return f"{name} is called where it is named"
    return None


def _loops(tree: ast.AST, functions: Mapping[str, ast.FunctionDef]) -> Iterator[ast.AST]:
    """All loops, and the functions that are called within them, at whatever depth."""
    todo: list[ast.AST] = [one for one in ast.walk(tree) if isinstance(one, _LOOPS)]
    seen: set[str] = set()
    while todo:
        current = todo.pop()
        yield current
        for name in _named(current) & functions.keys():
            if name not in seen:
                seen.add(name)
                todo.append(functions[name])


def _reaches(name: str, function: ast.FunctionDef, functions: Mapping[str, ast.FunctionDef]) -> bool:
    todo, seen = [function], set[str]()
    while todo:
        for one in _named(todo.pop()) & functions.keys():
            if one == name:
                return True
            if one not in seen:
                seen.add(one)
                todo.append(functions[one])
    return False


def _named(node: ast.AST) -> set[str]:
    """The names that something uses: a function that is named may be called."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def _is_short(node: ast.AST) -> bool:
    """Whether it is a constant that makes nothing much larger."""
    match node:
        case ast.Constant(value=str() as text):
            return len(text) <= TEXT_MAX_CHARS
        case ast.Constant():
            return True
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return len(elements) <= TEXT_MAX_CHARS
    return False


def _is_small(node: ast.AST) -> bool:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_small(operand)
        case ast.Constant(value=int() as value):
            return value <= RANGE_MAX
    return False
