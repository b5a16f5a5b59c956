"""The catalogue store: entities as stored bytes, the feed of their changes, cursors. See `Store`."""

from hansa.store.records import (
    Change,
    Entity,
    EntityDraft,
    Filter,
    Operation,
    Page,
    Query,
    SortKey,
)
from hansa.store.store import Store
from hansa.store.transaction import Transaction

__all__ = [
    "Change",
    "Entity",
    "EntityDraft",
    "Filter",
    "Operation",
    "Page",
    "Query",
    "SortKey",
    "Store",
    "Transaction",
]
