"""Catalogue replication: publishes what changed here, retrieves and verifies what changed elsewhere.

`Publisher` goes from the store's feed to the ledger, `Follower` from the ledger to the list of what is wanted,
`Retriever` from that list to the origins and into the store. Each is a coroutine of its own with a durable cursor or
list, so that any of them can stop at any point. `hansa.api` serves what the other members ask for, and
`ReplicationView` tells how it goes.
"""

from hansa.replication.backlog import Backlog
from hansa.replication.follower import Follower
from hansa.replication.publisher import Publisher
from hansa.replication.retriever import Retriever
from hansa.replication.status import (
    OriginProgress,
    ReplicationCounters,
    ReplicationGauges,
    ReplicationView,
    counters,
)

__all__ = [
    "Backlog",
    "Follower",
    "OriginProgress",
    "Publisher",
    "ReplicationCounters",
    "ReplicationGauges",
    "ReplicationView",
    "Retriever",
    "counters",
]
