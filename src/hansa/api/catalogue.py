"""`GET /league/v1/catalogue`: the public entities that are here, without content, for comparing members.

    {"entities": [{"id": …, "type": …, "hashlink": …, "origin": <DID>}, …], "next": <id, or null at the end>}

in the order of identifiers, a page at a time: `after` continues where a page ended, `limit` bounds it, `type`
(may be repeated) selects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters, Reader, known_types, page_size
from hansa.api.responses import json_response
from hansa.core.limits import Limits
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.store import Entity, Store


class CatalogueEntry(msgspec.Struct, frozen=True):
    """One entity, as far as members compare it."""

    id: str
    type: str
    hashlink: str
    origin: str
    """DID of the member whose entity it is."""


class CataloguePage(msgspec.Struct, frozen=True):
    """A part of the catalogue."""

    entities: tuple[CatalogueEntry, ...]
    next: str | None


class CatalogueApi:
    """Serves the catalogue.

    Args:
        store: Where the entities are.
        did: This marketplace's own.
        limits: `list_limit_max`.
        policy: What everybody may retrieve.
        types: Those that are public; none: any name is taken.
    """

    def __init__(
        self,
        store: Store,
        did: str,
        limits: Limits,
        policy: DistributionPolicy,
        types: Collection[str] = (),
    ) -> None:
        self._parameters: Mapping[str, Reader] = {
            "after": Parameters.text,
            "limit": page_size,
            "type": known_types(types, "public type"),
        }
        self._store = store
        self._did = did
        self._limits = limits
        self._policy = policy

    async def page(self, request: Request) -> Response:
        """`GET /league/v1/catalogue`."""
        parameters = Parameters(request, self._parameters, self._limits)
        types = parameters.texts("type")
        size = parameters.page_size(self._limits.list_limit_max)
        entries = await self._entries(types, parameters.text("after") or "", size)
        return json_response(CataloguePage(tuple(entries), entries[-1].id if len(entries) == size else None))

    def _entry(self, entity: Entity) -> CatalogueEntry:
        return CatalogueEntry(entity.id, entity.type, entity.hashlink, entity.origin or self._did)

    async def _entries(self, types: Sequence[str], after_id: str, size: int) -> list[CatalogueEntry]:
        entries: list[CatalogueEntry] = []
        async for page in self._store.scan(types, public_only=True, after_id=after_id, limit=size):
            parts = [self._policy.may_retrieve(None, one) for one in page]
            entries += [self._entry(one) for one in parts if one is not None][: size - len(entries)]
            if len(entries) == size:
                break
        return entries
