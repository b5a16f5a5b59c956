"""`/metrics` in Prometheus' form. One table says what there is; docs/metrics.md is written from it.

Figures are gathered when they are requested. Counters start at 0 with the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from hansa.core.cache import CacheFigures
from hansa.core.histogram import Histogram
from hansa.node.health import ConditionCode
from hansa.node.http.traffic import Traffic
from hansa.node.status import StatusReport
from hansa.pubsub.engine import ChildState
from hansa.pubsub.ledger.waiting import WaitingFigures
from hansa.store.tables.heads import STATES
from hansa.store.tables.subscriptions import DeliveryTotals, State

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Figure(msgspec.Struct, frozen=True):
    """A metric, as the page describes it."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


FIGURES: Final = (
    Figure(
        "hansa_info",
        "gauge",
        "1, with the version and the marketplace as labels.",
        ("version", "name", "did"),
    ),
    Figure("hansa_ready", "gauge", "1 when `/readyz` answers 200."),
    Figure(
        "hansa_condition",
        "gauge",
        "1 while something is not as it should be (docs/conditions.md), 0 otherwise.",
        ("condition",),
    ),
    Figure("hansa_uptime_seconds", "gauge", "Time since the start."),
    Figure("hansa_http_requests_total", "counter", "Requests answered.", ("surface", "status")),
    Figure(
        "hansa_http_request_seconds_total", "counter", "Time that they took together.", ("surface", "status")
    ),
    Figure(
        "hansa_http_request_duration_seconds",
        "histogram",
        "How long requests took, in buckets; `access` is `read` or `write`.",
        ("surface", "access"),
    ),
    Figure(
        "hansa_store_commit_duration_seconds", "histogram", "How long commits of the store took, in buckets."
    ),
    Figure("hansa_http_requests_in_flight", "gauge", "Requests being answered."),
    Figure(
        "hansa_http_refused_total",
        "counter",
        "Requests that the server refused, and connections that it ended, by itself (docs/operators/limits.md).",
        ("reason",),
    ),
    Figure("hansa_http_connections", "gauge", "Connections of clients."),
    Figure("hansa_http_unsent_bytes", "gauge", "What clients have not read of their responses."),
    Figure(
        "hansa_http_upload_bytes",
        "gauge",
        "In bodies and heads that have arrived in part, and in requests sent ahead of a response.",
    ),
    Figure("hansa_ledger_up", "gauge", "1 when the ledger answers."),
    Figure("hansa_ledger_height", "gauge", "Height of the last block here."),
    Figure("hansa_ledger_position", "gauge", "Position of the newest event on the ledger."),
    Figure(
        "hansa_ledger_block_age_seconds",
        "gauge",
        "Time since the last block was seen to come, or since the start.",
    ),
    Figure(
        "hansa_ledger_stalled_seconds",
        "gauge",
        "For how long something has been waiting without a block; 0 while nothing waits.",
    ),
    Figure(
        "hansa_ledger_waiting_transactions", "gauge", "Transactions that wait for a block here.", ("member",)
    ),
    Figure("hansa_ledger_waiting_bytes", "gauge", "Their size.", ("member",)),
    Figure(
        "hansa_ledger_submissions_refused_total",
        "counter",
        "Submissions that the ledger application refused to let wait, of all members, since its start.",
        ("code",),
    ),
    Figure("hansa_outbox_events", "gauge", "Events of ours that are not committed yet."),
    Figure("hansa_validator_observing", "gauge", "1 while the validator signs nothing, as after a restore."),
    Figure("hansa_validator_double", "gauge", "1 when another engine signs with the validator's key."),
    Figure("hansa_ledger_power", "gauge", "Voting power of a member's validator.", ("member",)),
    Figure(
        "hansa_ledger_misbehavior_total",
        "counter",
        "Evidence on the ledger against a validator; `unknown` is one of no member.",
        ("member",),
    ),
    Figure(
        "hansa_ledger_peers",
        "gauge",
        "Engines of other members that ours is connected to; of a light member, followed members that answer.",
    ),
    Figure(
        "hansa_followed_member",
        "gauge",
        "Of a light member: 1, with how a followed member does (`current`, `late`, `withholds`, `lies`, `upgraded`, `silent`).",
        ("endpoint", "behavior"),
    ),
    Figure(
        "hansa_followed_member_height",
        "gauge",
        "Height of the newest header that a followed member has shown.",
        ("endpoint",),
    ),
    Figure(
        "hansa_followed_member_lies_total",
        "counter",
        "How often something that a followed member gave did not hold.",
        ("endpoint",),
    ),
    Figure(
        "hansa_followed_member_withheld_total",
        "counter",
        "How often a followed member did not give what it had, or a transaction that it took came to nothing.",
        ("endpoint",),
    ),
    Figure(
        "hansa_trusted_block_age_seconds",
        "gauge",
        "Of a light member: age of the block from which later ones are verified.",
    ),
    Figure("hansa_trusted_block_height", "gauge", "Of a light member: its height."),
    Figure("hansa_followed_position", "gauge", "Events up to this position have been looked at here."),
    Figure("hansa_lag_events", "gauge", "Events on the ledger that have not been looked at here."),
    Figure(
        "hansa_unpublished_changes", "gauge", "Changes here that have not been looked at for publication."
    ),
    Figure(
        "hansa_origin_lag_events",
        "gauge",
        "Positions from the oldest event of an origin that is not applied here to the newest.",
        ("origin",),
    ),
    Figure("hansa_retrievals_pending", "gauge", "Retrievals that wait or are under way.", ("origin",)),
    Figure(
        "hansa_retrievals_failed",
        "gauge",
        "Pending retrievals whose last attempt failed.",
        ("origin",),
    ),
    Figure(
        "hansa_replicas",
        "gauge",
        "Entities of an origin on the ledger by their state here (`hansa replication list`).",
        ("origin", "state"),
    ),
    Figure(
        "hansa_ledger_heads", "gauge", "Entities of an origin on the ledger, deleted ones too.", ("origin",)
    ),
    Figure(
        "hansa_ledger_heads_unaccounted",
        "gauge",
        "Those of them without a state here: always 0.",
        ("origin",),
    ),
    Figure("hansa_replicas_bytes", "gauge", "Size of the replicas of an origin.", ("origin",)),
    Figure("hansa_origin_failing", "gauge", "1 while requests to an origin fail.", ("origin",)),
    Figure("hansa_events_published_total", "counter", "Events of ours that the ledger took."),
    Figure("hansa_batches_published_total", "counter", "Ledger transactions that they travelled in."),
    Figure("hansa_events_refused_total", "counter", "Events of ours that the ledger refused."),
    Figure("hansa_submissions_failed_total", "counter", "Submissions that have to be repeated."),
    Figure("hansa_bundles_sent_total", "counter", "Batches of entities pushed to another member."),
    Figure("hansa_bundles_failed_total", "counter", "Those that the member did not take."),
    Figure("hansa_events_followed_total", "counter", "Events read from the ledger."),
    Figure("hansa_replicas_pushed_total", "counter", "Replicas stored with their events, without a request."),
    Figure(
        "hansa_entities_compared_total",
        "counter",
        "Entities of ours compared again, since this release publishes by another rule.",
    ),
    Figure("hansa_exchanges_total", "counter", "Requests for entities sent to other members."),
    Figure("hansa_exchanges_failed_total", "counter", "Those that were not answered as they should be."),
    Figure("hansa_entities_stored_total", "counter", "Replicas stored."),
    Figure("hansa_entities_rejected_total", "counter", "Entities that did not hold."),
    Figure("hansa_bytes_stored_total", "counter", "Size of the replicas stored."),
    Figure(
        "hansa_confidential_events_published_total", "counter", "Sealed events of ours that the ledger took."
    ),
    Figure("hansa_confidential_events_refused_total", "counter", "Sealed events of ours that it refused."),
    Figure(
        "hansa_confidential_exchanges_failed_total",
        "counter",
        "Requests for confidential entities that were not answered as they should be.",
    ),
    Figure(
        "hansa_confidential_entities_stored_total",
        "counter",
        "Entities stored that were sealed for this marketplace.",
    ),
    Figure(
        "hansa_confidential_entities_rejected_total",
        "counter",
        "Versions of such entities that the origin did not have, or that did not hold.",
    ),
    Figure(
        "hansa_requests_hedged_total",
        "counter",
        "Requests for entities sent to another member, too, since their origin was slow.",
    ),
    Figure(
        "hansa_bundles_pulled_total", "counter", "Bundles of other members that had not arrived when pushed."
    ),
    Figure("hansa_evidence_records", "gauge", "Records of what others sent that did not hold."),
    Figure("hansa_own_entities_refused", "gauge", "Entities of ours whose event the ledger refused."),
    Figure(
        "hansa_own_entities_lost", "gauge", "Entities of ours that the ledger has and the store has lost."
    ),
    Figure(
        "hansa_identifier_conflicts", "gauge", "Entities of ours whose identifier another member has claimed."
    ),
    Figure("hansa_entities", "gauge", "Entities in the store.", ("type", "own", "public")),
    Figure(
        "hansa_store_writes_waiting", "gauge", "Store transactions that wait for their turn or their commit."
    ),
    Figure(
        "hansa_hub_listeners",
        "gauge",
        "Hub registrations: `active`, `failing` (tried again) or `paused` (until someone resumes them).",
        ("state",),
    ),
    Figure("hansa_hub_delivered", "gauge", "Notifications that the listeners registered now have accepted."),
    Figure(
        "hansa_hub_dead_letters",
        "gauge",
        "Notifications that listeners did not accept and that can be sent again.",
    ),
    Figure(
        "hansa_cache_hits_total", "counter", "Look-ups that a cache answered (docs/caches.md).", ("cache",)
    ),
    Figure("hansa_cache_misses_total", "counter", "Look-ups that a cache did not answer.", ("cache",)),
    Figure("hansa_cache_entries", "gauge", "Values in a cache.", ("cache",)),
    Figure(
        "hansa_cache_size",
        "gauge",
        "Their size: bytes, or values where the cache is bounded by their number.",
        ("cache",),
    ),
    Figure("hansa_task_running", "gauge", "1 while a background task runs.", ("task",)),
    Figure(
        "hansa_task_restarts_total", "counter", "How often a background task was started again.", ("task",)
    ),
    Figure("hansa_child_running", "gauge", "1 while a child process runs.", ("child",)),
    Figure("hansa_child_starts_total", "counter", "How often a child process was started.", ("child",)),
    Figure("hansa_search_unindexed_changes", "gauge", "Changes that the index of the search lacks so far."),
    Figure(
        "hansa_search_building", "gauge", "1 while that index is being built, so that searches miss some."
    ),
    Figure("hansa_disk_free_bytes", "gauge", "Free space on the disk of the folder."),
)

