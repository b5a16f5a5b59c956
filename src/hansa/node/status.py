"""What `/readyz` and `/league/v1/status` report, collected from the parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum, unique
from pathlib import Path
from typing import Final, Literal

import msgspec

from hansa import __version__
from hansa.business.search.indexing import IndexProgress
from hansa.core.clock import Clock, rfc3339
from hansa.core.members import Member
from hansa.node.folder.disk import DiskWatch, free_bytes
from hansa.node.health import Condition, HealthReporter, meaning_of
from hansa.node.ledger_access.kinds import LedgerAccess
from hansa.node.ledger_view import LedgerView
from hansa.node.settings.loading import Settings
from hansa.node.tasks import BackgroundTasks, TaskState
from hansa.node.validator.guard import ValidatorStatus
from hansa.portal import Overview
from hansa.pubsub.engine import ChildState
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger_records import LedgerStatus, PlannedUpgrade
from hansa.pubsub.light_member.following import FollowingStatus
from hansa.replication import OriginProgress, ReplicationCounters, ReplicationProgress, ReplicationView
from hansa.replication.registry import MemberRegistry
from hansa.replication.sources.filling import FillingProgress
from hansa.store import Store
from hansa.store.tables.evidence import Evidence

REFUSALS_SHOWN_MAX: Final = 100
EVIDENCE_SHOWN_MAX: Final = 20
UNINDEXED_SHOWN_MAX: Final = 10


class EntityCount(msgspec.Struct, frozen=True):
    """How many entities there are of one kind."""

    type: str
    own: bool
    """Whether this marketplace is their origin."""
    public: bool
    count: int


class ChildStatus(msgspec.Struct, frozen=True):
    """The state of a child process."""

    name: str
    state: ChildState
    pid: int | None
    starts: int


class UnindexedSearch(msgspec.Struct, frozen=True):
    """List requests that had to read every entity of a type, because an attribute has no index."""

    type: str
    path: str
    """Dotted."""
    count: int
    """Since the start."""


class RefusedEntity(msgspec.Struct, frozen=True):
    """An entity of ours that the league does not have in its present version, and why."""

    id: str
    type: str
    code: str
    message: str
    """What is wrong, and what to do."""


class MemberPower(msgspec.Struct, frozen=True):
    """How much a member's validator counts in votes."""

    did: str
    name: str
    power: int


class ReportedMisbehavior(msgspec.Struct, frozen=True):
    """Evidence on the ledger against a validator, which lost its voting power by it."""

    did: str | None
    """Of the member whose validator it is; None when no member has it."""
    name: str | None
    address: str
    height: int
    """Where it misbehaved."""
    kind: str
    recorded_height: int
    """Of the block that brought the evidence."""


@unique
class NotReadyCode(StrEnum):
    """What keeps a marketplace from taking traffic, as `/readyz` says it to everybody."""

    TASK = "task-not-running"
    PROCESS = "process-not-running"
    LEDGER = "ledger-silent"
    CATCHING_UP = "catching-up"
    BEHIND = "behind-the-ledger"
    DISK = "disk-nearly-full"


_PUBLIC_REASONS: Final[dict[NotReadyCode, str]] = {
    NotReadyCode.TASK: "A background task does not run.",
    NotReadyCode.PROCESS: "A process of the ledger does not run.",
    NotReadyCode.LEDGER: "The own ledger does not answer.",
    NotReadyCode.CATCHING_UP: "The ledger is catching up with the other members.",
    NotReadyCode.BEHIND: "Many events of the ledger are not applied here yet.",
    NotReadyCode.DISK: "The disk is nearly full.",
}
"""What everybody may read."""


class NotReady(msgspec.Struct, frozen=True):
    """Something that keeps this marketplace from taking traffic."""

    code: NotReadyCode
    message: str
    """With the details, for the operator."""


