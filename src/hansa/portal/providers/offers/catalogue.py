"""The own catalogue as a list: what of it, and where its pages are."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.known_words import check_known
from hansa.portal.providers.offers.own import (
    CHANGE_ACTIONS,
    KINDS,
    STAGES,
    TEXT_MAX_CHARS,
    ChangeAction,
    Kind,
    OwnEntity,
    OwnPage,
    OwnQuery,
    Stage,
)

CATALOGUE_PATH: Final = "/provider/catalogue"
AFTER_MAX_CHARS: Final = 2000
_PARAMETERS: Final = ("type", "stage", "text", "after")


class Choice(msgspec.Struct, frozen=True):
    """A link to another part of the list."""

    value: str
    """A type or a stage; empty: any."""
    path: str
    is_current: bool


class OwnCataloguePage(msgspec.Struct, frozen=True):
    """For the template `providers/catalogue.html`."""

    kind: Kind
    stage: Stage | None
    text: str
    kinds: tuple[Choice, ...]
    stages: tuple[Choice, ...]
    entities: tuple[OwnEntity, ...]
    actions: tuple[ChangeAction, ...]
    """That at least one of them allows."""
    first_path: str
    """Of the first page of this list; empty: this is it."""
    next_path: str
    """Of the next page; empty: there is none."""
    has_visibility: bool = False
    """Whether who sees them can be set for several at once."""


def own_query(parameters: tuple[tuple[str, str], ...]) -> OwnQuery:
    """What a query string asks for.

    Raises:
        Refused: `Code.INVALID`, saying what is wrong.
    """
    values: dict[str, str] = {}
    for name, value in parameters:
        check_known((name,), (*_PARAMETERS, "lang"), "parameter")
        if name in values:
            raise Refused(Code.INVALID, f"{name} comes twice.")
        values[name] = value
    kind, stage = values.get("type") or KINDS[0], values.get("stage", "")
    check_known((kind,), KINDS, "type")
    if stage:
        check_known((stage,), STAGES, "stage")
    text, after = values.get("text", "").strip(), values.get("after", "")
    if len(text) > TEXT_MAX_CHARS or len(after) > AFTER_MAX_CHARS:
        raise Refused(Code.INVALID, f"text has {TEXT_MAX_CHARS} characters at most.")
    return OwnQuery(
        next(one for one in KINDS if one == kind),
        next((one for one in STAGES if one == stage), None),
        text,
        after,
    )


def list_path(kind: Kind, stage: Stage | None = None, text: str = "", after: str = "") -> str:
    """Where a part of the list is."""
    named = {"type": kind, "stage": stage or "", "text": text, "after": after}
    return f"{CATALOGUE_PATH}?{urlencode({name: value for name, value in named.items() if value})}"


def catalogue_page(requested: OwnQuery, result: OwnPage, *, has_visibility: bool = False) -> OwnCataloguePage:
    """The page of a part of the list."""
    kind, stage, text = requested.kind, requested.stage, requested.text
    allowed = {action for one in result.entities for action in one.actions}
    stages: tuple[Stage | None, ...] = (None, *STAGES)
    return OwnCataloguePage(
        kind,
        stage,
        text,
        tuple(Choice(one, list_path(one, stage, text), one == kind) for one in KINDS),
        tuple(Choice(one or "", list_path(kind, one, text), one == stage) for one in stages),
        result.entities,
        tuple(one for one in CHANGE_ACTIONS if one in allowed),
        list_path(kind, stage, text) if requested.after else "",
        list_path(kind, stage, text, result.next_after) if result.next_after else "",
        has_visibility,
    )
