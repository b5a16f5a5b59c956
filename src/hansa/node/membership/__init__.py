"""What this marketplace is to its league, as the ledger has it now: its key, its endpoint.

The registry changes while the marketplace runs (`hansa.replication.registry.MemberRegistry`); each part here
listens to it, so that a rotated key and a changed endpoint have effect without a restart.
"""

from hansa.node.membership.own_agreement import OwnAgreementKeys
from hansa.node.membership.own_endpoints import OwnEndpoints
from hansa.node.membership.own_key import OwnKey

__all__ = ["OwnAgreementKeys", "OwnEndpoints", "OwnKey"]
