"""How much is measured: a full run for figures, a quick one that shows that everything still runs."""

from __future__ import annotations

from typing import Final

import msgspec


class Plan(msgspec.Struct, frozen=True):
    """Numbers and times of a run."""

    members: int = 4
    # Requests to one marketplace.
    stored: tuple[int, ...] = (1_000, 10_000, 100_000)
    rounds: int = 7
    round_s: float = 1.5
    connections: int = 32
    # The hub.
    listeners: int = 10_000
    # The bus.
    bus_events: int = 200
    bus_batches: int = 25
    pause_s: float = 0.05
    # The bus beside the engine's kvstore, and after a long life.
    growth_rounds: int = 5
    growth_events: int = 1_000_000
    # The state by its size.
    ageing_events: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    ageing_blocks: int = 30
    # One ledger application with a long history, and a newcomer to it.
    joining_events: int = 1_000_000
    joining_claims: int = 200_000
    # The flood.
    refusals: int = 1000
    flood_signed: int = 4000
    flood_events: int = 30_000
    # The league.
    league_changes: int = 100
    sustained_changes: int = 6_000
    sustained_connections: int = 8
    # A newcomer.
    filled_entities: int = 100_000
    filled_rounds: int = 2
    # Readers of the ledger.
    recorded_events: int = 300_000
    readers_events: int = 1_000
    readers_rounds: int = 5
    readers_round_s: float = 4.0
    readers_lead_s: float = 2.0
    # Credentials.
    presentations: int = 1_000
    # The search.
    searched_offerings: int = 100_000
    searches: int = 1_000
    searched_words: int = 200
    # Replication in one process.
    replicated_events: int = 3_000
    replicated_rounds: int = 3
    followed_events: int = 1_000_000
    followed_entities: int = 5_000


FULL: Final = Plan()
QUICK: Final = Plan(
    stored=(200,),
    rounds=2,
    round_s=0.3,
    connections=8,
    listeners=100,
    bus_events=8,
    bus_batches=1,
    pause_s=0.01,
    growth_rounds=1,
    growth_events=2_000,
    ageing_events=(400, 800),
    ageing_blocks=1,
    joining_events=2_000,
    joining_claims=800,
    refusals=20,
    flood_signed=40,
    flood_events=500,
    league_changes=5,
    sustained_changes=100,
    sustained_connections=2,
    filled_entities=3_600,
    filled_rounds=1,
    recorded_events=2_000,
    readers_events=100,
    readers_rounds=1,
    readers_round_s=0.5,
    readers_lead_s=0.1,
    presentations=20,
    searched_offerings=600,
    searches=20,
    searched_words=20,
    replicated_events=150,
    replicated_rounds=1,
    followed_events=1_500,
    followed_entities=50,
)
