"""One marketplace's API as `hansa serve` runs it: front door, tokens, validation and store, but no league.

`fill` makes its folder; `python -m benchmarks.marketplace FOLDER PORT [hub] [search]` serves it, with the
argument `hub` with the delivery of notifications, with `search` with an index that follows the store.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from itertools import islice
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.offerings import TYPE, Seeded, filters, is_public, stored_offerings
from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.business.hub import HubDispatcher
from hansa.business.index_plan import index_plan
from hansa.business.models import load
from hansa.business.rules import Rules
from hansa.business.search.indexing import IndexFollower
from hansa.business.search.making import DocumentMaker
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import Clock, SystemClock
from hansa.core.entropy import BufferedEntropy
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.identity import TokenAuthenticate, issue_token
from hansa.node.allowed_origins import ListenerOrigins
from hansa.node.folder.disk import DiskWatch
from hansa.node.http.callers import Callers
from hansa.node.http.front_door import FrontDoor
from hansa.node.http.server import http_server, listening_socket, tune_interpreter
from hansa.node.http.traffic import Traffic
from hansa.node.outbound import OutboundClient
from hansa.store import EntityDraft
from hansa.store.sqlite.search.index import SqliteSearchIndex
from hansa.store.sqlite.store import SqliteStore

KEY: Final = "token.jwk"
STORE: Final = "store.db"
SEARCH_INDEX: Final = "search.db"
DID: Final = "did:web:marketplace.example"
PUTS_IN_TRANSACTION: Final = 500
TOKEN_EXPIRES_IN_S: Final = 86_400.0


async def fill(folder: Path, count: int, clock: Clock) -> Seeded:
    """Make a store with so many offerings, and a token for its API."""
    key = SigningKey.generate()
    key.save(folder / KEY)
    token = issue_token(key, DID, "benchmark", ["operator"], TOKEN_EXPIRES_IN_S, clock, os.urandom)
    store = await SqliteStore.open(
        folder / STORE, clock, Limits(), synchronous="normal", plan=index_plan(load())
    )
    offerings = stored_offerings(count)
    body_bytes, by_attribute = 0, filters()
    matches = dict.fromkeys(by_attribute, 0)
    while batch := list(islice(offerings, PUTS_IN_TRANSACTION)):
        async with store.transaction() as tx:
            for entity in batch:
                body = canonical_json(entity)
                body_bytes += len(body)
                for attribute, filter in by_attribute.items():
                    matches[attribute] += filter.matches(entity)
                await tx.put(EntityDraft(entity["id"], TYPE, body, hashlink(body), is_public(entity)))
    await store.close()
    disk_bytes = sum(file.stat().st_size for file in folder.glob(f"{STORE}*"))
    return Seeded(token, count, matches, body_bytes, disk_bytes)


async def serve(folder: Path, port: int, *, with_hub: bool, with_search: bool) -> None:
    """Serve until a signal."""
    clock, limits = SystemClock(), Limits()
    models = load()
    store = await SqliteStore.open(folder / STORE, clock, limits, plan=index_plan(models))
    key = SigningKey.load(folder / KEY).verifying_key()
    authenticate = TokenAuthenticate(key, DID, clock, limits.token_lifetime_max_s)
    entropy = BufferedEntropy(os.urandom)
    endpoint = f"http://127.0.0.1:{port}"
    business = BusinessApp(
        Context(
            *(store, models, authenticate, clock, entropy, limits, endpoint),
            *(Rules(models), OwnIdentifiers(DID, entropy, has_ledger=False)),
        )
    )
    door = FrontDoor(
        business,
        business,
        Traffic(),
        DiskWatch(folder, limits.disk_free_min_bytes, clock).is_full,
        clock,
        entropy,
        compressor=business.compressor,
    )
    callers = Callers(limits, clock.monotonic, authenticate)
    server = http_server(door, limits, clock, callers=callers, answer_at_once=door.answer_at_once)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    to_listeners = OutboundClient(ListenerOrigins(store).has_origin, allow_private_networks=True)
    hub = HubDispatcher(store, models, to_listeners, clock, os.urandom, limits, endpoint)
    index = SqliteSearchIndex(folder / SEARCH_INDEX, clock, limits.search_timeout_s)
    follower = IndexFollower(store, index, DocumentMaker(store, models), clock)
    background = [
        asyncio.create_task(run())
        for run, is_needed in ((hub.run, with_hub), (follower.run, with_search))
        if is_needed
    ]
    tune_interpreter()
    try:
        await server.serve(sockets=[listening_socket("127.0.0.1", port)])
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await index.close()
        await to_listeners.close()
        await store.close()


def main() -> None:
    """`marketplace FOLDER PORT [hub] [search]`."""
    folder, port, *options = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(folder), int(port), with_hub="hub" in options, with_search="search" in options))


if __name__ == "__main__":
    main()
