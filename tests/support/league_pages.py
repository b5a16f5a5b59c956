"""The operators' pages about the league, of a marketplace whose state is recorded."""

from __future__ import annotations

from hansa.core.access import Caller
from hansa.portal import Frame
from hansa.portal.frame.acts import Act
from hansa.portal.frame.people import People
from hansa.portal.operators.league import PATHS, LeaguePages, LeagueSources
from hansa.portal.operators.league.start import (
    Figures,
    FollowedEndpoint,
    MarketplaceState,
    RefusedOwn,
    RunningPart,
    TypeCount,
    ValidatorEvidence,
    Wrong,
    WrongAnswers,
)

FIGURES = Figures(
    height=812,
    position=1234,
    since_block_s=3.2,
    lag=4,
    members=4,
    engine_peers=3,
    own=172,
    replicas=511,
    unpublished=2,
    refused=1,
    pending=7,
    failed=3,
    evidence=1,
    conflicts=0,
    lost=0,
    disk_free_bytes=9_000_000_000,
    uptime_s=7200.0,
)
STATE = MarketplaceState(
    status="degraded",
    wrong=(
        Wrong(
            "retrievals-fail",
            "retrievals from bruges fail (member-unreachable): since 2026-11-30T12:00:00.000Z",
            "Three requests in a row to a member for its entities failed.",
            "Ask that member's operator.",
            True,
        ),
    ),
    figures=FIGURES,
    did="did:web:lubeck.example",
    endpoint="https://lubeck.example",
    chain_id="hansa-1",
    version="0.1.0",
    ruleset="hansa-ledger/1",
    app_hash="ab" * 32,
    upgrade="",
    validator="signs",
    tasks=(RunningPart("follower", True, 0, ""), RunningPart("hub", False, 2, "TimeoutError")),
    processes=(RunningPart("engine", True, 0, ""),),
    refusals=(RefusedOwn("urn:ngsi-ld:category:1", "Category", "quota-exceeded", "Wait."),),
    misbehavior=(ValidatorEvidence("riga", "duplicate vote", 700),),
    wrong_answers=(WrongAnswers("riga", "hash-mismatch", "other bytes", 3),),
    followed=(FollowedEndpoint("https://riga.example", "late", 800, "it is 12 blocks behind"),),
    types=(TypeCount("Category", 8, 0, 7),),
)


class RecordedState:
    """A state that is what it is."""

    def __init__(self) -> None:
        self.now = STATE

    async def state(self) -> MarketplaceState:
        return self.now


class RecordedNotes:
    """Acts that are on record."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, str, str | None]] = []

    async def note(self, caller: Caller, act: Act, code: str | None = None) -> None:
        self.notes.append((caller.subject or "", act.name, act.about, code))


class RecordedLeague:
    """What the pages show."""

    def __init__(self) -> None:
        self.state = RecordedState()
        self.acts = RecordedNotes()

    def sources(self) -> LeagueSources:
        return LeagueSources(self.state, self.acts)


def league_pages(frame: Frame, people: People, league: RecordedLeague | None = None) -> LeaguePages:
    """The pages, with no other pages for operators."""
    return LeaguePages(frame, people, (league or RecordedLeague()).sources(), PATHS)
