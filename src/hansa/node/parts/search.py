"""What searches the catalogue, put together for one marketplace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.routing import Route

from hansa.api.search import Page, SearchApi
from hansa.business.context import Context
from hansa.business.search.answering import Search
from hansa.business.search.documents import HERE
from hansa.business.search.indexing import IndexFollower
from hansa.business.search.making import DocumentMaker
from hansa.core.cache import HasFigures
from hansa.node.folder import SEARCH_INDEX
from hansa.replication.registry import MemberRegistry
from hansa.store.sqlite.search.index import SqliteSearchIndex

Tasks = tuple[tuple[str, Callable[[], Awaitable[None]]], ...]


class Searching:
    """The search of the marketplace in the working folder.

    Args:
        context: The parts of the business.
        registry: Names of members.
        name: Of this marketplace.
    """

    def __init__(self, context: Context, registry: MemberRegistry, name: str) -> None:
        self._index = SqliteSearchIndex(Path(SEARCH_INDEX), context.clock, context.limits.search_timeout_s)
        maker = DocumentMaker(context.store, context.models)
        self._follower = IndexFollower(context.store, self._index, maker, context.clock)

        def origin_name(did: str) -> str | None:
            if did == HERE:
                return name
            member = registry.known_member(did)
            return None if member is None else member.name

        self.search: Final = Search(context, self._index, self._follower.unindexed, origin_name)
        self._context = context
        self.progress: Final = self._follower.progress
        self.caches: Final[tuple[HasFigures, ...]] = (
            maker.cache,
            self._index.cache,
            self._index.similar_cache,
        )

    def routes(self, page: Page) -> list[Route]:
        """Its routes; `page` answers whoever prefers HTML."""
        context = self._context
        return SearchApi(self.search, context.authenticate, context.limits, page).routes()

    def tasks(self) -> Tasks:
        """What runs in the background: the index follows the store."""
        return (("search", self._follower.run),)

    async def close(self) -> None:
        """Let go of the index."""
        await self._index.close()