class Readiness(msgspec.Struct, frozen=True):
    """Whether a marketplace can take traffic, and what is not as it should be."""

    is_ready: bool
    reasons: tuple[str, ...]
    """Why it is not ready, and the messages of all conditions."""
    conditions: tuple[Condition, ...]
    """What is not as it should be, although this marketplace serves."""
    codes: tuple[str, ...] = ()
    """Of what keeps it from taking traffic, and of all conditions: what everybody may know."""

    @property
    def status(self) -> Literal["ready", "degraded", "not ready"]:
        """In a word: `degraded` serves, and yet something has to be looked at."""
        if not self.is_ready:
            return "not ready"
        return "degraded" if self.conditions else "ready"

    @property
    def public_reasons(self) -> tuple[str, ...]:
        """The same without names and figures, for everybody."""
        not_ready = {str(code): text for code, text in _PUBLIC_REASONS.items()}
        return tuple(not_ready.get(code) or meaning_of(code) for code in self.codes)

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the messages that are about the validator."""
        return tuple(one.message for one in self.conditions if one.code.startswith("validator-"))


class MarketplaceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What everybody may know of a marketplace: what the ledger and the catalogue tell anyhow."""

    name: str
    did: str
    endpoint: str
    chain_id: str
    """Name of the league's ledger, from its genesis: members of a league show the same."""
    time: str
    status: str
    """`ready`, `degraded` or `not ready`."""
    is_ready: bool
    height: int | None
    """Of the ledger; None while it is not available."""
    position: int | None
    """Newest event on the ledger."""
    app_hash: str | None
    ruleset: str | None
    """Name of the rules by which the league judges."""
    rules_digest: str | None
    """SHA-256 of their declarations: members of a league show the same."""
    upgrade: PlannedUpgrade | None
    """A change of rules that the members have decided on, and who is ready for it."""
    powers: tuple[MemberPower, ...]
    """Voting power of each member that runs a validator."""
    misbehavior: tuple[ReportedMisbehavior, ...]
    """Evidence against validators of the league."""
    peer_names: tuple[str, ...]
    """Members whose engines ours is connected to. A member that is told so and has no such connection learns
    that a second engine runs with its key (`hansa.node.validator.guard`)."""
    entities: tuple[EntityCount, ...]


class PublicStatus(MarketplaceStatus, frozen=True, kw_only=True):
    """The content of `/league/v1/status` for everybody. Its counts are those of public entities alone."""

    conditions: tuple[str, ...]
    """Codes of what is not as it should be."""


class StatusReport(MarketplaceStatus, frozen=True, kw_only=True):
    """The content of `/league/v1/status` for operators, and what figures are made from."""

    version: str
    uptime_s: float
    reasons: tuple[str, ...]
    """Why it is not ready, and the messages of all conditions."""
    conditions: tuple[Condition, ...]
    """What is not as it should be, although this marketplace serves."""
    notes: tuple[str, ...]
    """What is known of the validator, in words."""
    peers: int | None
    """Engines of other members that ours is connected to."""
    catching_up: bool | None
    since_block_s: float
    """Since the last block was seen to come, by this machine's clock; since the start, when none was."""
    stalled_s: float
    """For how long something has been waiting without a block; 0 while nothing waits."""
    transactions_waiting: int
    """In this member's engine, for a block."""
    followed_to: int
    """Events up to this position have been processed here."""
    lag: int | None
    """Events on the ledger that have not been processed here yet."""
    unpublished: int
    """Changes whose publication is still to be decided, and events that are not committed yet."""
    outbox: int
    """Events of ours that are not committed yet."""
    publication_problem: str | None
    """Code of the failure of the last submission to the ledger; None when it succeeded."""
    refused: int
    """Entities of ours whose event the ledger refused."""
    pending: int
    """Retrievals that wait or are under way."""
    failed: int
    """Those of them whose last attempt failed."""
    filling: FillingProgress | None
    """How far the store is, and how long that takes, while very much is missing."""
    evidence: int
    """Records of what others sent that failed verification."""
    evidence_newest: tuple[Evidence, ...]
    """The newest of them."""
    refusals: tuple[RefusedEntity, ...]
    """Some of the entities of ours that were refused."""
    conflicts: int
    """Entities of ours whose identifier another member has claimed on the ledger."""
    lost: int
    """Entities of ours that the ledger has and the store has lost."""
    counters: ReplicationCounters
    """What was done since the start."""
    origins: tuple[OriginProgress, ...]
    unindexed: tuple[UnindexedSearch, ...]
    """The most frequent ones; `indexed_attributes` ends them."""
    search: IndexProgress
    tasks: tuple[TaskState, ...]
    children: tuple[ChildStatus, ...]
    validator: ValidatorStatus
    following: FollowingStatus | None
    """Of a light member: whom it follows, how each of them does, and what it trusts."""
    disk_free_bytes: int