Sample = tuple[tuple[str, ...], float]
HistogramSample = tuple[tuple[str, ...], Histogram]


def metrics_text(
    report: StatusReport,
    traffic: Traffic,
    writes_waiting: int,
    listeners: Mapping[State, int],
    deliveries: DeliveryTotals,
    caches: Sequence[CacheFigures],
    waiting: WaitingFigures | None,
    commit_times: Histogram,
) -> bytes:
    """The response to `/metrics`.

    Args:
        report: The state of the marketplace.
        traffic: Requests so far.
        writes_waiting: Transactions of the store.
        listeners: Number of hub registrations in each state.
        deliveries: To them.
        caches: Of all parts.
        waiting: What waits for a block; None while the ledger application does not answer.
        commit_times: Of the store.
    """
    samples = {
        **_samples(report, traffic, writes_waiting),
        **_hub_samples(listeners, deliveries),
        **_cache_samples(caches),
        **_waiting_samples(waiting, report),
        **_following_samples(report),
    }
    registry = CollectorRegistry(auto_describe=False)
    histograms: dict[str, list[HistogramSample]] = {
        "hansa_http_request_duration_seconds": [
            ((surface, "write" if is_write else "read"), durations)
            for (surface, is_write), durations in traffic.durations.items()
        ],
        "hansa_store_commit_duration_seconds": [((), commit_times)],
    }
    registry.register(_Collector(samples, histograms))
    return generate_latest(registry)


