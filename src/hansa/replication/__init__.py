"""Catalogue replication: publishes what changed here, retrieves and verifies what changed at other members.

Steps 3 and 5 to 8 of the life of one change happen here:

    3  publisher    at the origin: from the store's feed to signed events in committed ledger transactions
    5  follower     at every member: from committed events to pending retrievals in the store
    6  retriever    from pending retrievals to requests to the origins, in the protocol of `exchange`
    7  intake       verifies what an origin sent, by its hash first; records evidence of what is wrong
    8  intake       stores the replicas with their provenance, in one transaction

`announcement` decides which event a change calls for, `registry` caches the league's members, and `status`
reports progress. Publisher, follower and retriever are tasks of their own with durable cursors and queues, so
that each can stop at any instruction and continue after a restart. `hansa.api` serves what other members
request.
"""

from hansa.replication.backlog import Backlog
from hansa.replication.follower import Follower
from hansa.replication.publisher import Publisher
from hansa.replication.retriever import Retriever
from hansa.replication.status import (
    OriginProgress,
    ReplicationCounters,
    ReplicationGauges,
    ReplicationProgress,
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
    "ReplicationProgress",
    "ReplicationView",
    "Retriever",
    "counters",
]
