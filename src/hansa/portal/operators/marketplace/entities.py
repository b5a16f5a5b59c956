"""Entities, as the league and this marketplace know them: for whoever asks why one is not where it should be.

/operator/entities              a box to look one up; identifiers and ledger keys of each collection
/operator/entities/{id}         one: by its identifier or its ledger key
"""

from __future__ import annotations

from typing import Final, Protocol
from urllib.parse import quote

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, Refused
from hansa.portal.catalogue.origins import AnnouncedVersion
from hansa.portal.frame.people import Visit, see
from hansa.portal.operators.marketplace.acting import id_of
from hansa.portal.operators.operator_frame import OperatorFrame
from hansa.portal.operators.paging import ROWS, Turning, number, turning
from hansa.portal.operators.places import OperatorPage

PATH: Final = "/operator/entities"
NAME_MAX_CHARS: Final = 1024


class EntityKeyRow(msgspec.Struct, frozen=True):
    """An entity of a collection."""

    id: str
    key: str
    """On the ledger: SHA-256 of its origin and its identifier, hex."""
    origin: str
    """Name of its origin; empty: this marketplace."""
    is_public: bool


class CollectionCount(msgspec.Struct, frozen=True):
    """How many entities of a collection are here."""

    type: str
    count: int


class PublicationView(msgspec.Struct, frozen=True):
    """How far an own entity is published."""

    version: int
    """Last one on the ledger; 0: none."""
    first_position: int | None
    last_position: int | None
    is_withdrawn: bool
    is_under_way: bool
    """An event waits for its block."""
    is_due: bool
    """It is looked at again soon."""
    refusal_code: str | None
    refusal: str | None
    """Why the ledger refused its last event."""
    claimed_by: str | None
    """Name of the member that claimed the identifier earlier."""
    unmet: str | None
    """Which condition it does not meet, so that it is not published."""


class ReplicaView(msgspec.Struct, frozen=True):
    """The state here of what another member announced."""

    member: str
    """Its name."""
    state: str
    """`stored`, `pending`, `deferred`, `skipped`, `rejected` or `deleted`."""
    version: int
    position: int
    replica_version: int | None
    """Of the older replica that is here."""
    attempts: int
    problem: str | None
    reason: str | None


class EntityView(msgspec.Struct, frozen=True):
    """One entity."""

    name: str
    """Identifier, or ledger key when the identifier is not known here."""
    is_here: bool
    """Whether it is in the store."""
    type: str
    origin: str
    """Name of its origin; empty: this marketplace."""
    is_public: bool
    revision: int
    hashlink: str
    keys: tuple[tuple[str, str], ...]
    """Names of members with the key that the identifier has, when it is theirs."""
    publication: PublicationView | None
    replicas: tuple[ReplicaView, ...]
    history: tuple[AnnouncedVersion, ...]
    receipt: str | None


class EntitiesPage(OperatorPage, frozen=True):
    """For the template `operating/entities.html`."""

    sought: str
    """What was looked up in vain; empty: nothing was."""
    collections: tuple[CollectionCount, ...]
    type: str
    """That is listed; empty: none."""
    rows: tuple[EntityKeyRow, ...]
    turning: Turning


class KnownEntityPage(OperatorPage, frozen=True):
    """For the template `operating/entity.html`."""

    one: EntityView


class EntityReads(Protocol):
    """Knows entities."""

    async def collections(self) -> tuple[CollectionCount, ...]:
        """Those that have entities."""

    async def page(self, type: str, limit: int, offset: int, /) -> tuple[EntityKeyRow, ...]:
        """Entities of a collection.

        Raises:
            Refused: `Code.INVALID`, when there is no such one.
        """

    async def is_known(self, name: str, /) -> bool:
        """Whether there is an entity with this identifier or ledger key."""

    async def one(self, name: str, /) -> EntityView | None:
        """An entity by its identifier or its ledger key; None: neither is known."""


class EntityPages:
    """The handlers.

    Args:
        frame: Of pages for operators.
        entities: Are shown.
    """

    def __init__(self, frame: OperatorFrame, entities: EntityReads) -> None:
        self._frame = frame
        self._entities = entities

    def routes(self) -> list[BaseRoute]:
        """Both."""
        guarded = self._frame.guarded
        return [
            Route("/operator/entities", guarded(self.entities)),
            Route("/operator/entities/{id}", guarded(self.entity)),
        ]

    async def entities(self, visit: Visit) -> Response:
        """`GET /operator/entities?q=&type=&offset=`; what is known is gone to."""
        request = visit.request
        sought, type = (request.query_params.get(name, "").strip() for name in ("q", "type"))
        if max(len(sought), len(type)) > NAME_MAX_CHARS:
            raise Refused(Code.INVALID, f"q and type have {NAME_MAX_CHARS} characters at most.")
        if sought and await self._entities.is_known(sought):
            return see(f"{PATH}/{quote(sought, safe=':')}")
        offset = number(request, "offset")
        rows = await self._entities.page(type, ROWS + 1, offset) if type else ()
        turned = turning(PATH, {"type": type}, offset, len(rows))
        collections = await self._entities.collections()
        page = EntitiesPage(sought, collections, type, rows[:ROWS], turned, places=self._frame.places)
        return self._frame.page(visit, "operating/entities.html", page)

    async def entity(self, visit: Visit) -> Response:
        """`GET /operator/entities/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        name = id_of(visit)
        one = await self._entities.one(name) if len(name) <= NAME_MAX_CHARS else None
        if one is None:
            reason = "Neither this marketplace nor what it followed of the ledger has this entity."
            raise Refused(Code.NOT_FOUND, reason)
        page = KnownEntityPage(one, places=self._frame.places)
        return self._frame.page(visit, "operating/entity.html", page)
