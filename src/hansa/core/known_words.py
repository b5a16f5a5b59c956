"""Words of a closed set: whether a word is one of them, and which one was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

from hansa.core.errors import Code, Refused

KNOWN_SHOWN_MAX: Final = 12
"""So many known words are listed; of more, one is an example."""
COMPARED_MAX_CHARS: Final = 60
"""Longer words are compared by their beginning."""


_SEPARATORS: Final = re.compile(r"(?<=\w)[\s_-]+(?=\w)")


def folded(word: str) -> str:
    """What remains of a word when case, blanks around it, and what parts it count for nothing.

    Documents and their users write `inProgress`, `In Progress`, `in-progress` and `IN_PROGRESS`.
    """
    return _SEPARATORS.sub("", word.strip()).casefold()


def check_known(words: Iterable[str], known: Iterable[str], what: str) -> None:
    """Check that words are known ones.

    Args:
        words: As they were sent.
        known: All that there are.
        what: What they are called, as `type`.

    Raises:
        Refused: `Code.INVALID`, with those that resemble the word, or all when they are few.
    """
    known = frozenset(known)
    spellings = {each.lower(): each for each in known}
    for word in words:
        if word in known:
            continue
        near = difflib.get_close_matches(word.lower()[:COMPARED_MAX_CHARS], spellings, n=3, cutoff=0.6)
        if near:
            hint = f"did you mean {' or '.join(spellings[each] for each in near)}?"
        elif len(spellings) <= KNOWN_SHOWN_MAX:
            hint = f"there {'is' if len(spellings) == 1 else 'are'} {', '.join(sorted(spellings.values()))}."
        else:
            hint = f"there are {len(spellings)}, as {min(spellings.values())}."
        raise Refused(Code.INVALID, f"There is no {what} {word[:COMPARED_MAX_CHARS]!r}; {hint}")
