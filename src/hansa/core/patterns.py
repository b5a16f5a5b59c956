"""Regular expressions that others send: those of RE2, whose time is linear in the length of the text.

No pattern makes RE2 try again and again as backtracking does. What remains is the factor: where the automaton
of a pattern does not fit into its memory, RE2 simulates it, and each byte of the text may cost as many steps
as the compiled pattern has instructions. So three things are bounded: the memory of the automaton, the
instructions of a pattern, when it is compiled, and the product of instructions and bytes, at every match. A
match cannot be interrupted; `STEPS_MAX` steps take less than half a second, outside the interpreter's lock.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

from hansa.core.errors import Code, Refused

PATTERN_MEMORY_MAX_BYTES: Final = 262_144
INSTRUCTIONS_MAX: Final = 3000
"""Of the compiled form of a pattern. Usual patterns have less than a hundred; each class of letters of all
scripts (`\\pL`) has some twelve hundred."""
STEPS_MAX: Final = 100_000_000
"""Of one match, in a worker thread."""
LOOP_STEPS_MAX: Final = 2_000_000
"""Of one match on the event loop; some 10 ms."""
_COMPILED_MAX: Final = 256


class Pattern:
    """A compiled regular expression, which says whether a text matches, within a bound."""

    __slots__ = ("_expression", "instructions", "text")

    def __init__(self, text: str, expression: Any) -> None:
        self.text = text
        self._expression = expression
        self.instructions: int = max(expression.programsize, expression.reverseprogramsize)
        """The most steps that a byte of a text may cost."""

    def is_in(self, text: str, steps_max: int = STEPS_MAX) -> bool:
        """Whether the pattern matches anywhere in a text.

        Raises:
            Refused: `Code.INVALID`, when that might take more than `steps_max` steps.
        """
        return self._expression.search(self._bounded(text, steps_max)) is not None

    def is_whole(self, text: str, steps_max: int = STEPS_MAX) -> bool:
        """Whether the pattern matches a text from its beginning to its end.

        Raises:
            Refused: As `is_in`.
        """
        return self._expression.fullmatch(self._bounded(text, steps_max)) is not None

    def steps(self, text: str) -> int:
        """The most steps that matching a text may take, roughly."""
        return self.instructions * len(text)

    def _bounded(self, text: str, steps_max: int) -> bytes:
        encoded = text.encode(errors="replace")
        if self.instructions * len(encoded) > steps_max:
            raise Refused(
                Code.INVALID,
                f"The regular expression {self.text[:60]!r} is too large for a text of {len(encoded):,} bytes "
                "that it is compared with: repeat less in it, or name fewer alternatives.",
            )
        return encoded


def compiled(pattern: str) -> Pattern:
    """A regular expression, compiled; those that were used last are cached.

    Raises:
        Refused: `Code.INVALID`, with RE2's complaint, or when it is too large.
    """
    try:
        expression = _compiled(pattern)
    except UnicodeEncodeError:
        message = "it is not UTF-8"
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        message = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    else:
        if expression.instructions <= INSTRUCTIONS_MAX:
            return expression
        raise Refused(
            Code.INVALID,
            f"The regular expression {pattern[:60]!r} is too large: it has {expression.instructions:,} "
            f"instructions when it is compiled, of at most {INSTRUCTIONS_MAX:,}. Repeat less in it.",
        )
    raise Refused(
        Code.INVALID, f"{pattern[:60]!r} is no regular expression in the syntax of RE2: {message[:120]}."
    )


@lru_cache(_COMPILED_MAX)
def _compiled(pattern: str) -> Pattern:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY_MAX_BYTES
    options.never_capture = True
    return Pattern(pattern, re2.compile(pattern, options))
