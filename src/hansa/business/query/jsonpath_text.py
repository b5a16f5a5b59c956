"""Parses JSONPaths: from text to the tree of `hansa.business.query.jsonpath`.

The library python-jsonpath tokenizes and parses the text; its own evaluation is not used, because it has no
bound and matches regular expressions by backtracking. What it accepts beyond TMF630 Part 6 is handled here: a
construct that is no JSONPath is an error (400); one of Part 6 that this marketplace lacks, or one of other
dialects, is not supported (501).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, get_args

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from jsonpath import filter as parsed
from jsonpath import selectors as parsed_selectors
from jsonpath.lex import Lexer
from jsonpath.parse import Parser
from jsonpath.segments import JSONPathRecursiveDescentSegment
from jsonpath.selectors import JSONPathSelector
from jsonpath.stream import TokenStream
from jsonpath.token import TOKEN_DOT, TOKEN_LPAREN, TOKEN_NAME, TOKEN_RPAREN, TOKEN_WHITESPACE, Token

from hansa.business.query.filters import check_pattern
from hansa.business.query.jsonpath import (
    And,
    Call,
    Comparison,
    Constant,
    Exists,
    Function,
    Index,
    JsonPath,
    Name,
    Not,
    Operand,
    Or,
    Predicate,
    RegexMatch,
    Relation,
    Segment,
    Selector,
    Slice,
    SubPath,
    Where,
    Wildcard,
)
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

FUNCTIONS: Final = frozenset(get_args(Function))
RELATIONS: Final = frozenset(get_args(Relation))
FLAGS: Final = frozenset("ims")
LENGTH_MAX_CHARS: Final = 2048
DEPTH_MAX: Final = 32
"""Nesting of brackets and parentheses."""
CONDITIONS_MAX: Final = 64
"""Conditions joined by `&&` and `||`."""


class _Unsupported(Exception):
    """A construct is not supported; the message names it."""


class _PathLexer(Lexer):
    """Allows names that begin with `@`, as TM Forum's, and a function at the end of a path."""

    key_pattern = r"@?[\u0080-\uFFFFa-zA-Z_][\u0080-\uFFFFa-zA-Z0-9_-]*"
    logical_not_pattern = r"!"
    logical_and_pattern = r"&&"
    logical_or_pattern = r"\|\|"

    def tokenize(self, path: str) -> Iterator[Token]:
        """The tokens; `.length()` is a name with parentheses."""
        tokens = list(super().tokenize(path))
        position = 0
        while position < len(tokens):
            token = tokens[position]
            kinds = [one.kind for one in tokens[position : position + 4]]
            if kinds == [TOKEN_DOT, TOKEN_NAME, TOKEN_LPAREN, TOKEN_RPAREN]:
                name = tokens[position + 1]
                yield token
                yield Token(TOKEN_NAME, name.value + "()", name.index, path)
                position += 4
            else:
                yield token
                position += 1


class _Pattern:
    """A regular expression, in place of the one that the library would compile."""

    def __init__(self, pattern: str, flags: str) -> None:
        self.pattern = pattern
        self.flags = flags


class _PathParser(Parser):
    """Leaves regular expressions as text, and recognizes script expressions."""

    def parse_regex(self, stream: TokenStream) -> parsed.BaseExpression:
        """A literal that holds the pattern and its flags."""
        pattern, flags = stream.next(), stream.next()
        return parsed.FilterExpressionLiteral(value=_Pattern(pattern.value, flags.value))

    def parse_bracketed_selection(self, stream: TokenStream) -> list[JSONPathSelector]:
        """The selectors in brackets."""
        ahead = stream.peek()
        if ahead.kind == TOKEN_WHITESPACE:
            ahead = stream.peek(2)
        if ahead.kind == TOKEN_LPAREN:
            raise _Unsupported("a script expression, `[(…)]`")
        return super().parse_bracketed_selection(stream)


class _AnyArguments:
    """A function of the language; its arguments are checked when the tree is built."""

    def validate(self, _: Any, arguments: list[Any], __: Token) -> list[Any]:
        """Accept all arguments."""
        return arguments

    def __call__(self, *_: object) -> None:
        """Never evaluated here."""


class _Environment(JSONPathEnvironment):
    lexer_class = _PathLexer
    parser_class = _PathParser

    def setup_function_extensions(self) -> None:
        """The functions of Part 6."""
        self.function_extensions = dict.fromkeys(FUNCTIONS, _AnyArguments())


