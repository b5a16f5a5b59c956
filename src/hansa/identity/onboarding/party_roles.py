"""The party roles of approved organisations, for access policies, which are asked without waiting."""

from __future__ import annotations

from typing import Final

from hansa.store import Store
from hansa.store.tables.onboarding import registrations
from hansa.store.tables.onboarding.registrations import Registration

PAGE: Final = 1000
_NONE: Final = frozenset[str]()


class PartyRoles:
    """What approved organisations are here: `Seller`, `Buyer`. `load` comes first.

    One that is not approved, or was removed, has no role. To be used on one event loop.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._roles: dict[str, frozenset[str]] = {}

    async def load(self) -> None:
        """Read who was approved before the start.

        Raises:
            Unavailable: The store cannot be read.
        """
        offset = 0
        while True:
            rows = await registrations.registrations(self._store, "approved", PAGE, offset)
            for one in rows:
                self.note(one)
            if len(rows) < PAGE:
                return
            offset += PAGE

    def of(self, organization: str) -> frozenset[str]:
        """The roles of an organisation; of one that is not approved, none."""
        return self._roles.get(organization, _NONE)

    def note(self, one: Registration) -> None:
        """A registration is as it is now."""
        if one.state == "approved":
            self._roles[one.organization] = frozenset(one.roles.split())
        else:
            self._roles.pop(one.organization, None)