class StatusReporter:
    """Reports the state of this marketplace."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        ledger: LedgerView,
        registry: MemberRegistry,
        replication: ReplicationView,
        counters: Callable[[], ReplicationCounters],
        filling: Callable[[int], FillingProgress | None],
        searching: Callable[[], Awaitable[IndexProgress]],
        tasks: BackgroundTasks,
        access: LedgerAccess,
        health: HealthReporter,
        chain_id: str,
        clock: Clock,
    ) -> None:
        self._chain_id = chain_id
        self._settings = settings
        self._store = store
        self._ledger = ledger
        self._registry = registry
        self._replication = replication
        self._counters = counters
        self._filling = filling
        self._searching = searching
        self._tasks = tasks
        self._access = access
        self._health = health
        self._clock = clock
        self._started_at_s = clock.monotonic()
        self._disk = DiskWatch(Path(), settings.limits.disk_free_min_bytes, clock)

    @property
    def uptime_s(self) -> float:
        """Since the start."""
        return self._clock.monotonic() - self._started_at_s

    async def readiness(self, progress: ReplicationProgress | None = None) -> Readiness:
        """Whether this marketplace can take traffic, and what is not as it should be.

        Args:
            progress: Of replication, when the caller has it already.
        """
        missing = await self._missing()
        conditions = await self._health.conditions(progress)
        messages = tuple(condition.message for condition in conditions)
        return Readiness(
            not missing,
            tuple(one.message for one in missing) + messages,
            conditions,
            tuple(
                dict.fromkeys([*(str(one.code) for one in missing), *(str(one.code) for one in conditions)])
            ),
        )

    async def _missing(self) -> tuple[NotReady, ...]:
        """Why this marketplace is not ready; empty when it is."""
        missing = [
            NotReady(NotReadyCode.TASK, f"task {task.name} is not running ({task.problem or 'starting'})")
            for task in self._tasks.states
            if not task.is_running
        ]
        missing += [
            NotReady(NotReadyCode.PROCESS, f"process {child.spec.name} is not running ({child.state})")
            for child in self._access.all()
            if child.state is not ChildState.RUNNING
        ]
        ledger = await self._ledger.refresh()
        if ledger is None:
            problem = f"the ledger does not answer: {self._ledger.problem}"
            missing.append(NotReady(NotReadyCode.LEDGER, problem))
        else:
            if self._health.is_catching_up(ledger):
                problem = "the ledger here is catching up with the other members"
                missing.append(NotReady(NotReadyCode.CATCHING_UP, problem))
            lag = ledger.position - await self._replication.followed_to()
            if lag > self._settings.ready_lag_max_events:
                problem = f"{lag} events behind the ledger (ready_lag_max_events)"
                missing.append(NotReady(NotReadyCode.BEHIND, problem))
        if self.is_disk_full():
            problem = "the disk is nearly full (disk_free_min_bytes)"
            missing.append(NotReady(NotReadyCode.DISK, problem))
        return tuple(missing)

    def is_disk_full(self) -> bool:
        """Whether less space is free than `disk_free_min_bytes`."""
        return self._disk.is_full()

    async def public_status(self) -> PublicStatus:
        """What everybody may know."""
        readiness = await self.readiness()
        common = self._common(readiness, await self._ledger.refresh(), await self.entities())
        public = tuple(one for one in common.entities if one.public)
        fields = msgspec.structs.asdict(common) | {"entities": public}
        return PublicStatus(**fields, conditions=readiness.codes)

    def _common(
        self, readiness: Readiness, ledger: LedgerStatus | None, entities: tuple[EntityCount, ...]
    ) -> MarketplaceStatus:
        return MarketplaceStatus(
            name=self._settings.name,
            did=self._settings.did,
            endpoint=self._settings.endpoint,
            chain_id=self._chain_id,
            time=rfc3339(self._clock.now()),
            status=readiness.status,
            is_ready=readiness.is_ready,
            height=ledger.height if ledger else None,
            position=ledger.position if ledger else None,
            app_hash=ledger.app_hash if ledger else None,
            ruleset=ledger.ruleset if ledger else None,
            rules_digest=ledger.rules_digest if ledger else None,
            upgrade=ledger.upgrade if ledger else None,
            powers=self._powers(ledger),
            misbehavior=self._misbehavior(ledger),
            peer_names=self._peer_names(ledger),
            entities=entities,
        )

    async def report(self) -> StatusReport:
        """The whole report, which is for operators."""
        ledger: LedgerStatus | None = await self._ledger.refresh()
        progress = await self._replication.progress(self._registry.known(), ledger)
        readiness = await self.readiness(progress)
        gauges, origins, blocks = progress.gauges, progress.origins, self._health.blocks
        return StatusReport(
            **msgspec.structs.asdict(self._common(readiness, ledger, await self.entities())),
            version=__version__,
            uptime_s=round(self.uptime_s, 3),
            reasons=readiness.reasons,
            conditions=readiness.conditions,
            notes=readiness.notes,
            peers=ledger.peers if ledger else None,
            catching_up=ledger.catching_up if ledger else None,
            since_block_s=round(blocks.since_block_s, 3),
            stalled_s=round(blocks.stalled_s, 3),
            transactions_waiting=blocks.transactions_waiting,
            followed_to=gauges.followed_to,
            lag=max(ledger.position - gauges.followed_to, 0) if ledger else None,
            unpublished=gauges.unpublished,
            outbox=gauges.outbox,
            publication_problem=self._health.publication_problem,
            refused=gauges.refused,
            pending=gauges.pending,
            failed=sum(origin.failed for origin in origins),
            filling=self._filling(gauges.pending),
            evidence=gauges.evidence,
            evidence_newest=await self._replication.evidence_records(EVIDENCE_SHOWN_MAX),
            refusals=await self._refusals(),
            conflicts=gauges.conflicts,
            lost=gauges.lost,
            counters=self._counters(),
            origins=origins,
            unindexed=self.unindexed(),
            search=await self._searching(),
            tasks=self._tasks.states,
            children=self.children(),
            validator=self._access.guard.status,
            following=self._access.following,
            disk_free_bytes=free_bytes(Path()),
        )

    async def _refusals(self) -> tuple[RefusedEntity, ...]:
        refused = await self._replication.refusals(REFUSALS_SHOWN_MAX)
        return tuple(
            RefusedEntity(one.entity_id, one.type, one.refusal_code or "", one.refusal_message or "")
            for one in refused
        )

    async def overview(self) -> Overview:
        """What the front page shows."""
        ledger = await self._ledger.refresh()
        counts: dict[str, list[int]] = {}
        for entity in await self.entities():
            if entity.public:
                counts.setdefault(entity.type, [0, 0])[not entity.own] += entity.count
        return Overview(
            name=self._settings.name,
            did=self._settings.did,
            version=__version__,
            counts=tuple((kind, own, others) for kind, (own, others) in sorted(counts.items())),
            members=self._registry.known(),
            height=ledger.height if ledger else None,
            position=ledger.position if ledger else None,
        )

    def _validators(self) -> dict[str, Member]:
        """Members by the addresses of their validators."""
        return {
            validator_address(member.validator_key): member
            for member in self._registry.known()
            if member.validator_key
        }

    def _powers(self, ledger: LedgerStatus | None) -> tuple[MemberPower, ...]:
        members = self._validators()
        return tuple(
            MemberPower(members[address].did, members[address].name, power)
            for address, power in (ledger.powers if ledger else {}).items()
            if address in members
        )

    def _misbehavior(self, ledger: LedgerStatus | None) -> tuple[ReportedMisbehavior, ...]:
        members = self._validators()
        return tuple(
            ReportedMisbehavior(
                did=members[one.address].did if one.address in members else None,
                name=members[one.address].name if one.address in members else None,
                **msgspec.structs.asdict(one),
            )
            for one in (ledger.misbehavior if ledger else ())
        )

    def _peer_names(self, ledger: LedgerStatus | None) -> tuple[str, ...]:
        connected = frozenset(ledger.peer_ids if ledger else ())
        names = (
            member.name for member in self._registry.known() if not connected.isdisjoint(member.node_ids)
        )
        return tuple(sorted(names))

    async def entities(self) -> tuple[EntityCount, ...]:
        """How many entities there are."""
        counts = await self._store.counts()
        return tuple(EntityCount(*key, count) for key, count in sorted(counts.items()))

    def unindexed(self) -> tuple[UnindexedSearch, ...]:
        """The most frequent searches without an index."""
        ordered = sorted(self._store.unindexed_searches().items(), key=lambda item: (-item[1], item[0]))
        return tuple(UnindexedSearch(*place, count) for place, count in ordered[:UNINDEXED_SHOWN_MAX])

    def children(self) -> tuple[ChildStatus, ...]:
        """The child processes."""
        return tuple(
            ChildStatus(child.spec.name, child.state, child.pid, child.starts) for child in self._access.all()
        )