_ENVIRONMENT: Final = _Environment(well_typed=False)


def read_jsonpath(parameter: str, text: str, limits: Limits, *, nodes_max: int | None = None) -> JsonPath:
    """A JSONPath; the leading `$` may be left out.

    It may visit `nodes_max` values, by default `path_nodes_max`.

    Raises:
        Refused: `Code.INVALID` when it is malformed, `Code.NOT_IMPLEMENTED` for an unsupported construct;
            both name the parameter.
    """
    problem = _limit_exceeded(text)
    if not problem:
        try:
            path = _ENVIRONMENT.compile(text.strip())
            if not isinstance(path, JSONPath):
                raise _Unsupported("a union or intersection of paths")
            if path.pseudo_root:
                raise _Unsupported("a root other than $")
            sub_path = _TreeBuilder(parameter, limits).sub_path(path)
            if sub_path.function is not None:
                raise _Unsupported("a function at the end of the whole path")
            return _checked(JsonPath(text.strip(), sub_path.segments, nodes_max or limits.path_nodes_max))
        except _Unsupported as error:
            raise Refused(
                Code.NOT_IMPLEMENTED, f"{parameter}: {text[:80]!r} uses {error}, which is not supported here."
            ) from None
        except JSONPathError as error:
            problem = str(error.args[0] if error.args else "it cannot be read")
        except (
            ValueError,
            OverflowError,
            RecursionError,
            AttributeError,
            KeyError,
            IndexError,
            AssertionError,
        ):
            problem = "it cannot be read"
    raise Refused(Code.INVALID, f"{parameter}: {text[:80]!r} is no JSONPath: {problem[:120]}.")


def _limit_exceeded(text: str) -> str:
    """Why a text is not parsed at all; empty when it is."""
    if len(text) > LENGTH_MAX_CHARS:
        return f"it is longer than {LENGTH_MAX_CHARS} characters"
    if _nesting(text) > DEPTH_MAX:
        return "it is nested too deep"
    if text.count("&&") + text.count("||") > CONDITIONS_MAX:
        return f"it has more than {CONDITIONS_MAX} conditions"
    return "" if text.strip() else "it is empty"


def attribute_names(parameter: str, text: str, limits: Limits) -> tuple[str, ...]:
    """The names of a JSONPath that only names attributes, also through arrays.

    Raises:
        Refused: `Code.INVALID` when it is no JSONPath, `Code.NOT_IMPLEMENTED` when it selects elements.
    """
    names: list[str] = []
    for segment in read_jsonpath(parameter, text, limits).segments:
        match segment:
            case Segment((Name(name),), False):
                names.append(name)
            case Segment((Wildcard(),), False):
                pass
            case _:
                raise Refused(
                    Code.NOT_IMPLEMENTED,
                    f"{parameter}: {text[:80]!r} selects elements; only names and [*] are supported.",
                )
    return tuple(names)


def _nesting(text: str) -> int:
    deepest = depth = 0
    for letter in text:
        depth += letter in "([!"
        depth -= letter in ")]"
        deepest = max(deepest, depth)
    return deepest


def _checked(path: JsonPath) -> JsonPath:
    first = path.segments[0].selectors[0] if path.segments else None
    if isinstance(first, Index | Slice) and not path.segments[0].is_descent:
        raise _Unsupported("a position in the list; there are `offset` and `limit`")
    return path


