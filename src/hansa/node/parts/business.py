"""What the TM Forum APIs work with, as the settings say."""

from __future__ import annotations

from collections.abc import Callable

from hansa.business.context import Context, Policies
from hansa.business.hub import HubDispatcher
from hansa.business.hub.feed import VisibleEvents
from hansa.business.jobs.files import JobFiles
from hansa.business.models import Models
from hansa.business.rights.organizations import OrganizationAliases
from hansa.business.rules import Rules
from hansa.business.validation.extensions import Extensions
from hansa.core.access import Authorize
from hansa.core.clock import Clock
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.node.folder import JOBS, SCHEMAS
from hansa.node.parts.forwarding import Forwarding
from hansa.node.parts.identity import IdentityParts
from hansa.node.settings.loading import Settings
from hansa.store import Entity, Store


def business_context(
    settings: Settings,
    store: Store,
    models: Models,
    identity: IdentityParts,
    clock: Clock,
    entropy: Entropy,
    identifiers: OwnIdentifiers,
    to_listeners: HttpClient,
    forwarding: Forwarding,
    is_waiting: Callable[[str], bool],
    former_status: Callable[[str], str | None],
    withheld_by: Callable[[Entity], str | None],
    authorize: Authorize,
) -> tuple[Context, JobFiles]:
    """What the TM Forum APIs work with, as the settings say; and the files of their jobs.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when an extension schema cannot be used.
    """
    job_files = JobFiles(JOBS, models, clock, settings.limits)
    context = Context(
        store=store,
        models=models,
        authenticate=identity.authenticate,
        clock=clock,
        entropy=entropy,
        limits=settings.limits,
        endpoint=settings.endpoint,
        rules=Rules(
            models,
            unresolved_references=settings.unresolved_references,
            referenced_deletion=settings.referenced_deletion,
            limits=settings.limits,
        ),
        identifiers=identifiers,
        policies=Policies(
            settings.unknown_attributes,
            settings.missing_attributes,
            settings.item_states,
            settings.allowed_origins,
            settings.allow_private_networks,
        ),
        to_listeners=to_listeners,
        is_waiting=is_waiting,
        former_status=former_status,
        withheld_by=withheld_by,
        authorize=authorize,
        has_removed=identity.endings.has_removed,
        organizations=OrganizationAliases(store),
        extensions=Extensions.load(SCHEMAS, settings.unknown_extensions),
        forwarder=forwarding.forwarder,
        positions=forwarding.positions,
    )
    return context, job_files


def hub_dispatcher(context: Context, to_listeners: HttpClient) -> HubDispatcher:
    """What sends notifications."""
    return HubDispatcher(
        *(context.store, context.models, to_listeners, context.clock, context.entropy, context.limits),
        *(context.endpoint, context.extensions),
        visible=VisibleEvents(context),
    )
