"""The operators' pages about the league, of a marketplace whose state is recorded."""

from __future__ import annotations

from typing import Literal

from starlette.routing import Route

from hansa.core.errors import Code, Refused
from hansa.node.http.application import rest_application
from hansa.portal import Branding, Frame
from hansa.portal.frame.people import People
from hansa.portal.operators import OperatorFrame
from hansa.portal.operators.league import PATHS, LeaguePages, LeagueSources
from hansa.portal.operators.league.events import (
    EventChoice,
    EventDetails,
    EventList,
    ShownEvent,
)
from hansa.portal.operators.league.members import (
    MemberDetails,
    MemberEndpoint,
    MemberKey,
    MemberRow,
    ProgressThere,
    WrongAnswer,
)
from hansa.portal.operators.league.proposals import (
    ChangeEffect,
    DesiredChange,
    FormChoices,
    LeagueProposal,
    MemberVote,
    ProposedEffect,
)
from hansa.portal.operators.league.replication import ReplicaPage, ReplicaState
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
from hansa.portal.operators.league.validators import DecidedBlock, ValidatorGrid, ValidatorRow
from tests.support.acts import RecordedActs
from tests.support.asgi import AsgiClient, Response
from tests.support.people import CSRF, OPERATOR, PEOPLE, as_person

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


OWN = "did:web:lubeck.example"
RIGA = "did:web:riga.example%3A8443"
ROWS = (
    MemberRow(
        did=OWN,
        name="lubeck",
        endpoint="https://lubeck.example",
        status="active",
        is_own=True,
        power=10,
        condition="well",
    ),
    MemberRow(
        did=RIGA,
        name="riga",
        endpoint="https://riga.example:8443",
        status="active",
        is_own=False,
        power=10,
        condition="failing",
        lag=12,
        heads=171,
        stored=150,
        pending=20,
        failed=3,
        rejected=1,
        wrong=2,
        proved=1,
        share=0.95,
        latency_p50_ms=12,
        latency_p95_ms=80,
        failing_since="2026-11-30T12:00:00.000Z",
        problem="member-unreachable",
    ),
)
DETAILS = MemberDetails(
    row=ROWS[1],
    country="LV",
    prefixes=("urn:riga:",),
    validator_key="ab" * 32,
    node_ids=("cd" * 20,),
    keys=(
        MemberKey("key-1", 1, 500, None, "revoked", "2027-01-01T00:00:00.000Z"),
        MemberKey("key-2", 501, None, None, "", None),
    ),
    endpoints=(MemberEndpoint(1, "https://old.riga.example"), MemberEndpoint(400, ROWS[1].endpoint)),
    attempts=4,
    next_attempt="2026-11-30T12:10:00.000Z",
    bound="entities",
    skipped=5,
    deleted=2,
    stored_bytes=123_456,
    follower=ProgressThere(1230, 172, 160, 4, 8, 0),
    follower_problem=None,
    evidence=(
        WrongAnswer(
            "hash-mismatch",
            "other bytes",
            3,
            "2026-11-29T12:00:00.000Z",
            "2026-11-30T12:00:00.000Z",
            True,
        ),
    ),
    note=None,
    is_ledger_silent=False,
)
REPLICA = ReplicaState(
    issuer=RIGA,
    issuer_name="riga",
    key="ef" * 32,
    entity_id="",
    type="ProductOffering",
    state="failed",
    version=3,
    position=1200,
    attempts=2,
    next_attempt="2026-11-30T12:10:00.000Z",
    code="member-unreachable",
    reason="no answer in time",
)


EFFECT = ChangeEffect(
    "member.status", "riga (…ple%3A8443)", "active", "suspended", "Suspend riga: it may publish nothing."
)
PROPOSAL = LeagueProposal(
    hash="0f" * 32,
    proposer_name="bergen",
    note="It has sent wrong bytes.",
    outcome="open",
    reason="",
    height=800,
    time="2026-11-30T12:00:00.000Z",
    expires_time="2026-12-07T12:00:00.000Z",
    decided_height=None,
    decided_time=None,
    changes=(EFFECT,),
    yes_power=10,
    no_power=0,
    total_power=40,
    needed_power=27,
    votes=(MemberVote("did:web:bergen.example", "bergen", "yes", 10),),
    missing=("lubeck", "riga"),
)


EVENT = EventDetails(
    shown=ShownEvent(
        1234, 812, "2026-11-30T12:00:00.000Z", "categoryCreateEvent", "riga", "ef" * 32, "Category", 1
    ),
    id="01940000-0000-7000-8000-000000000000",
    issuer=RIGA,
    hashlink="hl:zQm",
    previous=None,
    payload='{\n  "type": "categoryCreateEvent"\n}',
    signature="eyJ.x.y",
    kid="key-2",
    place=3,
    path=("ab" * 32,),
    is_verified=True,
    problem="",
    location="https://riga.example:8443/league/v1/entities/x",
)


class RecordedState:
    """A state that is what it is."""

    def __init__(self) -> None:
        self.now = STATE

    async def state(self) -> MarketplaceState:
        return self.now


class RecordedMembers:
    """Two members, and what was done about them."""

    def __init__(self) -> None:
        self.rows: tuple[MemberRow, ...] = ROWS
        self.details = DETAILS
        self.done: list[tuple[str, ...]] = []

    async def members(self) -> tuple[MemberRow, ...]:
        return self.rows

    async def member(self, did: str) -> MemberDetails | None:
        return self.details if did == self.details.row.did else None

    async def pause(self, did: str) -> None:
        self.done.append(("pause", did))

    async def resume(self, did: str) -> None:
        self.done.append(("resume", did))

    async def retry(self, did: str) -> int:
        self.done.append(("retry", did))
        return 3

    async def write_note(self, did: str, text: str) -> None:
        self.done.append(("note", did, text))


