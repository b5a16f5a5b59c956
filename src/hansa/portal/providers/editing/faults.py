"""What is wrong with what somebody typed, by field: in the words of the operations that refuse it."""

from __future__ import annotations

import copy
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from hansa.business.validation.violations import InvalidBody, Violation
from hansa.core.errors import Code, Refused
from hansa.portal.providers.editing.forms.kinds import REVIEW, FormKind
from hansa.portal.providers.editing.forms.values import BuiltEntity

CHECKS_MAX: Final = 4
_STEP: Final = re.compile(r"\[[0-9]{1,6}\]|[^.\[\]]+")


class FieldFault(msgspec.Struct, frozen=True):
    """Something that is wrong."""

    field: str
    """Empty: of no field of the form."""
    step: str
    """On which the field is."""
    rule: str = ""
    """What it has to be, in the words of the model; empty: it has to be filled in."""


async def violations_in(
    fields: dict[str, Any], check: Callable[[dict[str, Any]], Awaitable[None]]
) -> tuple[Refused | None, dict[str, Any]]:
    """Everything that an operation refuses an entity for (None: nothing), and the entity without that.

    Some rules are about values that are valid by themselves, so that one which is not hides what else is
    wrong: the entity is checked again without it.

    Raises:
        Refused: `Code.PRECONDITION_FAILED`.
    """
    violations: list[Violation] = []
    rest = fields
    for _ in range(CHECKS_MAX):
        try:
            await check(copy.deepcopy(rest))
        except InvalidBody as error:
            violations += error.violations
            rest = copy.deepcopy(rest)
            # From the last one of an array, so that the places of the others stay right.
            removed = [_remove(rest, one.path) for one in sorted(error.violations, key=_order, reverse=True)]
            if any(removed):
                continue
        except Refused as error:
            if error.code is Code.PRECONDITION_FAILED:
                raise
            return (InvalidBody(violations) if violations else error), rest
        break
    return (InvalidBody(violations) if violations else None), rest


def faults_of(kind: FormKind, made: BuiltEntity, refusal: Refused | None) -> tuple[FieldFault, ...]:
    """All that is wrong with a form, in the order of its fields, and at most one fault a field."""
    faults = {field: FieldFault(field, kind.step_of(field)) for field in made.missing}
    others: list[FieldFault] = []
    for one in _violations(refusal):
        field = field_at(made.places, one.path)
        if field is None:
            others.append(FieldFault("", REVIEW, f"{one.path}: {one.rule}"))
        else:
            faults.setdefault(field, FieldFault(field, kind.step_of(field), one.rule))
    if refusal is not None and not isinstance(refusal, InvalidBody):
        others.append(FieldFault("", REVIEW, refusal.message))
    order = {name: number for number, name in enumerate(kind.fields())}
    ordered = sorted(faults.values(), key=lambda one: order.get(one.field.partition(".")[0], len(order)))
    return (*ordered, *others)


def field_at(places: Mapping[str, str], path: str) -> str | None:
    """The field that a place of the entity comes from: that of the place, or of what is around it."""
    best = ""
    for place in places:
        if path.startswith(place) and path[len(place) : len(place) + 1] in {"", ".", "["}:
            best = max(best, place, key=len)
    return places[best] if best else None


def _steps(path: str) -> list[str | int]:
    """The steps to a place, as `a[0].b`: a, 0, b."""
    return [int(one[1:-1]) if one[0] == "[" else one for one in _STEP.findall(path)]


def _order(one: Violation) -> tuple[tuple[str, int], ...]:
    return tuple(("", step) if isinstance(step, int) else (step, 0) for step in _steps(one.path))


def _remove(fields: dict[str, Any], path: str) -> bool:
    """Remove the value at a place; False, when there is none that can be removed."""
    holder: Any = fields
    *above, last = _steps(path) or [""]
    for step in above:
        try:
            holder = holder[step]
        except (KeyError, IndexError, TypeError):
            return False
    if not isinstance(holder, dict) or last not in holder:
        return False
    del holder[last]
    return True


def _violations(refusal: Refused | None) -> tuple[Violation, ...]:
    return refusal.violations if isinstance(refusal, InvalidBody) else ()
