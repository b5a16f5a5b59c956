"""The `Store`: the entities of a marketplace as bytes, the feed of their changes, cursors, domain tables.

Every implementation keeps the same contract (tests/contract/test_store.py):

Atomicity. What one transaction writes becomes visible together, or not at all: the entities, the rows of the
feed, the counts, the cursors, and the domain tables (`hansa.store.tables`). An exception that leaves the body
of a transaction undoes it and reaches the caller; it undoes no other transaction.

Durability. Leaving a transaction, and `committed` of a create, wait until what was written survives a crash
of the process and of the machine. An error instead means that nothing was written. A cancelled caller does
not learn which of the two happened.

Isolation. Transactions run one after the other. A transaction reads what it wrote itself and what was
committed before it; `Store` reads only what is committed. Exception: `collections_of` also knows entities
whose commit is under way, since a create that refers to one of them cannot become durable before it.

Order. Every write of an entity is one row of the feed. Rows are numbered upwards and become visible in this
order: whoever has read up to a row never finds a row before it later. Numbers may have gaps, where a write
failed. Entities of a list without a sort key are in the order in which they were created.

Revisions. An entity counts its writes from 1; an identifier that is used again after a delete goes on
counting. Putting an entity as it is already writes nothing. `Store.revision` of a collection is another
number after every commit that touches it.

Claims. An entity whose draft is *pending* is not public, and the rows of the feed that its writes append are
marked as such. The row of the write that ends this state is not; it has the operation of the first of them.

Totals. A list has the exact number of all matches, of the same moment as its page.

Errors. `Unavailable` with `Code.OVERLOADED` (too many writes or searches wait: `Limits.writes_waiting_max`),
`Code.DISK_FULL`, `Code.SEARCH_TOO_SLOW` (`Limits.search_timeout_s`) or `Code.UNAVAILABLE` (closing, locked,
unreachable); `Fatal` when the data are damaged. Programmer errors are assertions: a transaction within a
transaction, and the use of one that has ended.

Suspension. Methods that may wait are coroutines. An engine in this process (SQLite, memory) does not suspend
in `entity`, `collections_of`, `create`, `revision` or the methods of a transaction, so that awaiting them
costs no turn of the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from hansa.core.errors import HansaError
from hansa.store.index.extraction import IndexedFields
from hansa.store.records import (
    INTERNAL,
    READ_AT_ONCE_MAX_BYTES,
    Change,
    Entity,
    EntityDraft,
    ListCaller,
    Page,
    Query,
    Referrer,
)
from hansa.store.sql import SqlRead, SqlWrite


class Transaction(Protocol):
    """An open transaction, made by `Store.transaction`. It must not be used after it has ended.

    Every method raises `Unavailable` when the store fails; that is final: whatever follows in this
    transaction fails likewise, and nothing of it is written.
    """

    @property
    def time(self) -> str:
        """When this transaction wrote first; RFC 3339, UTC, milliseconds. All its rows carry this time."""

    @property
    def last_change(self) -> int:
        """Number of the newest row of the feed that this transaction wrote; 0 before the first."""

    @property
    def sql(self) -> SqlWrite:
        """The domain tables; for `hansa.store.tables` alone."""

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier."""

    async def nonce(self, entity_id: str) -> bytes | None:
        """What binds an identifier to this marketplace; also of an entity that was deleted. None: nothing."""

    async def pending_among(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of some entities that are pending."""

    async def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of some entities that exist, by identifier."""

    async def referrers(
        self,
        collections: Sequence[str],
        target_id: str,
        limit: int,
        offset: int = 0,
        size_max_bytes: int = READ_AT_ONCE_MAX_BYTES,
    ) -> tuple[Referrer, ...]:
        """Entities of this marketplace that may hold an identifier at a path of the plan.

        All that do are among them; others can be, so the caller looks at the bodies. None follow when none
        are returned. With an offset, others are let in before these are read, so what was read before may
        have changed since; what was written meanwhile comes last.

        Args:
            collections: Where to look.
            target_id: The identifier. The entity that has it is left out, and what is below that.
            limit: How many at most.
            offset: How many are left out, which were read before.
            size_max_bytes: Of their bodies together, unless the first one alone has more.
        """

    async def below(self, collections: Sequence[str], parent_id: str, limit: int) -> tuple[str, ...]:
        """Identifiers of the sub-resources of an entity, in some collections; `limit` at most."""

    async def put(self, draft: EntityDraft) -> Entity:
        """Write an entity and its row of the feed, unless the entity is already as the draft says.

        The row says `create`, `state` when the status or the type changes, otherwise `change`.
        """

    async def add(self, draft: EntityDraft) -> Entity:
        """Write an entity whose identifier is known to be free now, but may have been used before."""

    async def add_all(self, drafts: Sequence[EntityDraft]) -> None:
        """The same for many, whose identifiers differ: what is read takes a few statements for all."""

    async def create(self, draft: EntityDraft) -> Entity:
        """Write an entity whose identifier was made just now, so that it can never have been used."""

    async def delete(self, entity_id: str) -> Entity | None:
        """Remove an entity and append its row of the feed; the entity as it was, or None when there was none.

        Registrations at the hub of a topic (`hansa.store.tables.subscriptions`) end with the entity of that
        topic.
        """

    async def feed_end(self) -> int:
        """Number of the newest row of the feed, of this transaction or before it; 0 before the first."""

    async def cursor(self, name: str) -> int:
        """Position of a cursor; 0 before its first move."""

    async def set_cursor(self, name: str, position: int) -> None:
        """Move a cursor."""


class Store(Protocol):
    """The entities of a marketplace and the feed of what happened to them."""

    @property
    def sql(self) -> SqlRead:
        """The domain tables, as they are committed; for `hansa.store.tables` alone."""

    @property
    def writes_waiting(self) -> int:
        """Transactions and creates that run, or wait for their turn or their commit."""

    async def close(self) -> None:
        """Commit what waits, refuse everything that follows, and close files and connections."""

    # -- reading entities ----------------------------------------------------------------------------------

    async def entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier."""

    def cached_entity(self, entity_id: str) -> Entity | None:
        """An entity by its identifier, if it is in memory; None says nothing about whether it exists."""

    async def entities(self, entity_ids: Sequence[str]) -> dict[str, Entity]:
        """Those of some entities that exist, by identifier."""

    async def collections_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The collections of those of some entities that exist or are being committed, by identifier."""

    def pending_ids(self) -> AbstractSet[str]:
        """Identifiers of all entities that are pending, also of those whose commit is under way.

        Others can be among them. The set is the store's own, and changes with it.
        """

    async def missing(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of some identifiers of which no entity exists."""

    async def list(self, query: Query, caller: ListCaller = INTERNAL) -> Page:
        """A page of the entities of one collection, and the exact total, on behalf of somebody.

        Order: the sort keys, the first decides before the second. Values of one key: absent (null and objects
            too), then numbers, then strings by code point; `descending` turns this around. Entities that are
            equal in all keys are in the order in which they were created, or the opposite when the last key
            is descending.

        Size: the bodies of a page have `Limits.answer_size_max_bytes` together; a page of which more is
        requested
            ends before (`Page.is_cut`), but has one entity at least.

        `name`, `lastUpdate` and the attribute that holds the status are strings; whether any other value of
        them matches, and where it is sorted, is not defined.

        Raises:
            Refused: `Code.INVALID`, for a pattern that is no regular expression.
            Unavailable: `Code.OVERLOADED`, when too many lists without an index wait; `Code.SEARCH_TOO_SLOW`,
                when this one took too long, the time in which it waited included.
            Exception: What `caller.left` raises, when the caller leaves before there is a result.
        """

    def revision(self, collection: str) -> int:
        """A number that every commit which touches a collection changes. It is not durable."""

    async def counts(self) -> dict[tuple[str, bool, bool], int]:
        """How many entities there are, by (collection, is ours, is public); no entry is 0."""

    def scan(
        self,
        types: Sequence[str] = (),
        *,
        own_only: bool = False,
        public_only: bool = True,
        after_id: str = "",
        limit: int = 500,
    ) -> AsyncIterator[tuple[Entity, ...]]:
        """A walk over all entities (of some collections) in order of their identifiers, `limit` at a time.

        A page has fewer where their bodies have more than `Limits.answer_size_max_bytes`. Each page is read
        when it is requested: what is written during the walk appears if it is after the last page.
        """

    def referring(self) -> AsyncIterator[tuple[Referrer, ...]]:
        """A walk over all entities, replicas too, that refer to others at a path of the plan."""

    def unindexed_searches(self) -> dict[tuple[str, str], int]:
        """How often others' lists compared or sorted by what has no index, by (collection, path).

        Those of the marketplace itself are not among them: no operator can do anything about these.
        """

    # -- the feed ------------------------------------------------------------------------------------------

    async def changes(self, after: int, limit: int) -> tuple[Change, ...]:
        """Rows of the feed after a number, oldest first."""

    async def own_changes(self, after: int) -> int:
        """How many rows of the feed after a number are of entities whose origin is this marketplace."""

    async def last_change(self) -> int:
        """Number of the newest row of the feed; 0 before the first."""

    async def wait_for_change(self, after: int) -> None:
        """Return as soon as the feed has a row beyond a number."""

    async def cursor(self, name: str) -> int:
        """Position of a cursor; 0 before its first move."""

    # -- writing -------------------------------------------------------------------------------------------

    def indexed(self, collection: str, entity: dict[str, Any], parent: str | None) -> IndexedFields:
        """What of an entity that is about to be written is indexed; this part of a write needs no engine."""

    async def create(self, draft: EntityDraft, committed: asyncio.Future[HansaError | None]) -> Entity:
        """Write an entity whose identifier can never have been used, because it was made just now.

        Does what a transaction of its own would do, without waiting for a turn or for the commit.

        Args:
            draft: The entity.
            committed: Completed when the entity is durable, or with the reason why nothing was written:
                `Unavailable`.

        Raises:
            Unavailable: `Code.OVERLOADED` or `Code.UNAVAILABLE`; nothing was written, and `committed` is not
                touched.
        """

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction, from entering to the durable commit on leaving.

        Its body should wait for nothing but the transaction: all other transactions wait for it. Entering
        raises `Unavailable` (`Code.OVERLOADED`, `Code.DISK_FULL`, `Code.UNAVAILABLE`); so does leaving, and
        then nothing was written.
        """
