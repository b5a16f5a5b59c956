"""The pages of one marketplace as `hansa serve` serves them: front door, search and store, but no league.

`python -m benchmarks.pages FOLDER PORT` serves what `benchmarks.marketplace.fill` has stored. What the pages
say of the ledger is the same for every offering.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.marketplace import DID, KEY, STORE
from hansa.api.search import SearchApi
from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.business.index_plan import index_plan
from hansa.business.models import load
from hansa.business.rules import Rules
from hansa.business.search.answering import Search
from hansa.business.search.indexing import IndexFollower
from hansa.business.search.making import DocumentMaker
from hansa.core.clock import SystemClock
from hansa.core.entropy import BufferedEntropy
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.identity import TokenAuthenticate
from hansa.node.folder.disk import DiskWatch
from hansa.node.http.application import rest_application
from hansa.node.http.callers import Callers
from hansa.node.http.front_door import FrontDoor
from hansa.node.http.server import http_server, listening_socket, tune_interpreter
from hansa.node.http.traffic import Traffic
from hansa.portal import Branding, Frame
from hansa.portal.catalogue.origins import AnnouncedVersion, OriginCertificate, Provenance
from hansa.portal.catalogue.reading import CatalogueReads
from hansa.portal.catalogue.routes import CataloguePages
from hansa.store import Entity
from hansa.store.sqlite.search.index import SqliteSearchIndex
from hansa.store.sqlite.store import SqliteStore

NAME: Final = "marketplace"
VERSION: Final = AnnouncedVersion(
    1, "productOfferingCreateEvent", 1, 1, "2026-11-30T00:00:00.000Z", "Launched"
)


class SameOrigins:
    """Origins for which everything is on the ledger at the same place."""

    def name(self, did: str | None) -> str:
        """The name of a member."""
        return did or NAME

    async def provenance(self, entity: Entity) -> Provenance:
        """Where an entity comes from."""
        receipt = f"/league/v1/entities/{entity.id}/receipt"
        return Provenance(NAME, DID, None, is_own=True, announced=VERSION, receipt=receipt)

    async def history(self, entity: Entity) -> tuple[AnnouncedVersion, ...]:
        """The newest events about an entity."""
        del entity
        return (VERSION,)

    async def certificates(self, did: str) -> tuple[OriginCertificate, ...]:
        """The certificates of a member's keys."""
        del did
        return ()


async def serve(folder: Path, port: int) -> None:
    """Index what is stored, and serve until a signal."""
    clock, limits = SystemClock(), Limits()
    models = load()
    store = await SqliteStore.open(folder / STORE, clock, limits, plan=index_plan(models))
    index = SqliteSearchIndex(folder / "search.db", clock, limits.search_timeout_s)
    key = SigningKey.load(folder / KEY).verifying_key()
    authenticate = TokenAuthenticate(key, DID, clock, limits.token_lifetime_max_s)
    entropy = BufferedEntropy(os.urandom)
    endpoint = f"http://127.0.0.1:{port}"
    identifiers = OwnIdentifiers(DID, entropy, has_ledger=False)
    context = Context(
        store, models, authenticate, clock, entropy, limits, endpoint, Rules(models), identifiers
    )
    business = BusinessApp(context)
    follower = IndexFollower(store, index, DocumentMaker(store, models), clock)
    await follower.catch_up()
    search = Search(context, index, follower.unindexed)
    reads = CatalogueReads(business.operations.values(), authenticate, store.entity)
    shown = Frame(Branding(NAME)), reads, search, SameOrigins()
    pages = CataloguePages(*shown, endpoint, limits, version=store.last_change, clock=clock)
    searching = SearchApi(search, authenticate, limits, pages.search).routes()
    door = FrontDoor(
        *(business, rest_application([*pages.routes(), *searching]), Traffic()),
        DiskWatch(folder, limits.disk_free_min_bytes, clock).is_full,
        *(clock, entropy),
        compressor=business.compressor,
    )
    callers = Callers(limits, clock.monotonic, authenticate)
    server = http_server(door, limits, clock, callers=callers, answer_at_once=door.answer_at_once)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    tune_interpreter()
    try:
        await server.serve(sockets=[listening_socket("127.0.0.1", port)])
    finally:
        await index.close()
        await store.close()


def main() -> None:
    """`pages FOLDER PORT`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
