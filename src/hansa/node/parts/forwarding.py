"""What forwards writes to the origins of replicas, and what takes those that other members forward."""

from __future__ import annotations

from typing import NamedTuple

from hansa.api.writes.receiving import ForwardingParts
from hansa.business import BusinessApp
from hansa.business.operations.forwarding.receiving import ForwardedWrites
from hansa.business.visibility import PublicParts
from hansa.core.audit import AuditNotes
from hansa.core.clock import Clock
from hansa.core.derivation import DerivationSecret
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner
from hansa.identity import MemberCallerCheck, MemberSigner
from hansa.identity.delegation_rules import DelegationRules
from hansa.identity.delegations import DelegationCheck, DelegationSigner
from hansa.identity.endings import Endings
from hansa.node.settings.loading import Settings
from hansa.pubsub.bus import BusReads
from hansa.replication.confidential.audience import Audiences
from hansa.replication.forwarding.exchange import OriginWrites
from hansa.replication.forwarding.forwarder import Forwarder, OriginDelivery
from hansa.replication.forwarding.positions import FollowedPositions
from hansa.replication.forwarding.pseudonyms import Pseudonyms
from hansa.replication.forwarding.queue import WriteQueue
from hansa.replication.registry import MemberRegistry
from hansa.store import Store


class Forwarding(NamedTuple):
    """What forwards writes, and what waits for them."""

    forwarder: Forwarder
    queue: WriteQueue
    positions: FollowedPositions


class RemovedOwners:
    """Says of queued writes, which name their callers by pseudonyms, whether the callers were removed.

    Args:
        endings: Who was removed.
        pseudonyms: Of callers.
        did: This member, for which the pseudonyms are.
    """

    def __init__(self, endings: Endings, pseudonyms: Pseudonyms, did: str) -> None:
        self._endings = endings
        self._pseudonyms = pseudonyms
        self._did = did
        self._owners: dict[str, str] = {}
        """Pseudonyms of removed subjects; as many as there are at most."""

    def __call__(self, owner: str, organization: str) -> bool:
        """Whether a caller or the organisation was removed."""
        if organization and self._endings.is_removed("organization", organization):
            return True
        subjects = {one.name for one in self._endings.parties if one.kind == "subject"}
        self._owners = {one: self._owners.get(one) or self._pseudonyms.of(self._did, one) for one in subjects}
        return owner in self._owners.values()


def forwarding(
    settings: Settings,
    store: Store,
    bus: BusReads,
    registry: MemberRegistry,
    http: HttpClient,
    member_key: KeySigner,
    clock: Clock,
    entropy: Entropy,
    notes: AuditNotes,
    secret: DerivationSecret,
    endings: Endings,
) -> Forwarding:
    """The parts on the side of whoever received a write to a replica."""
    limits, did = settings.limits, settings.did
    signing = member_key, did, clock, entropy, limits
    delivery = OriginDelivery(
        OriginWrites(http, MemberSigner(*signing), DelegationSigner(*signing), limits), registry, store, notes
    )
    pseudonyms = Pseudonyms(secret)
    removed = RemovedOwners(endings, pseudonyms, did)
    queue = WriteQueue(store, delivery, pseudonyms, did, clock, entropy, limits, removed)
    return Forwarding(
        Forwarder(delivery, queue, pseudonyms, limits),
        queue,
        FollowedPositions(store, bus, did, clock, limits),
    )


def received_writes(
    settings: Settings,
    store: Store,
    business: BusinessApp,
    parts: PublicParts,
    audiences: Audiences,
    registry: MemberRegistry,
    check: MemberCallerCheck,
    clock: Clock,
) -> ForwardingParts:
    """The parts on the side of the origin."""
    return ForwardingParts(
        ForwardedWrites(business.operations.values(), store, parts, audiences.part_for, settings.limits),
        DelegationCheck(settings.did, registry.callers, clock, settings.limits, check.keys),
        DelegationRules(settings.write_delegations),
    )
