"""Catalogue replication: publishes what changed here, retrieves and verifies what changed at other members.

The middle of the life of one change happens here:

    publisher    at the origin: from the store's change feed to signed events in committed ledger transactions
    follower     at every member: from committed events to the pending retrievals in the store
    retriever    from pending retrievals to requests to the origins; `exchange` is the protocol of these
    requests intake       from an origin's response to verified replicas in the store, or to evidence against
    the origin

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