class _TreeBuilder:
    """Builds the tree from that of the library."""

    def __init__(self, parameter: str, limits: Limits) -> None:
        self._parameter = parameter
        self._limits = limits

    def sub_path(self, path: JSONPath, *, is_from_root: bool = False) -> SubPath:
        """A path, whole or within a predicate."""
        segments = list(path.segments)
        if len(segments) > self._limits.body_depth_max:
            raise JSONPathError("it is longer than entities are deep")
        function: Any = None
        last = segments[-1].selectors[0] if segments else None
        if isinstance(last, parsed_selectors.NameSelector) and _is_function(last):
            function = last.name.removesuffix("()")
            if function not in FUNCTIONS:
                raise _Unsupported(f"the function {function}()")
            segments.pop()
        converted = tuple(
            Segment(
                tuple(map(self._selector, segment.selectors)),
                isinstance(segment, JSONPathRecursiveDescentSegment),
            )
            for segment in segments
        )
        return SubPath(converted, function, is_from_root)

    def _selector(self, selector: JSONPathSelector) -> Selector:
        match selector:
            case parsed_selectors.NameSelector():
                if _is_function(selector):
                    raise _Unsupported("a function in the middle of a path")
                return Name(_text(selector.name))
            case parsed_selectors.IndexSelector():
                return Index(selector.index)
            case parsed_selectors.SliceSelector():
                return Slice(selector.slice.start, selector.slice.stop, selector.slice.step)
            case parsed_selectors.WildcardSelector():
                return Wildcard()
            case parsed_selectors.Filter():
                return Where(self._predicate(selector.expression.expression))
            case _:
                raise _Unsupported(f"the selector {str(selector)[:40]}")

    def _predicate(self, expression: parsed.BaseExpression) -> Predicate:
        match expression:
            case parsed.PrefixExpression(operator="!"):
                return Not(self._predicate(expression.right))
            case parsed.InfixExpression(operator="&&"):
                return And(self._predicate(expression.left), self._predicate(expression.right))
            case parsed.InfixExpression(operator="||"):
                return Or(self._predicate(expression.left), self._predicate(expression.right))
            case parsed.InfixExpression(operator="=~"):
                return self._regex_match(expression)
            case parsed.InfixExpression(operator=operator) if operator in RELATIONS:
                relation: Any = operator
                return Comparison(self._operand(expression.left), relation, self._operand(expression.right))
            case parsed.InfixExpression():
                raise _Unsupported(f"the operator {expression.operator}")
            case parsed.FilterQuery():
                path = self._path(expression)
                if path.function is not None:
                    raise JSONPathError("a value is no condition")
                return Exists(path)
            case parsed.FilterExpressionLiteral() | parsed.Nil() | parsed.FunctionExtension():
                raise JSONPathError("a value is no condition")
            case _:
                raise _Unsupported("that condition")

    def _regex_match(self, expression: parsed.InfixExpression) -> RegexMatch:
        left = self._operand(expression.left)
        right = expression.right
        if not isinstance(left, SubPath):
            raise JSONPathError("`=~` compares a path")
        if isinstance(right, parsed.StringLiteral):
            pattern = _text(right.value)
        elif isinstance(right, parsed.FilterExpressionLiteral) and isinstance(right.value, _Pattern):
            flags = "".join(sorted(FLAGS & set(right.value.flags)))
            text = _text(right.value.pattern).replace(r"\/", "/")
            pattern = f"(?{flags}){text}" if flags else text
        else:
            raise JSONPathError("`=~` compares with a pattern")
        check_pattern(self._parameter, pattern, self._limits)
        return RegexMatch(left, pattern)

    def _operand(self, expression: parsed.BaseExpression) -> Operand:
        match expression:
            case parsed.Nil():
                return Constant(None)
            case parsed.FilterQuery():
                path = self._path(expression)
                if path.function is None and not path.is_singular:
                    raise JSONPathError(
                        "a comparison takes a path to one value; ask about elements with [?(…)]"
                    )
                return path
            case parsed.FunctionExtension():
                if expression.name not in FUNCTIONS:
                    raise _Unsupported(f"the function {expression.name}()")
                if len(expression.args) != 1 or not isinstance(expression.args[0], parsed.FilterQuery):
                    raise JSONPathError(f"{expression.name}() takes one path")
                function: Any = expression.name
                return Call(function, self._path(expression.args[0]))
            case parsed.FilterExpressionLiteral() if isinstance(expression.value, str | int | float):
                value = expression.value
                if isinstance(value, float) and not math.isfinite(value):
                    raise JSONPathError("a number is too large")
                return Constant(_text(value) if isinstance(value, str) else value)
            case _:
                raise _Unsupported("that operand")

    def _path(self, query: parsed.FilterQuery) -> SubPath:
        match query:
            case parsed.RelativeFilterQuery():
                return self.sub_path(query.path)
            case parsed.RootFilterQuery() if not query.path.pseudo_root:
                return self.sub_path(query.path, is_from_root=True)
            case _:
                raise _Unsupported("a root other than $ and @")


def _is_function(selector: parsed_selectors.NameSelector) -> bool:
    return selector.token.kind == TOKEN_NAME and selector.name.endswith("()")


def _text(value: str) -> str:
    """A text, checked to be encodable as UTF-8.

    Raises:
        ValueError: It is not.
    """
    value.encode()
    return value
