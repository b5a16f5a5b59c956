"""`GET /league/v1/catalogue`: the public entities that are here, without their content, for comparing members.

    {"entities": [{"id": …, "type": …, "hashlink": …, "origin": <DID>}, …], "next": <id, or null at the end>}

in the order of identifiers, a page at a time: `after` continues where a page ended, `limit` bounds it, `type` (may be
repeated) selects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.api.parameters import Parameters
from hansa.core.distribution import WHOLE_ENTITIES, Distribution
from hansa.core.limits import Limits
from hansa.store import Entity, Store

PATH: Final = "/league/v1/catalogue"
LIMIT_MAX: Final = 999_999_999
"""What may be asked for; a page has `list_limit_max` at most."""
PARAMETERS: Final = frozenset({"after", "limit", "type"})


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


def catalogue_routes(
    store: Store, did: str, limits: Limits, distribution: Distribution[Entity] = WHOLE_ENTITIES
) -> list[Route]:
    """The routes of this module; `did` is this marketplace's own."""

    async def catalogue(request: Request) -> Response:
        asked = Parameters(request, PARAMETERS, limits)
        types = asked.texts("type")
        size = min(asked.number("limit", limits.list_limit_max, 1, LIMIT_MAX), limits.list_limit_max)
        after_id = asked.text("after") or ""
        found = tuple(map(distribution.published, await _page(store, types, after_id, size)))
        entries = tuple(
            CatalogueEntry(entity.id, entity.type, entity.hashlink, entity.origin or did) for entity in found
        )
        page = CataloguePage(entries, entries[-1].id if len(entries) == size else None)
        return Response(msgspec.json.encode(page), media_type="application/json")

    return [Route(PATH, catalogue, methods=["GET"])]


async def _page(store: Store, types: Sequence[str], after_id: str, size: int) -> tuple[Entity, ...]:
    async for page in store.scan(types, public_only=True, after_id=after_id, limit=size):
        return page
    return ()
