"""What SQLite calls while it searches: moments, regular expressions, and tests in Python.

Regular expressions are those of `hansa.core.patterns`, whose time is linear in the length of the text, so
that no pattern can hold up a search for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw
import msgspec

from hansa.core.instants import comparable
from hansa.core.patterns import compiled


class Functions:
    """The functions of one connection, which runs one statement at a time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._tests: tuple[Callable[[Any], bool], ...] = ()
        self._patterns: dict[str, Any] = {}
        """Those of the statement that runs, compiled."""
        connection.create_scalar_function("hansa_instant", _instant, 1, deterministic=True)
        connection.create_scalar_function("hansa_matches", self._matches, 2, deterministic=True)
        connection.create_scalar_function("hansa_test", self._test, 2)

    def prepare(self, tests: tuple[Callable[[Any], bool], ...]) -> None:
        """A statement is about to run.

        Args:
            tests: The functions that `hansa_test` calls, by position.
        """
        self._tests = tests
        if self._patterns:
            self._patterns = {}

    def _matches(self, *arguments: Any) -> bool:
        pattern, text = arguments
        if not isinstance(text, str):
            return False
        expression = self._patterns.get(pattern)
        if expression is None:
            expression = self._patterns[pattern] = compiled(pattern)
        return expression.search(text) is not None

    def _test(self, *arguments: Any) -> bool:
        position, body = arguments
        return bool(self._tests[position](msgspec.json.decode(body)))


def _instant(*arguments: Any) -> str | None:
    (text,) = arguments
    return comparable(text) if isinstance(text, str) else None
