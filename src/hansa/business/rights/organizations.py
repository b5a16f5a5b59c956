"""What an organisation is called here: the identifiers of the entities that describe it.

Only this marketplace's own entities count. Who reads here is for this marketplace to say, so that no other
member makes somebody a party by what it says of an organisation.
"""

from __future__ import annotations

from typing import Final

from hansa.core.cache import Cache
from hansa.core.certificates.elsi import elsi_did
from hansa.store import AnyOf, Filter, Query, Store
from hansa.store.index.paths import candidates

ORGANIZATION: Final = "Organization"
IDENTIFYING: Final = (("organizationIdentification", "identificationId"), ("externalReference", "name"))
"""Paths at which an organization carries its identifier."""
ALIASES_MAX: Final = 20
CACHED_MAX: Final = 1024
_NONE: Final = frozenset[str]()


class OrganizationAliases:
    """Looks them up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.cache: Final[Cache[str, tuple[int, frozenset[str]]]] = Cache("organization_aliases", CACHED_MAX)
        """By organisation: revision of the collection, aliases."""

    async def of(self, organization: str | None) -> frozenset[str]:
        """Identifiers of the own entities that describe an organisation; at most `ALIASES_MAX`."""
        if organization is None:
            return _NONE
        revision = self._store.revision(ORGANIZATION)
        known = self.cache.get(organization)
        if known is not None and known[0] == revision:
            return known[1]
        values = (organization, elsi_did(organization))
        condition = AnyOf(tuple(Filter(path, values) for path in IDENTIFYING))
        page = await self._store.list(Query(ORGANIZATION, (condition,), limit=ALIASES_MAX, public_only=False))
        entities = await self._store.entities(page.ids)
        aliases = frozenset(
            name for name, one in entities.items() if one.origin is None and len(candidates(name)) == 1
        )
        if revision == self._store.revision(ORGANIZATION):
            self.cache.put(organization, (revision, aliases))
        return aliases
