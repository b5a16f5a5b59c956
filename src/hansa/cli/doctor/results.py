"""The result of one check, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from hansa.core.errors import HansaError

State = Literal["ok", "look", "wrong"]
"""`look` is worth knowing, but does not keep a marketplace from working; `wrong` has to be corrected."""


class CheckResult(msgspec.Struct, frozen=True, rename={"result": "found"}):
    """The result of one check; in JSON, `result` is called `found`."""

    check: str
    state: State
    result: str
    todo: str = ""


def ok(check: str, result: str) -> CheckResult:
    """A check that passed."""
    return CheckResult(check, "ok", result)


def look(check: str, result: str, todo: str) -> CheckResult:
    """A check whose result is worth knowing."""
    return CheckResult(check, "look", result, todo)


def wrong(check: str, result: str, todo: str) -> CheckResult:
    """A check that failed."""
    return CheckResult(check, "wrong", result, todo)


def result_of(check: str, attempt: Callable[[], str], todo: str) -> CheckResult:
    """Passed, with the text that `attempt` returns; failed, with the message of the error that it raises."""
    try:
        return ok(check, attempt())
    except HansaError as error:
        return wrong(check, error.message, todo)
