"""What SQLite calls while it searches: moments, regular expressions, and tests in Python.

SQLite looks at an interrupt between the steps of its own machine, not while one of these functions runs. So
each of them that a client can make slow looks at the checkpoint of its connection when it is called, tests of
large entities meanwhile too, and a match of a regular expression is bounded (`hansa.core.patterns`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw
import msgspec

from hansa.core.instants import comparable
from hansa.core.patterns import LOOP_STEPS_MAX, STEPS_MAX, Pattern, compiled
from hansa.core.work import Checkpoint, no_checkpoint


class Functions:
    """The functions of one connection, which runs one statement at a time."""

    def __init__(self, connection: apsw.Connection, checkpoint: Checkpoint = no_checkpoint) -> None:
        """The functions of a connection; without `checkpoint`, of one that is used on the event loop."""
        self._checkpoint = checkpoint
        self._steps_max = LOOP_STEPS_MAX if checkpoint is no_checkpoint else STEPS_MAX
        self._tests: tuple[Callable[[Any, Checkpoint], bool], ...] = ()
        self._patterns: dict[str, Pattern] = {}
        """Those of the statement that runs, compiled."""
        connection.create_scalar_function("hansa_instant", _instant, 1, deterministic=True)
        connection.create_scalar_function("hansa_matches", self._matches, 2, deterministic=True)
        connection.create_scalar_function("hansa_test", self._test, 2)

    def prepare(self, tests: tuple[Callable[[Any, Checkpoint], bool], ...]) -> None:
        """A statement is about to run.

        Args:
            tests: The functions that `hansa_test` calls, by position.
        """
        self._tests = tests
        if self._patterns:
            self._patterns = {}

    def _matches(self, *arguments: Any) -> bool:
        pattern, text = arguments
        self._checkpoint()
        if not isinstance(text, str):
            return False
        expression = self._patterns.get(pattern)
        if expression is None:
            expression = self._patterns[pattern] = compiled(pattern)
        return expression.is_in(text, self._steps_max)

    def _test(self, *arguments: Any) -> bool:
        position, body = arguments
        self._checkpoint()
        return bool(self._tests[position](msgspec.json.decode(body), self._checkpoint))


def _instant(*arguments: Any) -> str | None:
    (text,) = arguments
    return comparable(text) if isinstance(text, str) else None
