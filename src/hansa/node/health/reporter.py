"""Collects the conditions of a marketplace from its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from hansa.core.certificates import is_elsi
from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, HansaError
from hansa.core.trust.certificates import CERTIFICATES, certificate_key, read_key_certificate
from hansa.node.health.blocks import BlockProgress
from hansa.node.health.conditions import (
    Condition,
    ConditionCode,
    LeagueView,
    certificate_conditions,
    has_nobody_to_follow,
    ledger_conditions,
    publication_conditions,
    retrieval_conditions,
    store_conditions,
    upgrade_conditions,
)
from hansa.node.health.following import following_conditions
from hansa.node.ledger_view import FRESH_FOR_S, LedgerView
from hansa.node.validator.guard import ValidatorStatus
from hansa.pubsub.ledger.rules.upgrades import Release
from hansa.pubsub.ledger_records import LedgerStatus
from hansa.pubsub.light.captured import LedgerEvidence
from hansa.pubsub.light.comparing import evidence_text
from hansa.pubsub.light_member.following import FollowingStatus
from hansa.replication import ReplicationProgress, ReplicationView
from hansa.replication.registry import MemberRegistry

log = structlog.get_logger("hansa.node")


class HasValidatorStatus(Protocol):
    """What knows of the validator."""

    @property
    def status(self) -> ValidatorStatus:
        """What it does now."""


class HealthReporter:
    """Reports the conditions of this marketplace; they are looked at every `FRESH_FOR_S` at most.

    Args:
        did: Of this marketplace.
        ledger: Its state.
        registry: The members.
        replication: Its progress.
        publication_problem: Of the last submission.
        policies_problem: Why the files of conditions cannot be read as they are now; None: they can.
        trust_problem: Which trust anchors cannot be used as they are now; None: all can.
        record: Reads a record of the ledger's state, by section and key.
        guard: Of the validator.
        following: How a light member's following goes; None where there is an engine.
        blocks: When the last block came.
        release: What this installation has.
        evidence: What differs between our checkpoints and those of others.
        stopped_because: Why the ledger stands still here until an upgrade; None while it does not.
        membership: What this marketplace is to its league.
        clock: For how long an answer is fresh.
    """

    def __init__(
        self,
        did: str,
        ledger: LedgerView,
        registry: MemberRegistry,
        replication: ReplicationView,
        publication_problem: Callable[[], Code | None],
        is_ledger_behind: Callable[[], bool],
        policies_problem: Callable[[], str | None],
        trust_problem: Callable[[], str | None],
        record: Callable[[str, str], Awaitable[bytes | None]],
        guard: HasValidatorStatus,
        following: Callable[[], FollowingStatus | None],
        blocks: BlockProgress,
        release: Release,
        stopped_because: Callable[[], str | None],
        evidence: Callable[[], Sequence[LedgerEvidence]],
        membership: Callable[[], Awaitable[tuple[Condition, ...]]],
        clock: Clock,
    ) -> None:
        self._did = did
        self._ledger = ledger
        self._registry = registry
        self._replication = replication
        self._publication_problem = publication_problem
        self._is_ledger_behind = is_ledger_behind
        self._policies_problem = policies_problem
        self._trust_problem = trust_problem
        self._record = record
        self._guard = guard
        self._following = following
        self.blocks = blocks
        self._release = release
        self._stopped_because = stopped_because
        self._evidence = evidence
        self._membership = membership
        self._clock = clock
        self._updating = asyncio.Lock()
        self._updated_at_s: float | None = None
        self._conditions: tuple[Condition, ...] = ()
        self._is_lost_power_logged = False

    @property
    def publication_problem(self) -> Code | None:
        """Code of the last submission's failure; None when it succeeded."""
        return self._publication_problem()

    def is_catching_up(self, ledger: LedgerStatus) -> bool:
        """Whether the ledger here is behind that of others who are there."""
        is_alone = self._following() is None and has_nobody_to_follow(ledger, self.blocks.since_block_s)
        return ledger.catching_up and not is_alone

    async def conditions(self, progress: ReplicationProgress | None = None) -> tuple[Condition, ...]:
        """All conditions that hold now.

        Args:
            progress: Of replication, when the caller has it already.
        """
        async with self._updating:
            now_s = self._clock.monotonic()
            if self._updated_at_s is None or now_s - self._updated_at_s >= FRESH_FOR_S:
                self._conditions = await self._current(progress)
                self._updated_at_s = self._clock.monotonic()
        return self._conditions

    async def _current(self, progress: ReplicationProgress | None) -> tuple[Condition, ...]:
        ledger = await self._ledger.refresh()
        if progress is None:
            progress = await self._replication.progress(self._registry.known(), ledger)
        gauges, origins = progress.gauges, progress.origins
        return (
            *(ledger_conditions(self._league(ledger, gauges.outbox)) if ledger is not None else ()),
            *publication_conditions(self._publication_problem(), gauges.outbox, gauges.refused),
            *await self._certificate_conditions(),
            *store_conditions(
                *(gauges.lost, self._policies_problem(), self._trust_problem()),
                is_ledger_behind=self._is_ledger_behind(),
            ),
            *retrieval_conditions(origins),
            *self._following_conditions(),
            *self._upgrade_conditions(ledger),
            *self._evidence_conditions(),
            *self._validator_conditions(ledger),
            *await self._membership(),
        )

    async def _certificate_conditions(self) -> tuple[Condition, ...]:
        """Those of the certificates of our own keys; none while the ledger cannot be read."""
        own = self._registry.known_member(self._did)
        if own is None or not is_elsi(self._did):
            return ()
        try:
            bodies = [
                await self._record(CERTIFICATES, certificate_key(self._did, key.kid)) for key in own.keys
            ]
        except HansaError:
            return ()
        certificates = [read_key_certificate(body) for body in bodies if body is not None]
        return certificate_conditions(certificates, epoch_ms(self._clock))

    def _following_conditions(self) -> tuple[Condition, ...]:
        following = self._following()
        if following is None:
            return ()
        names = {member.endpoint: member.name for member in self._registry.known()}
        return following_conditions(following, lambda endpoint: names.get(endpoint, endpoint))

    def _upgrade_conditions(self, ledger: LedgerStatus | None) -> tuple[Condition, ...]:
        plan = ledger.upgrade if ledger is not None else None
        lacking = None if plan is None else self._release.lacks(plan)
        return upgrade_conditions(plan, lacking, self._stopped_because())

    def _evidence_conditions(self) -> tuple[Condition, ...]:
        names = {member.did: member.name for member in self._registry.known()}
        text = evidence_text(self._evidence(), lambda did: names.get(did, did))
        return () if text is None else (Condition(ConditionCode.CHECKPOINTS_DIFFER, text),)

    def _league(self, ledger: LedgerStatus, events_waiting: int) -> LeagueView:
        self.blocks.note_height(ledger.height)
        self.blocks.note_events_waiting(events_waiting)
        return LeagueView(
            ledger=ledger,
            members=self._registry.known(),
            own_did=self._did,
            signs=not self._guard.status.is_observing,
            has_engine=self._following() is None,
            heartbeat_s=self.blocks.heartbeat_s(),
            since_block_s=self.blocks.since_block_s,
            stalled_s=self.blocks.stalled_s,
            waiting=self.blocks.waiting,
        )

    def _validator_conditions(self, ledger: LedgerStatus | None) -> tuple[Condition, ...]:
        validator = self._guard.status
        conditions = []
        if validator.is_observing:
            is_double = validator.double is not None or bool(validator.elsewhere)
            awaits = ConditionCode.VALIDATOR_AWAITED if validator.awaited_at is not None else None
            code = ConditionCode.VALIDATOR_DOUBLE if is_double else awaits or ConditionCode.VALIDATOR_OBSERVES
            conditions.append(Condition(code, f"the validator {validator.summary}"))
        lost = self._lost_power(ledger)
        if lost is not None:
            conditions.append(Condition(ConditionCode.VALIDATOR_POWER_LOST, lost))
        return tuple(conditions)

    def _lost_power(self, ledger: LedgerStatus | None) -> str | None:
        """Why our validator votes no more, and what to do; logged once."""
        address = self._guard.status.address.lower()
        evidence = next(
            (one for one in (ledger.misbehavior if ledger else ()) if one.address == address), None
        )
        if ledger is None or evidence is None or ledger.powers.get(address, 0) > 0:
            return None
        if not self._is_lost_power_logged:
            self._is_lost_power_logged = True
            log.error("validator_power_lost", address=address, kind=evidence.kind, height=evidence.height)
        return (
            f"the validator has lost its voting power: the ledger has evidence ({evidence.kind}) that its key "
            f"signed twice at height {evidence.height}. Stop every other engine with this key; "
            "docs/operators/recover.md says what comes then"
        )
