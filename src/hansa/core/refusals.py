"""Several refusals as one: everything that is wrong with a request is reported at once.

A request is read by functions that raise at the first fault, which costs nothing while there is none. When
one has raised, the parts of the request are checked once more, each by itself, and all faults are reported
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hansa.core.errors import Code, Refused

REFUSALS_MAX = 12
"""So many are reported; the search for them ends there, since a request may hold thousands of faults."""
CHECKS_MAX = 50
"""So many parts are checked: a request may hold thousands, with one and the same fault in each."""


def all_refusals(first: Refused, checks: Iterable[Callable[[], object]]) -> Refused:
    """A refusal for everything that some checks refuse, and for what was refused already.

    Args:
        first: What the request was refused for.
        checks: Of parts of the request; each one raises for its part alone.

    Returns:
        One with the messages of all, in the order of the checks; `Code.INVALID` when their codes differ.
    """
    refusals: dict[str, Code] = {}
    is_cut = False
    for number, check in enumerate(checks):
        if len(refusals) == REFUSALS_MAX or number == CHECKS_MAX:
            is_cut = True
            break
        try:
            check()
        except Refused as refused:
            refusals.setdefault(refused.message, refused.code)
    refusals.setdefault(first.message, first.code)
    if len(refusals) == 1:
        return first
    codes = set(refusals.values())
    message = " ".join([*refusals, *(["There may be more."] if is_cut else [])])
    return Refused(codes.pop() if len(codes) == 1 else Code.INVALID, message)
