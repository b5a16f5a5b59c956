"""What the store holds and hands out: immutable records, and the question that a list answers."""

from __future__ import annotations

from typing import Literal

import msgspec

Operation = Literal["create", "change", "state", "delete"]
"""`state` is a change of the lifecycle status; a `create` may follow a `delete` of the same identifier."""


class EntityDraft(msgspec.Struct, frozen=True):
    """An entity as a layer hands it to the store."""

    id: str
    type: str
    """TM Forum type name, as `ProductOffering`."""
    body: bytes
    """Canonical JSON without `href`: what is hashed, and what is served after `href` is spliced in."""
    hashlink: str
    public: bool
    """Readable without a token, and (when it is ours) published."""
    origin: str | None = None
    """DID of the origin of a replica; None when this marketplace is the origin."""


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


class Change(msgspec.Struct, frozen=True):
    """One row of the feed: what happened to an entity here, whoever its origin is."""

    seq: int
    time: str
    entity_id: str
    type: str
    operation: Operation
    origin: str | None


class Filter(msgspec.Struct, frozen=True):
    """An equality: the attribute at `path` has one of `values`."""

    path: tuple[str, ...]
    """Attribute names from the top, as `("category", "id")`; arrays on the way match when any element does."""
    values: tuple[str, ...]
    """As in the query string; compared by the JSON type of the attribute."""


class SortKey(msgspec.Struct, frozen=True):
    """One key of an order."""

    path: tuple[str, ...]
    descending: bool = False


class Query(msgspec.Struct, frozen=True):
    """A page of the entities of one type."""

    type: str
    filters: tuple[Filter, ...] = ()
    sort: tuple[SortKey, ...] = ()
    offset: int = 0
    limit: int = 100
    public_only: bool = True


class Page(msgspec.Struct, frozen=True):
    """The answer to a `Query`."""

    bodies: tuple[bytes, ...]
    ids: tuple[str, ...]
    total: int
    """All matches, exactly."""
