"""What the pages need of the marketplace: its entities, drafts of forms, and who would see what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from hansa.core.access import Caller
from hansa.portal.catalogue.fields import Fields
from hansa.portal.providers.editing.forms.values import Values


class StoredVersion(msgspec.Struct, frozen=True):
    """An entity as it stands now."""

    id: str
    collection: str
    fields: Fields
    version: str
    """Its hashlink."""


class EditedEntities(Protocol):
    """The entities of a catalogue, for whoever writes them; the operations of the APIs behind it decide."""

    async def check_may_create(self, caller: Caller, collection: str, /) -> None:
        """Refuse whoever can create nothing in a collection.

        Raises:
            Refused: `Code.FORBIDDEN` or `Code.POWER_MISSING`.
        """

    async def own(self, caller: Caller, id: str, /) -> StoredVersion:
        """An entity that somebody may change.

        Raises:
            Refused: `Code.NOT_FOUND`, `Code.FORBIDDEN`, `Code.POWER_MISSING` or `Code.READ_ONLY_REPLICA`.
        """

    async def readable(self, caller: Caller, collection: str, id: str, /) -> Fields:
        """An entity that somebody may read, to copy it.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def offered(self, caller: Caller, collection: str, /) -> tuple[Fields, ...]:
        """The entities of the caller's organisation, of those without one all; a bounded number."""

    async def dry_create(self, caller: Caller, collection: str, fields: dict[str, Any], /) -> None:
        """Find out what creating an entity would be refused with.

        Raises:
            Refused: What it would.
        """

    async def dry_change(self, caller: Caller, id: str, patch: dict[str, Any], version: str, /) -> None:
        """Find out what a merge patch of the version that an entity had would be refused with.

        Raises:
            Refused: What it would; `Code.PRECONDITION_FAILED`, when it has another version.
        """

    async def create(self, caller: Caller, collection: str, fields: dict[str, Any], key: str, /) -> str:
        """Create an entity; its identifier.

        Args:
            caller: Who creates it.
            collection: Of its type.
            fields: The entity.
            key: However often it is created under this key, it is created once; empty: each time.

        Raises:
            Refused: What it is refused with.
        """

    async def change(self, caller: Caller, id: str, patch: dict[str, Any], version: str, /) -> None:
        """Change an entity by a merge patch, as long as it has that version.

        Raises:
            Refused: What it is refused with; `Code.PRECONDITION_FAILED`.
        """


class FormDraft(msgspec.Struct, frozen=True):
    """What somebody has typed into a form and not put into the catalogue."""

    id: str
    kind: str
    entity: str
    """Identifier of the entity that it changes; empty: it is a new one."""
    version: str
    """Hashlink that the entity had when the form was opened."""
    base: Fields
    """The attributes that the form began with."""
    values: Values
    saved_s: int
    """Seconds since 1970."""


class FormDrafts(Protocol):
    """Drafts, each of one person, who is known by a pseudonym."""

    async def of(self, caller: Caller, /) -> tuple[FormDraft, ...]:
        """Those of a person, the one saved last first."""

    async def one(self, caller: Caller, id: str, /) -> FormDraft:
        """A draft of a person.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def begin(
        self, caller: Caller, kind: str, base: Fields, values: Values, entity: str, version: str, /
    ) -> FormDraft:
        """Save a new draft.

        Raises:
            Refused: `Code.TOO_LARGE`.
            Unavailable: `Code.OVERLOADED`, when there are too many.
        """

    async def save(self, caller: Caller, draft: FormDraft, /) -> FormDraft:
        """Save a draft again.

        Raises:
            Refused: `Code.TOO_LARGE`; `Code.NOT_FOUND`, when it was discarded meanwhile.
        """

    async def discard(self, caller: Caller, id: str, /) -> None:
        """Remove a draft."""


Names = Mapping[str, str]
"""Names by identifier."""
