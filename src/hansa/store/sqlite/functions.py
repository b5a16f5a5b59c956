"""What SQLite asks us for while it searches: moments, regular expressions, and tests in Python.

Regular expressions are those of `hansa.core.patterns`, whose time is linear in the length of the text, so
that no pattern can hold up a search for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import apsw
import msgspec

from hansa.core.instants import comparable
from hansa.core.patterns import compiled

PATTERNS_KEPT_MAX: Final = 64


class Functions:
    """The functions of one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.tests: tuple[Callable[[Any], bool], ...] = ()
        """Of the statement that runs: `hansa_test` names one by its place."""
        self._patterns: dict[str, Any] = {}
        connection.create_scalar_function("hansa_instant", _instant, 1, deterministic=True)
        connection.create_scalar_function("hansa_matches", self._matches, 2, deterministic=True)
        connection.create_scalar_function("hansa_test", self._test, 2)

    def _matches(self, *arguments: Any) -> bool:
        pattern, text = arguments
        if not isinstance(text, str):
            return False
        found = self._patterns.get(pattern)
        if found is None:
            if len(self._patterns) >= PATTERNS_KEPT_MAX:
                self._patterns.clear()
            found = self._patterns[pattern] = compiled(pattern)
        return found.search(text) is not None

    def _test(self, *arguments: Any) -> bool:
        place, body = arguments
        return bool(self.tests[place](msgspec.json.decode(body)))


def _instant(*arguments: Any) -> str | None:
    (text,) = arguments
    return comparable(text) if isinstance(text, str) else None