class _Collector:
    """A collector of figures that are there already."""

    def __init__(
        self, samples: dict[str, list[Sample]], histograms: dict[str, list[HistogramSample]]
    ) -> None:
        self._samples = samples
        self._histograms = histograms

    def collect(self) -> Iterator[Metric]:
        """Every figure of the table that has a value now."""
        for figure in FIGURES:
            family: CounterMetricFamily | GaugeMetricFamily
            if figure.kind == "histogram":
                yield self._histogram(figure)
                continue
            if figure.kind == "counter":
                family = CounterMetricFamily(figure.name, figure.meaning, labels=figure.labels)
            else:
                family = GaugeMetricFamily(figure.name, figure.meaning, labels=figure.labels)
            for labels, value in self._samples[figure.name]:
                family.add_metric(labels, value)
            yield family

    def _histogram(self, figure: Figure) -> Metric:
        family = HistogramMetricFamily(figure.name, figure.meaning, labels=figure.labels)
        for labels, histogram in self._histograms[figure.name]:
            family.add_metric(labels, buckets=histogram.cumulative(), sum_value=histogram.sum_s)
        return family


def _samples(report: StatusReport, traffic: Traffic, writes_waiting: int) -> dict[str, list[Sample]]:
    totals = traffic.totals()
    counted = msgspec.structs.asdict(report.counters)
    return {
        **{f"hansa_{name}_total": _one(value) for name, value in counted.items()},
        "hansa_info": [((report.version, report.name, report.did), 1)],
        "hansa_ready": _one(report.is_ready),
        "hansa_condition": [
            ((str(code),), any(one.code is code for one in report.conditions)) for code in ConditionCode
        ],
        "hansa_uptime_seconds": _one(report.uptime_s),
        "hansa_http_requests_total": [(labels, each.count) for labels, each in totals.items()],
        "hansa_http_request_seconds_total": [(labels, each.seconds) for labels, each in totals.items()],
        "hansa_http_requests_in_flight": _one(traffic.in_flight),
        "hansa_http_refused_total": [((str(reason),), count) for reason, count in traffic.refused.items()],
        "hansa_http_connections": _one(traffic.connections),
        "hansa_http_unsent_bytes": _one(traffic.unsent_bytes),
        "hansa_http_upload_bytes": _one(traffic.upload_bytes),
        "hansa_ledger_up": _one(report.height is not None),
        "hansa_ledger_height": _one(report.height),
        "hansa_ledger_position": _one(report.position),
        "hansa_ledger_block_age_seconds": _one(report.since_block_s),
        "hansa_ledger_stalled_seconds": _one(report.stalled_s),
        "hansa_outbox_events": _one(report.outbox),
        "hansa_validator_observing": _one(report.validator.is_observing),
        "hansa_validator_double": _one(report.validator.double is not None),
        "hansa_ledger_power": [((one.name,), one.power) for one in report.powers],
        "hansa_ledger_misbehavior_total": [
            ((name,), count)
            for name, count in Counter(one.name or "unknown" for one in report.misbehavior).items()
        ],
        "hansa_ledger_peers": _one(report.peers),
        "hansa_followed_position": _one(report.followed_to),
        "hansa_lag_events": _one(report.lag),
        "hansa_unpublished_changes": _one(report.unpublished),
        "hansa_refused_entities": _one(report.refused),
        "hansa_origin_lag_events": [((origin.name,), origin.lag) for origin in report.origins],
        "hansa_retrievals_pending": [((origin.name,), origin.pending) for origin in report.origins],
        "hansa_retrievals_failed": [((origin.name,), origin.failed) for origin in report.origins],
        "hansa_replicas": [
            ((origin.name, state), getattr(origin, state)) for origin in report.origins for state in STATES
        ],
        "hansa_ledger_heads": [((origin.name,), origin.heads) for origin in report.origins],
        "hansa_ledger_heads_unaccounted": [((origin.name,), origin.unaccounted) for origin in report.origins],
        "hansa_replicas_bytes": [((origin.name,), origin.stored_bytes) for origin in report.origins],
        "hansa_origin_failing": [((origin.name,), origin.attempts > 0) for origin in report.origins],
        "hansa_evidence_records": _one(report.evidence),
        "hansa_own_entities_refused": _one(report.refused),
        "hansa_own_entities_lost": _one(report.lost),
        "hansa_identifier_conflicts": _one(report.conflicts),
        "hansa_entities": [
            ((entity.type, _word(entity.own), _word(entity.public)), entity.count)
            for entity in report.entities
        ],
        "hansa_store_writes_waiting": _one(writes_waiting),
        "hansa_task_running": [((task.name,), task.is_running) for task in report.tasks],
        "hansa_task_restarts_total": [((task.name,), task.restarts) for task in report.tasks],
        "hansa_child_running": [
            ((child.name,), child.state is ChildState.RUNNING) for child in report.children
        ],
        "hansa_child_starts_total": [((child.name,), child.starts) for child in report.children],
        "hansa_search_unindexed_changes": _one(report.search.behind),
        "hansa_search_building": _one(report.search.is_building),
        "hansa_disk_free_bytes": _one(report.disk_free_bytes),
    }


