"""The state of the marketplace, as `hansa status` has it, for the operators' start page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hansa.node.health import Condition, meaning_of, remedy_of
from hansa.node.status import StatusReport, StatusReporter
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
from hansa.pubsub.engine import ChildState
from hansa.replication.registry import MemberRegistry


class ReportedState:
    """The state as the reporter has it.

    Args:
        reporter: Of this marketplace.
        registry: The members.
    """

    def __init__(self, reporter: StatusReporter, registry: MemberRegistry) -> None:
        self._reporter = reporter
        self._registry = registry

    async def state(self) -> MarketplaceState:
        """As it is now."""
        report = await self._reporter.report()
        names = {member.did: member.name for member in self._registry.known()}
        members = sum(member.is_current for member in self._registry.known())
        return MarketplaceState(
            status=report.status,
            wrong=_wrong(report.reasons, report.conditions),
            figures=_figures(report, members),
            did=report.did,
            endpoint=report.endpoint,
            chain_id=report.chain_id,
            version=report.version,
            ruleset=report.ruleset or "",
            app_hash=report.app_hash or "",
            upgrade=_upgrade(report),
            validator=report.validator.summary,
            tasks=tuple(
                RunningPart(one.name, one.is_running, one.restarts, one.problem or "") for one in report.tasks
            ),
            processes=tuple(
                RunningPart(one.name, one.state is ChildState.RUNNING, max(one.starts - 1, 0), "")
                for one in report.children
            ),
            refusals=tuple(RefusedOwn(one.id, one.type, one.code, one.message) for one in report.refusals),
            misbehavior=tuple(
                ValidatorEvidence(one.name or one.address, one.kind, one.height) for one in report.misbehavior
            ),
            wrong_answers=_wrong_answers(report, names),
            followed=_followed(report),
            types=_types(report),
        )


def _wrong(reasons: Sequence[str], conditions: Sequence[Condition]) -> tuple[Wrong, ...]:
    """What keeps the marketplace from serving, and then what does not."""
    messages = {one.message for one in conditions}
    stopping = [Wrong("not-ready", reason, "", "", False) for reason in reasons if reason not in messages]
    serving = [
        Wrong(str(one.code), one.message, meaning_of(one.code), remedy_of(one.code) or "", True)
        for one in conditions
    ]
    return (*stopping, *serving)


def _figures(report: StatusReport, members: int) -> Figures:
    return Figures(
        height=report.height,
        position=report.position,
        since_block_s=report.since_block_s,
        lag=report.lag,
        members=members,
        engine_peers=report.peers,
        own=sum(one.count for one in report.entities if one.own),
        replicas=sum(one.count for one in report.entities if not one.own),
        unpublished=report.unpublished,
        refused=report.refused,
        pending=report.pending,
        failed=report.failed,
        evidence=report.evidence,
        conflicts=report.conflicts,
        lost=report.lost,
        disk_free_bytes=report.disk_free_bytes,
        uptime_s=report.uptime_s,
    )


def _upgrade(report: StatusReport) -> str:
    plan = report.upgrade
    if plan is None:
        return ""
    engine = f" with engine {plan.engine}" if plan.engine else ""
    return f"{plan.ruleset}{engine} from block {plan.height:,} on; {len(plan.ready)} members are ready"


def _wrong_answers(report: StatusReport, names: Mapping[str, str]) -> tuple[WrongAnswers, ...]:
    return tuple(
        WrongAnswers(names.get(one.issuer, one.issuer), one.code, one.reason, one.count)
        for one in report.evidence_newest
    )


def _followed(report: StatusReport) -> tuple[FollowedEndpoint, ...]:
    sources = report.following.sources if report.following is not None else ()
    return tuple(
        FollowedEndpoint(one.endpoint, str(one.behavior), one.height, one.reason or "") for one in sources
    )


def _types(report: StatusReport) -> tuple[TypeCount, ...]:
    counts: dict[str, list[int]] = {}
    for one in report.entities:
        column = (0 if one.public else 1) if one.own else 2
        counts.setdefault(one.type, [0, 0, 0])[column] += one.count
    return tuple(TypeCount(type, *row) for type, row in sorted(counts.items()))
