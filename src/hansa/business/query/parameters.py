"""A query string as it comes: groups of assertions, each a name, an operator and a value.

`&` joins assertions that must all hold, `;` joins alternatives, and a comma within a value joins values: a
comma binds most tightly, then `&`, then `;`. So `a=1&b=2;c=3` asks for (a=1 and b=2) or c=3. What follows a
`;` without an operator of its own is one more value of the assertion before it, so that `status=a;b` is
`status=a,b`.

Operators are written as a suffix of the name (`.gt`, read in `hansa.business.query.filters`, since an
attribute may have such a name) or as a literal, plain or percent-encoded (TMF630 Part 1, section 4.4). The
first literal of an assertion counts. A literal that has `=` for its last character is complete with it:
`a>=5` compares with 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store.operators import OPERATORS, Operator

_UNRESERVED: Final = frozenset("-._~")
"""What encoders leave as it is, beside letters and digits (RFC 3986)."""


class Literals:
    """How the literals of operators are recognised."""

    def __init__(self, operators: Iterable[Operator]) -> None:
        spellings = {
            literal: (operator, _spelling(literal)) for operator in operators for literal in operator.literals
        }
        longest_first = [spellings[literal] for literal in sorted(spellings, key=len, reverse=True)]
        self._operators = [None, *(operator for operator, _ in longest_first), None]
        """By the number of the group of `pattern`; the last stands for a plain `=`."""
        self.pattern: Final = re.compile(
            "|".join([*(f"({spelling})" for _, spelling in longest_first), "(=)"]).encode()
        )
        followers = "".join(literal[1:2] for literal in spellings if literal.startswith("="))
        self.plain: Final = re.compile(f"([A-Za-z0-9_.@]+)=([^%+{re.escape(followers)}][^%+]*)".encode())
        """An assertion in which nothing is encoded, which most are; it has no other sign than a plain `=`."""

    def operator(self, group: int | None) -> Operator | None:
        """The operator of a group of `pattern`; None for the plain `=`."""
        assert group is not None, "every alternative is a group"
        return self._operators[group]


def _spelling(literal: str) -> str:
    """A regular expression of the ways to write a literal: each character plain or percent-encoded.

    What follows a plain `=` and is encoded belongs to the value, so that `name=%3Db` compares with `=b`. A
    literal that begins with `=` is therefore plain or encoded as a whole.
    """
    assert literal.isascii(), "in a query string"
    assert not re.match(r"[A-Za-z0-9_.@%+&;]", literal), "not what a name or the query itself may hold"
    if literal.startswith("="):
        rest = "".join(_either(sign) if sign in _UNRESERVED else _encoded(sign) for sign in literal[1:])
        return f"{re.escape(literal)}|{_encoded('=')}{rest}"
    return "".join(map(_either, literal))


def _either(sign: str) -> str:
    return f"(?:{re.escape(sign)}|{_encoded(sign)})"


def _encoded(sign: str) -> str:
    return "%" + "".join(
        f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in f"{ord(sign):02X}"
    )


LITERALS: Final = Literals(OPERATORS)


class Assertion(NamedTuple):
    """One assertion of a query, decoded."""

    name: str
    operator: Operator | None
    """None for a plain `=`; the name may then end with an operator."""
    value: str


AssertionGroup = tuple[Assertion, ...]
"""Assertions joined by `&`."""


def groups(query_string: bytes, limits: Limits) -> tuple[AssertionGroup, ...]:
    """The alternatives of a query string; at least one, which may be empty.

    Raises:
        Refused: `Code.URI_TOO_LONG` or `Code.MALFORMED`.
    """
    check_size(query_string, limits)
    alternatives: list[list[Assertion]] = [[]]
    for whole in query_string.split(b"&"):
        if b";" not in whole:
            if whole:
                alternatives[-1].append(assertion(whole))
            continue
        before: Assertion | None = None
        for number, part in enumerate(whole.split(b";")):
            if not part:
                continue
            if before is not None and LITERALS.pattern.search(part) is None:
                before = before._replace(value=decoded(part))
            else:
                before = assertion(part)
                if number and alternatives[-1]:
                    alternatives.append([])
            alternatives[-1].append(before)
    return tuple(map(tuple, alternatives))


def pairs(query_string: bytes, limits: Limits) -> Iterator[tuple[str, str]]:
    """Names and values of a query string that is no filter.

    Raises:
        Refused: `Code.URI_TOO_LONG` or `Code.MALFORMED`.
    """
    check_size(query_string, limits)
    for part in query_string.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            yield decoded(name), decoded(value)


def check_size(query_string: bytes, limits: Limits) -> None:
    """Refuse a query string that is too long, or has too many parts.

    Raises:
        Refused: `Code.URI_TOO_LONG`.
    """
    if len(query_string) > limits.query_length_max_chars:
        raise Refused(
            Code.URI_TOO_LONG, f"The query is longer than {limits.query_length_max_chars} characters."
        )
    if query_string.count(b"&") + query_string.count(b";") >= limits.query_parts_max:
        raise Refused(Code.URI_TOO_LONG, f"The query has more than {limits.query_parts_max} parts.")


def assertion(part: bytes) -> Assertion:
    """One assertion; without an operator it is a name that equals nothing.

    Raises:
        Refused: `Code.MALFORMED`, when it is not UTF-8.
    """
    plain = LITERALS.plain.fullmatch(part)
    if plain is not None:
        return Assertion(plain[1].decode(), None, _text(plain[2]))
    literal = LITERALS.pattern.search(part)
    if literal is None:
        return Assertion(decoded(part).strip(), None, "")
    operator = LITERALS.operator(literal.lastindex)
    return Assertion(decoded(part[: literal.start()]).strip(), operator, decoded(part[literal.end() :]))


def decoded(raw: bytes) -> str:
    """Text of a part of a query string, in which a blank may be written `+`.

    Raises:
        Refused: `Code.MALFORMED`, when it is not UTF-8.
    """
    return _text(unquote_to_bytes(raw.replace(b"+", b" ")))


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refused(Code.MALFORMED, f"The query is not UTF-8: {quote(raw[:20])}.") from None
