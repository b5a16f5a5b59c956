"""What the pages of the forms show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from hansa.portal.catalogue.categories import CategoryNode
from hansa.portal.catalogue.fields import Fields, text_in
from hansa.portal.catalogue.offering.page import OfferingPage
from hansa.portal.frame.people import Person
from hansa.portal.providers.editing.comparing import FieldDifference, ShownField
from hansa.portal.providers.editing.faults import FieldFault
from hansa.portal.providers.editing.forms.values import Values, is_blank, row, rows_in
from hansa.portal.providers.editing.guarding import SentField

BLANK_ROWS: Final = 1
MORE_ROWS: Final = 3


class FormChoice(msgspec.Struct, frozen=True):
    """Something that can be chosen in a form."""

    id: str
    name: str
    depth: int = 0
    """In a tree."""
    status: str = ""


class ReferenceChoices(msgspec.Struct, frozen=True):
    """What can be chosen in a form of an offering."""

    categories: tuple[FormChoice, ...] = ()
    specifications: tuple[FormChoice, ...] = ()
    prices: tuple[FormChoice, ...] = ()

    def names(self) -> dict[str, str]:
        """Their names by identifier."""
        every = (*self.categories, *self.specifications, *self.prices)
        return {one.id: one.name for one in every}


class StepLink(msgspec.Struct, frozen=True):
    """A step of a form, with where it is."""

    name: str
    path: str
    """Empty: it cannot be gone to yet."""
    is_current: bool


class FormPage(msgspec.Struct, frozen=True):
    """For the template `editing/form.html`."""

    kind: str
    step: str
    steps: tuple[StepLink, ...]
    action: str
    """Where the form is sent."""
    draft: str
    """Identifier of the draft; empty: there is none yet."""
    entity: str
    """Identifier of the entity that is changed; empty: it is a new one."""
    status: str
    """Of that entity."""
    texts: Values
    rows: Mapping[str, tuple[int, ...]]
    """Numbers of the rows that are shown, by field: those with something in them, and blank ones."""
    faults: tuple[FieldFault, ...]
    choices: ReferenceChoices
    hidden: tuple[SentField, ...]
    """What goes with the form beside its fields."""
    shown: tuple[ShownField, ...]
    """At the last step: everything."""
    person: Person
    is_restored: bool = False
    """It was sent after the end of a session, and nothing of it is saved yet."""
    is_saved: bool = False
    is_done: bool = False
    """The entity was just put into the catalogue."""
    is_outdated: bool = False
    """Somebody else has changed the entity since the form was opened."""


class DraftEntry(msgspec.Struct, frozen=True):
    """A draft in the list of them."""

    id: str
    kind: str
    name: str
    saved: datetime
    entity: str


class DraftsPage(msgspec.Struct, frozen=True):
    """For the template `editing/drafts.html`."""

    drafts: tuple[DraftEntry, ...]
    person: Person


class DiscardPage(msgspec.Struct, frozen=True):
    """For the template `editing/discard.html`."""

    draft: DraftEntry
    person: Person


class ConflictPage(msgspec.Struct, frozen=True):
    """For the template `editing/conflict.html`."""

    draft: DraftEntry
    differences: tuple[FieldDifference, ...]
    seen: str
    """Version of the entity that is compared with."""
    person: Person


class PreviewPage(OfferingPage, frozen=True):
    """For the template `editing/preview.html`."""

    back: str
    """Path of the form."""


def shown_rows(texts: Values, names: Iterable[str], *, is_more: bool) -> dict[str, tuple[int, ...]]:
    """The rows that a form shows."""
    shown = {}
    for name in names:
        numbers = [number for number in rows_in(texts, name) if not is_blank(row(texts, name, number))]
        following = max(rows_in(texts, name), default=-1) + 1
        blank = MORE_ROWS if is_more or not numbers else BLANK_ROWS
        shown[name] = (*numbers, *range(following, following + blank))
    return shown


def flat(nodes: Iterable[CategoryNode], depth: int = 0) -> Iterable[FormChoice]:
    """The categories of a tree, each before those below it."""
    for node in nodes:
        yield FormChoice(node.id, node.name, depth)
        yield from flat(node.below, depth + 1)


def choices_of(entities: Iterable[Fields], current: Iterable[Fields]) -> tuple[FormChoice, ...]:
    """What can be chosen, with what is chosen already though it is somebody else's."""
    choices = {text_in(one, "id"): one for one in (*current, *entities) if text_in(one, "id")}
    made = (
        FormChoice(id, text_in(one, "name") or id, status=text_in(one, "lifecycleStatus"))
        for id, one in choices.items()
    )
    return tuple(sorted(made, key=lambda one: (one.name.casefold(), one.id)))
