"""What people do with buttons of pages, in the audit log: who, what, and about what.

An act is recorded before it is done, so that nothing is done that is not recorded; when it is refused, a
second record says so. Whoever acts is named by the pseudonym of the session, never by name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import msgspec

from hansa.core.access import Caller
from hansa.core.errors import HansaError

ABOUT_MAX_CHARS: Final = 512

T = TypeVar("T")


class Act(msgspec.Struct, frozen=True):
    """Something that somebody does."""

    name: str
    """In lower case with hyphens, as `organization-remove`."""
    about: str
    """Identifier of what it is done to; no name of a person."""


class Acts(Protocol):
    """Records acts."""

    async def note(self, caller: Caller, act: Act, code: str | None = None, /) -> None:
        """Record an act; it is durable when this returns.

        Args:
            caller: Who acts.
            act: What is done.
            code: With which code it was refused; None: it is about to be done.

        Raises:
            Unavailable: It cannot be recorded, and must not be done.
        """


async def carry_out(acts: Acts, caller: Caller, act: Act, deed: Callable[[], Awaitable[T]]) -> T:
    """Record an act and do it; what comes out of it.

    Raises:
        HansaError: Of what is done; or it cannot be recorded, and nothing was done.
    """
    await acts.note(caller, act)
    try:
        return await deed()
    except HansaError as error:
        await acts.note(caller, act, str(error.code))
        raise
