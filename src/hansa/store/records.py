"""What the store holds and hands out: immutable records, and the question that a list answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Literal, TypeAlias

import msgspec

from hansa.core.work import Checkpoint
from hansa.store.index.extraction import IndexedFields
from hansa.store.operators import EQ, Operator

READ_AT_ONCE_MAX_BYTES: Final = 262_144
"""Of bodies that are read and parsed within one turn of the event loop; that takes some milliseconds."""

Operation = Literal["create", "change", "state", "delete"]
"""`state` is a change of the lifecycle status; a `create` may follow a `delete` of the same identifier."""


class EntityDraft(msgspec.Struct, frozen=True):
    """An entity as a layer hands it to the store."""

    id: str
    type: str
    """Its collection: the TM Forum type, as `ProductOffering`, unless several APIs have one of that name."""
    body: bytes
    """Canonical JSON without `href`: what is hashed, and what is served after `href` is spliced in."""
    hashlink: str
    public: bool
    """Readable without a token, and (when it is ours) published."""
    origin: str | None = None
    """DID of the origin of a replica; None when this marketplace is the origin."""
    parent: str | None = None
    """Identifier of the entity below whose path a sub-resource is served."""
    indexed: IndexedFields | None = None
    """What `Store.indexed` returned for the body; None: the transaction works it out."""
    nonce: bytes | None = None
    """What binds the identifier to this marketplace (`hansa.core.identifiers`); None when it is a chosen
    one. It is stored when the entity is created, and outlasts changes, deletion and creation anew."""
    is_pending: bool = False
    """It is to be public as soon as this marketplace's claim on its identifier is committed, and not public
    yet."""


class Entity(msgspec.Struct, frozen=True):
    """An entity as stored."""

    id: str
    type: str
    body: bytes
    hashlink: str
    public: bool
    origin: str | None
    revision: int
    """Counts the writes of this entity here, from 1."""
    parent: str | None = None
    """Identifier of the entity below whose path a sub-resource is served."""
    modified: str = "1970-01-01T00:00:00.000Z"
    """When it was last written here; RFC 3339."""
    nonce: bytes | None = None
    """What binds the identifier to this marketplace; None when it is a chosen one."""
    pending: Operation | None = None
    """Not None while the entity is to be public and the claim on its identifier is not committed: what its
    row of the feed will say when it becomes public."""


class Change(msgspec.Struct, frozen=True):
    """One row of the feed: what happened to an entity here, whoever its origin is."""

    seq: int
    time: str
    entity_id: str
    type: str
    operation: Operation
    origin: str | None
    status: str | None = None
    """State that the entity has since then, or had when it was deleted."""
    parent: str | None = None
    """Identifier of the entity below whose path a sub-resource is served."""
    is_pending: bool = False
    """Nobody is notified of it: the claim on the entity's identifier was not committed. Another row follows
    when the entity becomes public."""


class Referrer(msgspec.Struct, frozen=True):
    """An entity that refers to others."""

    id: str
    collection: str
    body: bytes
    origin: str | None = None
    """DID of the origin of a replica."""


class Filter(msgspec.Struct, frozen=True):
    """A comparison: the attribute at `path` compares so with at least one of `values`.

    Compared by the JSON type of the attribute's value: a number with texts that are JSON numbers, `true` and
    `false` with these words, a string by code point, each if the operator applies to it. Null and objects
    compare with nothing.
    """

    path: tuple[str, ...]
    """Attribute names from the top, as `("category", "id")`; an array matches when any element does."""
    values: tuple[str, ...]
    """As in the query string."""
    operator: Operator = EQ
    is_instant: bool = False
    """The attribute holds date-times."""

    @property
    def has_moments(self) -> bool:
        """Whether strings compare as moments (`hansa.core.instants.comparable`), whatever their zones."""
        return self.is_instant and self.operator.has_moments


class Test(msgspec.Struct, frozen=True):
    """A condition that no index serves and SQL cannot say: a function of the whole entity."""

    name: str
    """What it is called in messages."""
    holds: Callable[[Any, Checkpoint], bool]
    """Called with the decoded body, in a worker thread where the store searches; it calls the checkpoint
    every few hundred microseconds."""


class IsPublic(msgspec.Struct, frozen=True):
    """The entity is public, or is not: no part of its body says so, so that only a store can tell."""

    holds: bool = True


class AnyOf(msgspec.Struct, frozen=True):
    """At least one holds."""

    conditions: tuple[Condition, ...]


class AllOf(msgspec.Struct, frozen=True):
    """Each holds."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = Filter | Test | IsPublic | AnyOf | AllOf


class SortKey(msgspec.Struct, frozen=True):
    """One key of an order."""

    path: tuple[str, ...]
    descending: bool = False
    is_instant: bool = False
    """Strings that are date-times are ordered as moments."""


class Query(msgspec.Struct, frozen=True):
    """A page of the entities of one type."""

    type: str
    filters: tuple[Condition, ...] = ()
    """Each must hold."""
    sort: tuple[SortKey, ...] = ()
    offset: int = 0
    limit: int = 100
    public_only: bool = True
    parent: str | None = None
    """Only sub-resources of this entity."""


class ListCaller(msgspec.Struct, frozen=True):
    """On whose behalf a list is read: decides whose turn it is, and when nobody needs the result any more."""

    is_stranger: bool = False
    """Nobody knows who it is. Strangers together never use all of what searches in worker threads."""
    left: Callable[[], Awaitable[object]] | None = None
    """Waits until the caller has left, and raises what is to end the list then. It is cancelled otherwise."""


INTERNAL: Final = ListCaller()
"""The marketplace itself."""


class Page(msgspec.Struct, frozen=True):
    """The answer to a `Query`."""

    tails: tuple[bytes, ...]
    """What follows the address of each entity where it is shown whole: see `tail_of`."""
    ids: tuple[str, ...]
    total: int
    """All matches, exactly."""
    unindexed: tuple[str, ...] = ()
    """Attributes (dotted) and tests for which every entity of the type had to be looked at."""
    is_cut: bool = False
    """It has fewer entities than the query names, because more would have too many bytes; the next page
    begins behind them."""
    is_plain: bool = True
    """Whether no identifier needs an escape in a path or in JSON: only then tails can be shown."""

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """The stored bodies."""
        shown = zip(self.ids, self.tails, strict=True)
        return tuple([b"{" + behind[len(tail_of(name, b"{")) :] for name, behind in shown])


def tail_of(identifier: str, body: bytes) -> bytes:
    """What follows `{"href":"…/` where an entity is shown: the end of the address, the rest of the body."""
    return b'%b",%b' % (identifier.encode(), body[1:])


def fitting(sizes_bytes: Iterable[int], size_max_bytes: int) -> int:
    """How many values, from the first on, have a size together at most; one at least, if there is any."""
    count = total_bytes = 0
    for size_bytes in sizes_bytes:
        total_bytes += size_bytes
        if total_bytes > size_max_bytes and count:
            break
        count += 1
    return count
