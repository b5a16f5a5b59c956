"""The operators' pages about the marketplace itself, put together."""

from __future__ import annotations

from pathlib import Path

import msgspec
from starlette.routing import BaseRoute

from hansa.api.access.explaining import ExplainApi
from hansa.business.context import Context
from hansa.core.cache import HasFigures
from hansa.identity.issuing import CredentialIssuer
from hansa.identity.onboarding import Onboarding
from hansa.node.folder import DECISIONS
from hansa.node.http.callers import Callers
from hansa.node.http.traffic import Traffic
from hansa.node.parts.access import AccessParts
from hansa.node.parts.identity import IdentityParts
from hansa.node.parts.pages.marketplace.audit import StoredAudit
from hansa.node.parts.pages.marketplace.entities import KnownEntities
from hansa.node.parts.pages.marketplace.organizations import StoredIssuing, StoredOrganizations
from hansa.node.parts.pages.marketplace.policies import PoliciesInForce
from hansa.node.parts.pages.marketplace.running import RunningMarketplace
from hansa.node.parts.pages.marketplace.settings import SettingsInForce
from hansa.node.parts.pages.marketplace.subscriptions import StoredListeners
from hansa.node.parts.pages.operators import PLACES
from hansa.node.parts.pages.portal import Portal
from hansa.node.parts.replication import Replication
from hansa.node.settings.loading import Settings
from hansa.node.status import StatusReporter
from hansa.node.tasks import BackgroundTasks
from hansa.portal.operators import OperatorFrame
from hansa.portal.operators.marketplace.audit import AuditPages
from hansa.portal.operators.marketplace.entities import EntityPages
from hansa.portal.operators.marketplace.issuing import IssuingPages
from hansa.portal.operators.marketplace.organizations import OrganizationPages
from hansa.portal.operators.marketplace.policies import PolicyPages
from hansa.portal.operators.marketplace.running import RunningPages
from hansa.portal.operators.marketplace.settings import SettingsPages
from hansa.portal.operators.marketplace.subscriptions import SubscriptionPages
from hansa.replication.registry import MemberRegistry


class MarketplaceParts(msgspec.Struct, frozen=True):
    """What these pages show and operate."""

    settings: Settings
    context: Context
    identity: IdentityParts
    registry: MemberRegistry
    rights: AccessParts
    replication: Replication
    running: tuple[StatusReporter, BackgroundTasks, Traffic, list[HasFigures], Callers]
    onboarding: Onboarding | None
    """None: no organisations register here."""
    issuer: CredentialIssuer | None
    """None: no credentials are issued here."""


def marketplace_pages(pages: Portal, parts: MarketplaceParts) -> list[BaseRoute]:
    """Their routes.

    Args:
        pages: Makes pages, and records what people do on them.
        parts: Of the marketplace.
    """
    settings, store, identity, replication = (
        *(parts.settings, parts.context.store),
        *(parts.identity, parts.replication),
    )
    frame = OperatorFrame(pages.frame, identity.people, pages.acts, PLACES)
    organizations = StoredOrganizations(store, parts.onboarding, identity.endings, identity.sessions)
    explaining = ExplainApi(parts.context, parts.rights.rights)
    distribution = replication.policy, replication.watch
    policies = PoliciesInForce(
        *(store, explaining, parts.rights.watch, *distribution, identity.sessions), Path(DECISIONS)
    )
    known = replication.control, replication.policy, parts.registry
    entities = KnownEntities(settings.did, store, pages.origins, *known)
    return [
        *IssuingPages(frame, StoredIssuing(store, parts.issuer, settings.endpoint)).routes(),
        *OrganizationPages(frame, organizations).routes(),
        *PolicyPages(frame, policies).routes(),
        *AuditPages(frame, StoredAudit(store, settings.did)).routes(),
        *EntityPages(frame, entities).routes(),
        *SubscriptionPages(frame, StoredListeners(parts.context)).routes(),
        *SettingsPages(frame, SettingsInForce(settings, parts.registry)).routes(),
        *RunningPages(frame, RunningMarketplace(settings, parts.context, *parts.running)).routes(),
    ]
