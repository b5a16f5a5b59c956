"""What policies see: the caller, the entity, and the circumstances, in Cedar's JSON form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from hansa.core.access import OPERATOR, AccessTarget, Action, Caller, EntityFacts
from hansa.core.clock import rfc3339
from hansa.identity.rights.parties import Parties, described_organizations, parties_of

CALLER_ID: Final = "caller"
RESOURCE_ID: Final = "resource"
OFFERING: Final = "ProductOffering"
ORDERING: Final = "ProductOrder"
ONBOARDING: Final = "Onboarding"
FUNCTIONS: Final = (OFFERING, ORDERING, ONBOARDING)
"""Of powers, as policies spell them; credentials may write them in another case."""
_ONBOARDING_TYPES: Final = frozenset({"Organization", "Individual", "PartyRole"})
ACTIONS: Final[Mapping[Action, str]] = {
    Action.READ: "read",
    Action.EXPORT: "read",
    Action.CREATE: "create",
    Action.CHANGE: "change",
    Action.DELETE: "delete",
}
"""The names of actions in policies."""
POWER_ACTIONS: Final[Mapping[Action, str]] = {
    Action.CREATE: "Create",
    Action.CHANGE: "Update",
    Action.DELETE: "Delete",
}
"""The actions of powers, as credentials name them."""


def function_of(target: AccessTarget) -> str:
    """The function of the power that lets an organisation's people write entities of a type."""
    if target.collection in _ONBOARDING_TYPES:
        return ONBOARDING
    return OFFERING if target.is_catalogue else ORDERING


def entity_parties(
    target: AccessTarget, fields: Mapping[str, Any], organization: str | None, aliases: frozenset[str]
) -> Parties:
    """The organisations of an entity; one that describes an organisation belongs to that one, too."""
    parties = parties_of(fields, target.party_attributes, organization, aliases)
    if target.collection != "Organization":
        return parties
    return msgspec.structs.replace(parties, owners=parties.owners | described_organizations(fields))


def caller_entity(caller: Caller, party_roles: frozenset[str]) -> dict[str, Any]:
    """The principal, with the party roles of its organisation."""
    attributes: dict[str, Any] = {
        "isAuthenticated": caller.is_authenticated,
        "isMachine": caller.is_machine,
        "partyRoles": sorted(party_roles),
        "powers": [
            {"domain": power.domain, "function": _function(power.function), "action": action.capitalize()}
            for power in caller.powers
            for action in power.actions
        ],
    }
    if caller.organization is not None:
        attributes["organization"] = _organization(caller.organization)
    roles = caller.roles if caller.organization is None else caller.roles & {OPERATOR}
    return {
        "uid": {"type": "Caller", "id": CALLER_ID},
        "attrs": attributes,
        "parents": [{"type": "Role", "id": one} for one in sorted(roles)],
    }


def resource_entity(
    target: AccessTarget, facts: EntityFacts, organization: str | None, aliases: frozenset[str]
) -> dict[str, Any]:
    """The resource."""
    fields = facts.fields
    parties = entity_parties(target, fields, organization, aliases)
    status = fields.get(target.status_attribute) if target.status_attribute is not None else None
    attributes = {
        "api": target.api,
        "type": target.collection,
        "function": function_of(target),
        "status": status if isinstance(status, str) else "",
        "isCatalogue": target.is_catalogue,
        "isPublic": facts.is_public,
        "isTask": target.is_task,
        "owners": _organizations(parties.owners),
        "buyers": _organizations(parties.buyers),
        "parties": _organizations(parties.all),
        "roles": sorted({role for role, one in parties.roles if one == organization}),
    }
    return {"uid": {"type": "Resource", "id": RESOURCE_ID}, "attrs": attributes, "parents": []}


def circumstances(caller: Caller, now: datetime) -> dict[str, Any]:
    """The context."""
    text = rfc3339(now)
    context: dict[str, Any] = {"now": {"__extn": {"fn": "datetime", "arg": text}}}
    if caller.member is not None:
        context["member"] = caller.member
    return context


def _function(text: str) -> str:
    return next((one for one in FUNCTIONS if one.lower() == text.lower()), text)


def _organization(identifier: str) -> dict[str, Any]:
    return {"__entity": {"type": "Organization", "id": identifier}}


def _organizations(identifiers: Iterable[str]) -> list[dict[str, Any]]:
    return [_organization(one) for one in sorted(identifiers)]
