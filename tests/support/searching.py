"""A marketplace that can be searched, in this process: store and index in files, nothing runs behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette

from hansa.api.search import SearchApi
from hansa.business.search.answering import Search
from hansa.business.search.indexing import IndexFollower
from hansa.business.search.making import DocumentMaker
from hansa.business.search.request import search_request
from hansa.business.search.results import SearchPage
from hansa.core.access import ANONYMOUS, Caller
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import SystemClock
from hansa.node.http.application import rest_application
from hansa.store import EntityDraft
from hansa.store.search.interface import SearchIndex
from hansa.store.sqlite.search.index import SqliteSearchIndex
from tests.support.asgi import AsgiClient
from tests.support.business import Business, authenticate, open_business

READER = Caller("reader", frozenset({"reader"}))


class Searched:
    """A business, its index, and what answers searches."""

    def __init__(self, business: Business, index: SearchIndex) -> None:
        self.business = business
        self.index = index
        self.maker = DocumentMaker(business.store, business.models)
        self.follower = IndexFollower(business.store, index, self.maker, business.clock)
        names = {"here": "Lubeck", "did:key:zFar": "Bergen"}
        self.search = Search(business.context, index, self.follower.unindexed, names.get)
        api = SearchApi(self.search, authenticate, business.limits)
        self.application: Starlette = rest_application(api.routes())
        self.client = AsgiClient(self.application)

    async def put(self, *entities: Mapping[str, Any], origin: str | None = None) -> None:
        """Write entities in one transaction; what is launched, or has no state, is public."""
        async with self.business.store.transaction() as tx:
            for fields in entities:
                await tx.put(draft_of(fields, origin))

    async def delete(self, *ids: str) -> None:
        """Delete entities."""
        async with self.business.store.transaction() as tx:
            for each in ids:
                await tx.delete(each)

    async def page(self, text: str = "", caller: Caller = ANONYMOUS, /, **parameters: object) -> SearchPage:
        """A page of hits."""
        query = urlencode({"q": text, **parameters}, doseq=True).encode()
        return await self.search.page(caller, search_request(query, self.business.limits))

    async def ids(self, text: str = "", caller: Caller = ANONYMOUS, /, **parameters: object) -> list[str]:
        """Identifiers of the hits, in their order."""
        return [hit.id for hit in (await self.page(text, caller, **parameters)).hits]

    async def suggested(self, text: str, caller: Caller = ANONYMOUS) -> list[str]:
        """Texts that are suggested."""
        return [one.text for one in (await self.search.suggestions(caller, text)).suggestions]


def draft_of(fields: Mapping[str, Any], origin: str | None = None) -> EntityDraft:
    """An entity as the store takes it."""
    body = canonical_json(dict(fields))
    is_public = fields.get("lifecycleStatus", "Launched") in {"Launched", "Retired"}
    return EntityDraft(fields["id"], fields["@type"], body, hashlink(body), is_public, origin)


def offering(id: str, name: str, description: str = "", /, **more: object) -> dict[str, Any]:
    """An offering that is launched."""
    fields = {"id": id, "@type": "ProductOffering", "name": name, "lifecycleStatus": "Launched", **more}
    return {**fields, "description": description} if description else fields


def counts(page: SearchPage, name: str) -> dict[str, int]:
    """The values of a facet with their numbers."""
    return {one.value: one.count for facet in page.facets if facet.name == name for one in facet.values}


def texts(page: SearchPage) -> Sequence[str]:
    """What of the names of hits is highlighted."""
    return [hit.name.text[one.start : one.end] for hit in page.hits for one in hit.name.highlights]


@asynccontextmanager
async def open_searched(folder: Path, business: Business | None = None) -> AsyncIterator[Searched]:
    """A marketplace with an index in a folder; closed at the end."""
    own = business or await open_business()
    index = SqliteSearchIndex(folder / "search.db", SystemClock(), 60.0)
    try:
        yield Searched(own, index)
    finally:
        await index.close()
        if business is None:
            await own.store.close()
