"""A client of the league: follows its events, verifies them, and reconnects.

It needs nothing of a marketplace but its address, and can be installed without the rest (the distribution
`hansa-client`). `LeagueClient` is for asyncio, `BlockingLeagueClient` for everything else:

    with BlockingLeagueClient(["https://lubeck.example", "https://bergen.example"], members) as client:
        for event in client.follow(LedgerQuery(entity_types=("ProductOffering",)), after=0):
            print(event.position, event.content.type, client.entity(event))

    connection     HTTP to one marketplace
    ledger_query   which events
    verification   that their issuers signed them
    registered_keys with which keys, as marketplaces report it
    league         the client
    blocking       the same for callers without an event loop
"""

from __future__ import annotations

from hansa.client.blocking import BlockingLeagueClient
from hansa.client.league import LeagueClient, LeagueEvent
from hansa.client.ledger_query import LedgerQuery
from hansa.client.verification import EventVerifier, KeySource, MemberKeys

__all__ = [
    "BlockingLeagueClient",
    "EventVerifier",
    "KeySource",
    "LeagueClient",
    "LeagueEvent",
    "LedgerQuery",
    "MemberKeys",
]
