"""Onboarding of organisations, where the settings name a version of the operator's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.routing import Route

from hansa.api.onboarding import EmployeesApi, OnboardingApi
from hansa.business.operations.api_operations import ApiOperations
from hansa.core.access import OPERATOR, Caller
from hansa.core.certificates.elsi import elsi_did
from hansa.core.clock import Clock
from hansa.identity.issuing import CredentialIssuer
from hansa.identity.onboarding import Employees, Onboarding
from hansa.node.parts.identity import IdentityParts
from hansa.node.settings.loading import Settings
from hansa.portal import Frame
from hansa.portal.onboarding import RegistrationPages
from hansa.store import Store
from hansa.store.tables.onboarding.registrations import Registration

PARTY_API: Final = "TMF632"
ROLE_API: Final = "TMF669"
OURSELVES: Final = Caller(subject="onboarding", roles=frozenset({OPERATOR}))
"""Who makes the entities: the marketplace, for its operator."""


def onboarding_of(
    settings: Settings,
    store: Store,
    identity: IdentityParts,
    operations: Mapping[str, ApiOperations],
    clock: Clock,
) -> Onboarding | None:
    """What registers organisations; None without terms."""
    if not settings.onboarding_terms:
        return None

    async def publish(one: Registration) -> str:
        return await _published(operations, one)

    parts = store, identity.endings, publish, identity.rules, settings.onboarding_terms, clock
    return Onboarding(*parts, identity.party_roles)


def onboarding_routes(
    settings: Settings,
    store: Store,
    identity: IdentityParts,
    frame: Frame,
    onboarding: Onboarding | None,
    issuer: CredentialIssuer | None = None,
) -> list[Route]:
    """What is served of it; nothing without terms."""
    if onboarding is None:
        return []
    pages = RegistrationPages(frame)
    served = store, identity.sessions, identity.authenticate, pages, settings.limits
    routes = OnboardingApi(onboarding, *served).routes()
    if issuer is None:
        return routes
    employees = Employees(onboarding, issuer, store, identity.endings)
    return [*routes, *EmployeesApi(employees, identity.sessions, pages, settings.endpoint).routes()]


async def _published(operations: Mapping[str, ApiOperations], one: Registration) -> str:
    """Make the entity of an organisation, and one for each of its roles; the identifier of the first."""
    did = elsi_did(one.organization)
    organization = {
        "tradingName": one.name,
        "name": one.name,
        "organizationIdentification": [
            {
                "identificationId": did,
                "identificationType": "organizationIdentifier",
                "issuingAuthority": "ETSI",
            }
        ],
    }
    entity_id = await _created(operations[PARTY_API], "Organization", organization)
    party = {"id": entity_id, "name": did, "@referredType": "Organization"}
    for role in one.roles.split():
        await _created(operations[ROLE_API], "PartyRole", {"name": role, "engagedParty": party})
    return entity_id


async def _created(operations: ApiOperations, collection: str, body: dict[str, Any]) -> str:
    create = operations.by_collection[collection].create
    result = await create.one(create.authorize(OURSELVES), body)
    return result.entity.id