def _waiting_samples(waiting: WaitingFigures | None, report: StatusReport) -> dict[str, list[Sample]]:
    """Of the members' queues, also of those of which nothing waits."""
    queues = {one.did: one for one in waiting.queues} if waiting is not None else {}
    names = {one.did: one.name for one in report.powers} | {one.did: one.name for one in report.origins}
    shown = [(names.get(did, did), queues.get(did)) for did in sorted({*names, *queues})] if waiting else []
    return {
        "hansa_ledger_waiting_transactions": [
            ((name,), queue.transactions if queue else 0) for name, queue in shown
        ],
        "hansa_ledger_waiting_bytes": [((name,), queue.size_bytes if queue else 0) for name, queue in shown],
        "hansa_ledger_submissions_refused_total": [
            ((code,), count) for code, count in (waiting.refused if waiting else {}).items()
        ],
    }


def _following_samples(report: StatusReport) -> dict[str, list[Sample]]:
    following = report.following
    sources = following.sources if following is not None else ()
    trusted = following.trusted if following is not None else None
    return {
        "hansa_followed_member": [((one.endpoint, one.behavior), 1) for one in sources],
        "hansa_followed_member_height": [((one.endpoint,), one.height) for one in sources],
        "hansa_followed_member_lies_total": [((one.endpoint,), one.lies) for one in sources],
        "hansa_followed_member_withheld_total": [((one.endpoint,), one.withheld) for one in sources],
        "hansa_trusted_block_age_seconds": _one(trusted.age_s if trusted is not None else None),
        "hansa_trusted_block_height": _one(trusted.height if trusted is not None else None),
    }


