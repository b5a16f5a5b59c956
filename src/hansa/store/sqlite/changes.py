"""What a transaction changed, for the counts and the sets of numbers that follow it."""

from __future__ import annotations

import msgspec

from hansa.store.index.extraction import IndexKey

Kind = tuple[str, bool, bool, str | None]
"""Collection, is ours, is public, status."""


class Delta(msgspec.Struct, frozen=True):
    """An entity is added to the store, or removed; a change is both."""

    kind: Kind
    postings: tuple[IndexKey, ...]
    difference: int
    """1 or -1."""
    number: int
    """Of the entity."""