class RecordedReplicas:
    """One entity that is not here."""

    def __init__(self) -> None:
        self.shown = ReplicaPage((REPLICA,), 1200)
        self.asked: list[tuple[object, ...]] = []

    async def page(self, state: str, origin: str | None, after: int, limit: int) -> ReplicaPage:
        self.asked.append(("page", state, origin, after, limit))
        return self.shown

    async def why(self, entity: str) -> tuple[ReplicaState, ...]:
        self.asked.append(("why", entity))
        return self.shown.replicas

    async def retry(self, states: tuple[str, ...], origin: str | None, entity: str | None) -> int:
        self.asked.append(("retry", states, origin, entity))
        return 7

    def origins(self) -> tuple[tuple[str, str], ...]:
        return ((RIGA, "riga"),)


class RecordedProposals:
    """One open proposal, and what was said to it."""

    def __init__(self) -> None:
        self.open = PROPOSAL
        self.done: list[tuple[str, ...]] = []
        self.problem = ""

    async def proposals(self) -> tuple[LeagueProposal, ...]:
        return (self.open,)

    async def proposal(self, name: str) -> LeagueProposal:
        if not self.open.hash.startswith(name):
            raise Refused(Code.NOT_FOUND, "There is no such proposal.")
        return self.open

    async def choices(self) -> FormChoices:
        members = ((OWN, "lubeck"), (RIGA, "riga"))
        return FormChoices(
            *(members, (("event_ahead_max_s", 300),)),
            own_power=10,
            own_did=OWN,
            anchors=(("0f" * 32, "Trust CA"),),
            rulesets=("hansa-ledger/3", "hansa-ledger/4"),
            ruleset="hansa-ledger/4",
            height=812,
        )

    async def effect(self, desired: DesiredChange) -> ProposedEffect:
        if self.problem:
            raise Refused(Code.INVALID, self.problem)
        return ProposedEffect(EFFECT, 27, 40)

    async def propose(self, desired: DesiredChange) -> str:
        self.done.append(("propose", desired.kind, desired.member, desired.number))
        return self.open.hash

    async def vote(self, hash: str, choice: Literal["no", "yes"]) -> None:
        self.done.append(("vote", hash, choice))


class RecordedEvents:
    """One event, on the last page."""

    def __init__(self) -> None:
        self.shown = EventList((EVENT.shown,), 1234, 1234)
        self.details = EVENT
        self.requested: list[tuple[object, ...]] = []

    async def page(self, choice: EventChoice, after: int, limit: int) -> EventList:
        self.requested.append((choice, after, limit))
        return self.shown

    async def newest(self, limit: int) -> EventList:
        self.requested.append(("newest", limit))
        return self.shown

    async def one(self, position: int) -> EventDetails | None:
        return self.details if position == self.details.shown.position else None

    def issuers(self) -> tuple[tuple[str, str], ...]:
        return ((OWN, "lubeck"), (RIGA, "riga"))


class RecordedValidators:
    """Two validators in two blocks."""

    def __init__(self) -> None:
        self.shown = ValidatorGrid(
            (
                DecidedBlock(812, 1, "riga", "2026-11-30T12:00:05.000Z"),
                DecidedBlock(811, 0, "lubeck", "2026-11-30T12:00:00.000Z"),
            ),
            (
                ValidatorRow("lubeck", "ab" * 20, 10, 0.5, (True, True), 0),
                ValidatorRow("riga", "cd" * 20, 10, 0.5, (False, True), 1),
            ),
            2,
        )

    async def grid(self, blocks: int, validators: int) -> ValidatorGrid:
        return self.shown


class RecordedLeague:
    """What the pages show."""

    def __init__(self) -> None:
        self.state = RecordedState()
        self.acts = RecordedActs()
        self.members = RecordedMembers()
        self.replicas = RecordedReplicas()
        self.proposals = RecordedProposals()
        self.events = RecordedEvents()
        self.validators = RecordedValidators()

    def sources(self) -> LeagueSources:
        return LeagueSources(
            self.state,
            self.members,
            self.replicas,
            self.proposals,
            self.events,
            self.validators,
            "https://lubeck.example",
        )


def league_pages(frame: Frame, people: People, league: RecordedLeague | None = None) -> LeaguePages:
    """The pages, with no other pages for operators."""
    shown = league or RecordedLeague()
    return LeaguePages(OperatorFrame(frame, people, shown.acts, PATHS), shown.sources())


class LeagueSite:
    """The pages as an application, and what they show."""

    def __init__(self) -> None:
        self.league = RecordedLeague()
        frame = Frame(Branding("Lübeck Market"), people=PEOPLE)
        routes = league_pages(frame, PEOPLE, self.league).routes()
        self.routes = [one for one in routes if isinstance(one, Route)]
        self.client = AsgiClient(rest_application(self.routes))

    async def text(self, path: str) -> str:
        """A page for the operator."""
        answer = await self.client.get(path, headers={**as_person(OPERATOR), "accept": "text/html"})
        assert answer.status == 200, answer.body
        return answer.body.decode()

    async def post(self, path: str, fields: dict[str, str]) -> Response:
        """A form of the operator."""
        headers = {**as_person(OPERATOR), "accept": "text/html"}
        return await self.client.post_form(path, {**fields, "csrf": CSRF}, headers)
