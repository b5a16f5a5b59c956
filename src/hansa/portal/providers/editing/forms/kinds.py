"""Which forms there are: their steps, and the fields of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from hansa.core.errors import Code, Refused
from hansa.portal.catalogue.reading import OFFERING, PRICE, SPECIFICATION

KindName = Literal["specification", "price", "offering"]
DRAFT_STATES: Final = ("In study", "In design")
"""States in which only its provider sees an entity, and which the forms set."""
REVIEW: Final = "review"
"""The last step of every form: everything at one glance."""


class FormStep(msgspec.Struct, frozen=True):
    """A page of a form."""

    name: str
    fields: tuple[str, ...]
    """Names of fields, or the first part of names with points, as `terms` of `terms.0.name`."""

    def has(self, field: str) -> bool:
        """Whether a field is on it."""
        return field.partition(".")[0] in self.fields


class FormKind(msgspec.Struct, frozen=True):
    """A form for entities of one type."""

    name: KindName
    collection: str
    steps: tuple[FormStep, ...]
    """Without the last one, which has no fields."""

    def step(self, name: str) -> FormStep:
        """One of its steps.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        if name == REVIEW:
            return FormStep(REVIEW, ())
        for one in self.steps:
            if one.name == name:
                return one
        raise Refused(Code.NOT_FOUND, "The form has no such step.")

    def names(self) -> tuple[str, ...]:
        """The names of its steps, in order."""
        return (*(one.name for one in self.steps), REVIEW)

    def after(self, name: str) -> str:
        """The step after another."""
        names = self.names()
        return names[min(names.index(name) + 1, len(names) - 1)]

    def before(self, name: str) -> str:
        """The step before another."""
        names = self.names()
        return names[max(names.index(name) - 1, 0)]

    def step_of(self, field: str) -> str:
        """The step with a field; the last one of what is no field."""
        return next((one.name for one in self.steps if one.has(field)), REVIEW)

    def fields(self) -> tuple[str, ...]:
        """The fields of all steps, in order."""
        return tuple(name for one in self.steps for name in one.fields)


SPECIFICATION_FORM: Final = FormKind(
    "specification",
    SPECIFICATION,
    (
        FormStep("general", ("name", "description", "brand", "number", "version")),
        FormStep("characteristics", ("characteristics", "validity")),
    ),
)
PRICE_FORM: Final = FormKind(
    "price",
    PRICE,
    (
        FormStep("general", ("name", "description", "version", "validity")),
        FormStep("amount", ("model", "amount", "currency", "period", "length", "per", "unit", "tax")),
    ),
)
OFFERING_FORM: Final = FormKind(
    "offering",
    OFFERING,
    (
        FormStep("general", ("name", "description", "version", "status")),
        FormStep("contents", ("category", "specification", "prices")),
        FormStep("terms", ("terms", "licence", "validity")),
    ),
)
KINDS: Final[Mapping[str, FormKind]] = {
    one.name: one for one in (SPECIFICATION_FORM, PRICE_FORM, OFFERING_FORM)
}
BY_COLLECTION: Final[Mapping[str, FormKind]] = {one.collection: one for one in KINDS.values()}


def kind_named(name: str) -> FormKind:
    """The form with a name.

    Raises:
        Refused: `Code.NOT_FOUND`.
    """
    if name not in KINDS:
        raise Refused(Code.NOT_FOUND, "There are forms for a specification, a price and an offering.")
    return KINDS[name]
