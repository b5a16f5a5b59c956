"""What belongs to an organisation, and why somebody may not change it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hansa.business.served_resource import ServedResource
from hansa.core.access import Action, Caller
from hansa.core.certificates.elsi import elsi_did
from hansa.core.errors import Refused
from hansa.store import AnyOf, Condition, Entity, Filter, Store

PARTY: Final = "relatedParty"


def names_organization(organization: str, aliases: Iterable[str]) -> Condition:
    """That an entity names an organisation as a party, which an index knows."""
    did = elsi_did(organization)
    return AnyOf((Filter((PARTY, "id"), (did, *sorted(aliases))), Filter((PARTY, "name"), (did,))))


async def refusal_of(served: ServedResource, caller: Caller, action: Action, entity: Entity) -> str:
    """Why a caller may not change or delete an entity, as a sentence; empty: nothing speaks against it."""
    try:
        grant = served.authorize(caller, action)
    except Refused as error:
        return error.message
    bound = await served.bound(grant)
    fields = msgspec.json.decode(entity.body)
    refusal = None if bound is None else bound.refusal(fields, is_public=entity.public)
    return "" if refusal is None else refusal.reason


async def entities_of(store: Store, ids: Sequence[str]) -> list[Entity]:
    """Those of some entities that are still here, in the same order."""
    known = await store.entities(ids)
    return [known[each] for each in ids if each in known]
