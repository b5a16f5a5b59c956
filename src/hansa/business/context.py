"""What all parts of the business work with: the parts of a marketplace, and what its operator chose."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hansa.business.models import Models
from hansa.business.operations.forwarding.key_time import KeyTime
from hansa.business.rights.organizations import OrganizationAliases
from hansa.business.rules import Rules
from hansa.business.validation.extensions import Extensions
from hansa.core.access import Authenticate, Authorize, Caller, authorize_by_role
from hansa.core.clock import Clock
from hansa.core.forwarding import LedgerPositions, WriteForwarder
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.core.policies import ItemStates, MissingAttributes, UnknownAttributes
from hansa.core.thread_work import LargeWork
from hansa.store import Entity, Store


class Policies(msgspec.Struct, frozen=True):
    """What an operator chooses where TM Forum leaves a choice."""

    unknown_attributes: UnknownAttributes = "refuse"
    """Attributes that the model does not know, in a body that announces no extension."""
    missing_attributes: MissingAttributes = "complete"
    """Attributes that the model requires and a body leaves out."""
    item_states: ItemStates = "follow"
    """Items of an order that ends as a whole."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins whose pages may send tokens, as `https://shop.example`."""
    allow_private_networks: bool = False
    """Whether callbacks may name private and loopback addresses."""


def nothing_waits(entity_id: str) -> bool:
    """No replica lacks anything."""
    del entity_id
    return False


def nobody_left(did: str) -> None:
    """Every origin is a member."""
    del did


def nobody_removed(caller: Caller) -> bool:
    """Everybody is let in."""
    del caller
    return False


def nothing_withheld(entity: Entity) -> None:
    """No condition of the operator keeps anything from the other marketplaces."""
    del entity


class Context(msgspec.Struct, frozen=True):
    """The parts of a marketplace."""

    store: Store
    models: Models
    authenticate: Authenticate
    """Asked by faces: who sends a request."""
    clock: Clock
    entropy: Entropy
    limits: Limits
    endpoint: str
    """Where this marketplace is reached, without a trailing slash."""
    rules: Rules
    identifiers: OwnIdentifiers
    policies: Policies = Policies()
    extensions: Extensions = Extensions()
    """The schemas that the operator registered."""
    large_work: LargeWork = msgspec.field(default_factory=LargeWork)
    """Where large bodies are parsed, checked and made."""
    key_time: KeyTime = msgspec.field(default_factory=KeyTime)
    """By which idempotency keys expire."""
    to_listeners: HttpClient | None = None
    """Sends test events to hub listeners; None where no notifications are sent."""
    is_waiting: Callable[[str], bool] = nothing_waits
    """Whether a replica, by identifier, lacks something that it needs."""
    former_status: Callable[[str], str | None] = nobody_left
    """How the origin of a replica, by its DID, ceased to be a member of the league; None: it is one."""
    withheld_by: Callable[[Entity], str | None] = nothing_withheld
    """Name of the condition by which nothing of an own entity leaves this marketplace; None: none does."""
    has_removed: Callable[[Caller], bool] = nobody_removed
    """Whether a caller, the organisation or the credential is kept out, whatever was begun before."""
    authorize: Authorize = authorize_by_role
    """Asked by operations: what a caller may do."""
    organizations: OrganizationAliases | None = None
    """What organisations are called here; None: each resource looks that up by itself."""
    forwarder: WriteForwarder | None = None
    """Has writes to replicas carried out by their origins; None: they are refused."""
    positions: LedgerPositions | None = None
    """Waits until an event of the ledger has had its effect here; None where no ledger is followed."""

    @property
    def aliases(self) -> OrganizationAliases:
        """What organisations are called here; where all do not share it, what looks that up by itself."""
        return self.organizations or OrganizationAliases(self.store)
