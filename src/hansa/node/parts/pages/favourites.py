"""Favourites of people in the store (`hansa.portal.catalogue.favourites.StoredFavourites`)."""

from __future__ import annotations

from collections.abc import Sequence

from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, Refused
from hansa.store import Store
from hansa.store.tables.logins import favourites


class FavouritesInStore:
    """Reads and writes them.

    Args:
        store: Has them.
        clock: For when they were added.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def of(self, subject: str) -> tuple[str, ...]:
        """See `StoredFavourites`."""
        return await favourites.of(self._store, subject)

    async def add(self, subject: str, offerings: Sequence[str]) -> None:
        """See `StoredFavourites`."""
        async with self._store.transaction() as tx:
            has_room = await favourites.add(tx, subject, offerings, epoch_ms(self._clock))
        if not has_room:
            most = favourites.FAVOURITES_MAX
            raise Refused(Code.INVALID, f"A person has {most} favourites at most: remove some first.")

    async def remove(self, subject: str, offerings: Sequence[str]) -> None:
        """See `StoredFavourites`."""
        async with self._store.transaction() as tx:
            await favourites.remove(tx, subject, offerings)
