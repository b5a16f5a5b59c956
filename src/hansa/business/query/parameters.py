"""A query string as it comes: groups of assertions, each a name, an operator and a value.

`&` joins assertions that must all hold, `;` joins alternatives, and a comma within a value joins values: a comma binds
most tightly, then `&`, then `;`. So `a=1&b=2;c=3` asks for (a=1 and b=2) or c=3. What follows a `;` without an operator
of its own is one more value of the assertion before it, so that `status=a;b` is `status=a,b`.

Operators are written as a suffix of the name (`.gt`, read in `hansa.business.query.filters`, since an attribute may
have such a name) or as a literal, plain or percent-encoded (TMF630 Part 1, section 4.4). The first literal of an
assertion counts. A literal that has `=` for its last character is complete with it: `a>=5` compares with 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import Operator

_PLAIN: Final = re.compile(rb"([A-Za-z0-9_.@]+)=([^%+=~][^%+]*)")
"""An assertion in which nothing is encoded, which most are."""

_LITERAL: Final = re.compile(
    rb"(?P<gt>>|%3[Ee])(?P<gte>=|%3[Dd])?"
    rb"|(?P<lt><|%3[Cc])(?P<lte>=|%3[Dd])?"
    rb"|(?P<regex>(?:\*|%2[Aa])(?:=|%3[Dd])|=~|%3[Dd](?:~|%7[Ee]))"
    rb"|(?P<eq>==|%3[Dd]%3[Dd])"
    rb"|(?P<plain>=)"
)


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
    check_length(query_string, limits)
    found: list[list[Assertion]] = [[]]
    for part in query_string.split(b"&"):
        if b";" not in part:
            if part:
                found[-1].append(assertion(part))
            continue
        before: Assertion | None = None
        for number, piece in enumerate(part.split(b";")):
            if not piece:
                continue
            if before is not None and _LITERAL.search(piece) is None:
                before = before._replace(value=decoded(piece))
            else:
                before = assertion(piece)
                if number and found[-1]:
                    found.append([])
            found[-1].append(before)
    return tuple(map(tuple, found))


def pairs(query_string: bytes, limits: Limits) -> Iterator[tuple[str, str]]:
    """Names and values of a query string that is no filter.

    Raises:
        Refused: `Code.URI_TOO_LONG` or `Code.MALFORMED`.
    """
    check_length(query_string, limits)
    for part in query_string.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            yield decoded(name), decoded(value)


def check_length(query_string: bytes, limits: Limits) -> None:
    """Refuse a query string that is too long.

    Raises:
        Refused: `Code.URI_TOO_LONG`.
    """
    if len(query_string) > limits.query_length_max_chars:
        raise Refused(
            Code.URI_TOO_LONG, f"The query is longer than {limits.query_length_max_chars} characters."
        )


def assertion(piece: bytes) -> Assertion:
    """One assertion; without an operator it is a name that equals nothing.

    Raises:
        Refused: `Code.MALFORMED`, when it is not UTF-8.
    """
    plain = _PLAIN.fullmatch(piece)
    if plain is not None:
        return Assertion(plain[1].decode(), None, _text(plain[2]))
    literal = _LITERAL.search(piece)
    if literal is None:
        return Assertion(decoded(piece).strip(), None, "")
    kind = literal.lastgroup
    operator: Operator | None = None if kind == "plain" else kind  # type: ignore[assignment]
    return Assertion(decoded(piece[: literal.start()]).strip(), operator, decoded(piece[literal.end() :]))


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
        raise Refused(Code.MALFORMED, "The query is not UTF-8.") from None
