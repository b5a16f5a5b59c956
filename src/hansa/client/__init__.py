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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "BlockingLeagueClient": "blocking",
    "EventVerifier": "verification",
    "KeySource": "verification",
    "LeagueClient": "league",
    "LeagueEvent": "league",
    "LedgerQuery": "ledger_query",
    "MemberKeys": "verification",
}
"""Where each name is. Modules are imported when they are used: a command that sends one request needs neither
keys nor events."""


def __getattr__(name: str) -> Any:
    """A name of the package (PEP 562)."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{module}"), name)
