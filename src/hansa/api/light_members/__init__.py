"""What members without an engine request of this one: `hansa.pubsub.light_member.wire` says what it is.

    GET  /league/v1/ledger/state?known=…    the state in parts that prove themselves
    GET  /league/v1/ledger/batches?after=…  the next batches of events
    POST /league/v1/ledger/transactions     a place for a transaction, in a request that a member signed

The first two are for everybody. The last costs this member's ledger application some work, so it is for
members, a few at a time of each.
"""

from hansa.api.light_members.reading import LedgerParts, LedgerPartsApi, NoParts
from hansa.api.light_members.submitting import NoSubmissions, SubmissionsApi, Submits

__all__ = ["LedgerParts", "LedgerPartsApi", "NoParts", "NoSubmissions", "SubmissionsApi", "Submits"]
