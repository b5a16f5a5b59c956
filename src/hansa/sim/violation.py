"""What a simulation reports when something does not hold."""

from __future__ import annotations


class ViolationError(AssertionError):
    """Something that has to hold in every league does not hold in this one."""


def require(condition: object, text: str) -> None:
    """Report a violation unless a condition holds.

    Raises:
        ViolationError: It does not.
    """
    if not condition:
        raise ViolationError(text)
