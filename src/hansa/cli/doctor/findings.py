"""What a check found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from hansa.core.errors import HansaError

State = Literal["ok", "look", "wrong"]
"""`look` is worth knowing and does not keep a marketplace from working."""


class CheckResult(msgspec.Struct, frozen=True):
    """The outcome of one check."""

    check: str
    state: State
    found: str
    todo: str = ""


def ok(check: str, found: str) -> CheckResult:
    """All is well."""
    return CheckResult(check, "ok", found)


def look(check: str, found: str, todo: str) -> CheckResult:
    """Worth knowing."""
    return CheckResult(check, "look", found, todo)


def wrong(check: str, found: str, todo: str) -> CheckResult:
    """Something has to be done."""
    return CheckResult(check, "wrong", found, todo)


def tried(check: str, attempt: Callable[[], str], todo: str) -> CheckResult:
    """What `attempt` tells, or that it failed, with the reason."""
    try:
        return ok(check, attempt())
    except HansaError as error:
        return wrong(check, error.message, todo)
