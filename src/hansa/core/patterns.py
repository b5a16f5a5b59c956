"""Regular expressions that others send: those of RE2, whose time is linear in the length of the text.

No pattern makes RE2 try again and again as backtracking does. What a step through the text costs grows with
the compiled form of the pattern, which is why the memory for that is bounded too: a few kilobytes are usual,
and a pattern that needs more than a client's search is likely to need is refused.
"""

from __future__ import annotations

from typing import Any, Final

import re2

from hansa.core.errors import Code, Refused

PATTERN_MEMORY_MAX_BYTES: Final = 262_144


def compiled(pattern: str) -> Any:
    """A regular expression with `search` and `fullmatch`; RE2 remembers those that it compiled last.

    Raises:
        Refused: `Code.INVALID`, with RE2's complaint.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY_MAX_BYTES
    try:
        return re2.compile(pattern, options)
    except UnicodeEncodeError:
        message = "it is not UTF-8"
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        message = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    raise Refused(
        Code.INVALID, f"{pattern[:60]!r} is no regular expression in the syntax of RE2: {message[:120]}."
    )
