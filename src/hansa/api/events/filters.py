"""Which events are selected: by the parameters of a page or of a stream, or by the query of a webhook."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hansa.api.parameters import Parameters, Reader, dids, entity_names, known_types
from hansa.core.events import event_names
from hansa.core.identifiers import entity_key, is_entity_key
from hansa.pubsub.ledger_records import EventFilter
from hansa.replication.registry import MemberRegistry


def selecting(types: Collection[str]) -> Mapping[str, Reader]:
    """Parameters that say which events, and how each is read; the query of a webhook has these alone.

    Args:
        types: Types of which there are events; other names of types and events are refused. None: any name.
    """
    names = frozenset[str]().union(*map(event_names, types))
    return {
        "type": known_types(names, "event"),
        "issuer": dids,
        "entity": entity_names,
        "entityType": known_types(types, "entity type"),
        **dict.fromkeys(("lifecycleStatus", "category", "region", "compliance"), Parameters.texts),
    }


async def event_filter(parameters: Parameters, registry: MemberRegistry) -> EventFilter:
    """The filter that parameters make; an identifier stands for that entity of any member.

    Raises:
        Refused: `Code.INVALID`.
    """
    keys: list[str] = []
    for name in parameters.texts("entity"):
        if is_entity_key(name):
            keys.append(name)
        else:
            keys += [entity_key(member.did, name) for member in await registry.members()]
    return EventFilter(
        types=parameters.texts("type"),
        issuers=parameters.texts("issuer"),
        keys=tuple(keys),
        entity_types=parameters.texts("entityType"),
        lifecycle_statuses=parameters.texts("lifecycleStatus"),
        categories=parameters.texts("category"),
        regions=parameters.texts("region"),
        compliance=parameters.texts("compliance"),
        from_time=parameters.moment("from"),
        to_time=parameters.moment("to"),
    )
