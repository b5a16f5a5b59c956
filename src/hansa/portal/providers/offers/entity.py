"""The page of one own entity: its state, what may be done with it, and what keeps it from being published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec

from hansa.portal.providers.offers.launching import LaunchCondition
from hansa.portal.providers.offers.own import ChangeAction, Kind, OwnEntity

ENTITIES_PATH: Final = "/provider/entities"


class EntityLinks(msgspec.Struct, frozen=True):
    """Where an entity is edited; empty: nowhere here."""

    edit: str = ""
    visibility: str = ""
    copy: str = ""


class FormLinks(msgspec.Struct, frozen=True):
    """Where something new is written; empty: nowhere here."""

    offering: str = ""
    price: str = ""
    specification: str = ""
    begun: str = ""
    """Forms that were begun."""
    imports: str = ""
    """Many at once, from a file."""


class EditingLinks(msgspec.Struct, frozen=True):
    """Where the pages lead to write something."""

    forms: FormLinks = FormLinks()
    of: Callable[[Kind, str], EntityLinks] | None = None
    """Where an entity of a kind is edited, by its identifier."""


class ShownCondition(msgspec.Struct, frozen=True):
    """A condition of launching it, and where it is mended."""

    condition: LaunchCondition
    mend: str = ""
    """Path of a page; empty: there is none."""


class EntityPage(msgspec.Struct, frozen=True):
    """For the template `providers/entity.html`."""

    entity: OwnEntity
    actions: tuple[ChangeAction, ...]
    """Those that its state and the person's rights allow."""
    refusal: str
    """Why the person may change nothing; empty: it may."""
    conditions: tuple[ShownCondition, ...]
    links: EntityLinks
    public_path: str
    """Of the page that customers see; empty: there is none."""

    @property
    def unmet(self) -> tuple[ShownCondition, ...]:
        """The conditions that are not met."""
        return tuple(one for one in self.conditions if not one.condition.is_met)

    @property
    def is_launchable(self) -> bool:
        """Whether no condition forbids the launch."""
        return not any(one.condition.is_required for one in self.unmet)


def entity_path(entity_id: str, part: str = "") -> str:
    """Where the page of an own entity is, or one beside it."""
    return f"{ENTITIES_PATH}/{quote(entity_id, safe=':')}{part}"


def shown_conditions(
    conditions: tuple[LaunchCondition, ...], links: EntityLinks
) -> tuple[ShownCondition, ...]:
    """Conditions with where they are mended: first those that forbid the launch, last those that are met."""

    def mend(one: LaunchCondition) -> str:
        if one.is_met:
            return ""
        if one.kind == "need":
            return entity_path(one.subject) if one.is_required else ""
        if one.kind == "right":
            return "/account"
        if one.kind == "rule":
            return ""
        if one.kind == "visibility":
            return links.visibility
        return links.copy if one.kind == "identifier" else links.edit

    ordered = sorted(conditions, key=lambda one: (one.is_met, not one.is_required))
    return tuple(ShownCondition(one, mend(one)) for one in ordered)
