"""Collections, as whoever decides about access knows them."""

from __future__ import annotations

from typing import Final

from hansa.business.jobs.files import is_job
from hansa.business.models import Api, Resource
from hansa.core.access import AccessTarget, Action
from hansa.core.parties import ATTRIBUTE as PARTIES

PARTY_TYPES: Final = frozenset({"RelatedParty", "RelatedPartyRef"})
_ACTIONS: Final = {
    "list": Action.READ,
    "retrieve": Action.READ,
    "create": Action.CREATE,
    "patch": Action.CHANGE,
    "replace": Action.CHANGE,
    "delete": Action.DELETE,
}
"""The action that a method of a model is."""


def access_target(api: Api, resource: Resource) -> AccessTarget:
    """What an action at a resource is done to."""
    operator_methods = set(resource.operator_methods).difference(resource.methods)
    return AccessTarget(
        resource.collection,
        resource.type,
        resource.visibility == "private",
        frozenset(_ACTIONS[method] for method in operator_methods),
        api=api.id,
        party_attributes=party_attributes(api, resource),
        status_attribute=resource.status_attribute,
        is_catalogue=resource.visibility == "catalogue",
        is_job=is_job(resource),
        is_task=resource.task is not None,
        is_below=resource.parent_name is not None,
    )


def party_attributes(api: Api, resource: Resource) -> tuple[str, ...]:
    """The attributes of a resource that hold related parties."""
    attributes = api.attributes_of(resource.type)
    return tuple(name for name, one in attributes.items() if name == PARTIES or one.type in PARTY_TYPES)