def _hub_samples(listeners: Mapping[State, int], deliveries: DeliveryTotals) -> dict[str, list[Sample]]:
    return {
        "hansa_hub_listeners": [((state,), count) for state, count in listeners.items()],
        "hansa_hub_delivered": _one(deliveries.delivered),
        "hansa_hub_dead_letters": _one(deliveries.dead_letters),
    }


def _cache_samples(caches: Sequence[CacheFigures]) -> dict[str, list[Sample]]:
    return {
        "hansa_cache_hits_total": [((one.name,), one.hits) for one in caches],
        "hansa_cache_misses_total": [((one.name,), one.misses) for one in caches],
        "hansa_cache_entries": [((one.name,), one.entries) for one in caches],
        "hansa_cache_size": [((one.name,), one.size) for one in caches],
    }


def _one(value: float | None) -> list[Sample]:
    """A figure without labels; nothing when it is not known."""
    return [] if value is None else [((), value)]


def _word(value: bool) -> str:
    return "true" if value else "false"


def metrics_page() -> str:
    """The content of docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "`GET /metrics` gives these figures in Prometheus' text form, to an operator's token, and without one at the",
        "address of the setting `metrics_listen`. They are gathered when they are requested;",
        "counters start at 0 with the process. A figure that is not known, as the height while the engine is down, is",
        "left out.",
        "",
        "`surface` is `business` (the TM Forum APIs), `league` (`/league/v1/…`) or `other`; `status` is `2xx`, `4xx` and",
        "so on; `origin` is a member's name.",
        "",
        "Written by `hansa.node.metrics.metrics_page`; a test keeps it in step with the code.",
        "",
        "| Name | Type | Labels | Meaning |",
        "|---|---|---|---|",
        *(
            f"| `{figure.name}` | {figure.kind} | {', '.join(f'`{label}`' for label in figure.labels) or 'none'} "
            f"| {figure.meaning} |"
            for figure in FIGURES
        ),
    ]
    return "\n".join(lines) + "\n"
