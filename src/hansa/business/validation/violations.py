"""The violations of a body: each with its place, rule and value, and all of them told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Refused

VIOLATIONS_MAX: Final = 30
"""So many are looked for, and told, in one body."""
VALUE_SHOWN_MAX_CHARS: Final = 60


class Violation(msgspec.Struct, frozen=True):
    """A rule that a value in a body violates."""

    path: str
    """As `category[0].id`."""
    rule: str
    value: object = msgspec.UNSET

    def __str__(self) -> str:
        """For the person who sent the body."""
        if self.value is msgspec.UNSET:
            return f"{self.path}: {self.rule}"
        shown = msgspec.json.encode(self.value).decode()
        if len(shown) > VALUE_SHOWN_MAX_CHARS:
            shown = shown[:VALUE_SHOWN_MAX_CHARS] + "…"
        return f"{self.path}: {self.rule}, not {shown}"


class MissingAttribute(Violation, frozen=True):
    """A required attribute that is not there."""

    holder: dict[str, Any] = {}
    """The object that should have it."""
    name: str = ""
    type: str = ""
    """Of the attribute."""
    owner: str = ""
    """Type of the object."""
    is_at_top: bool = False
    siblings: Sequence[Any] = ()
    """The array in which the object stands, if it does."""
    index: int | None = None
    """Its place there."""


class RespeltWord(Violation, frozen=True):
    """A known word of an enumeration, in other letters: `INPROGRESS` for `inProgress`."""

    steps: tuple[Any, str | int] | None = None
    """Where it stands: the steps to the object or array that holds it, and its name or index there."""
    word: str = ""
    """As the enumeration spells it."""


Violations = list[Violation]


class InvalidBody(Refused):
    """A body with violations."""

    def __init__(self, violations: Violations) -> None:
        assert violations, "a body is refused for something"
        shown = "; ".join(map(str, violations[:VIOLATIONS_MAX]))
        more = len(violations) - VIOLATIONS_MAX
        super().__init__(Code.INVALID, shown + (f"; and {more} more" if more > 0 else "") + ".")
        self.violations = tuple(violations)


def refuse(violations: Violations) -> None:
    """Raise one error with all violations, if there are any.

    Raises:
        InvalidBody: `Code.INVALID`.
    """
    if violations:
        raise InvalidBody(violations)


def collected(checks: Iterable[Callable[[], object]]) -> Violations:
    """The violations that several checks raise, each once and in their order."""
    violations: dict[tuple[str, str], Violation] = {}
    for check in checks:
        try:
            check()
        except InvalidBody as error:
            for one in error.violations:
                violations.setdefault((one.path, one.rule), one)
    return list(violations.values())
