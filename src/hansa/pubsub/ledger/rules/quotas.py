"""Quotas: how much an issuer may publish. Whole numbers, by the time of the block that is judged.

Two leaky buckets an issuer, one for events and one for bytes. A batch fills them; they drain at the rate that
a league allows over a long time (`issuer_events_per_s`, `issuer_bytes_per_s`), and hold what an issuer may
publish at once (`issuer_burst_s` seconds' worth). A third counter is the bytes of the day (UTC) that the
ledger stores for the issuer (`issuer_bytes_per_day`).

Levels count thousandths of an event and of a byte: a rate per second is the same number of thousandths per
millisecond, so that no remainder is lost. Every refusal says how long to wait; after that time the same batch
passes, if nothing else of the issuer was committed meanwhile.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.errors import Code
from hansa.pubsub.ledger.commitments.stored import IssuerState
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.results import Rule
from hansa.pubsub.ledger.state import Load

EVENTS_QUOTA: Final = Rule(
    23, Code.QUOTA_EXCEEDED, "the issuer would exceed `issuer_events_per_s` for longer than `issuer_burst_s`"
)
BYTES_QUOTA: Final = Rule(
    24, Code.QUOTA_EXCEEDED, "the issuer would exceed `issuer_bytes_per_s` for longer than `issuer_burst_s`"
)
DAY_QUOTA: Final = Rule(
    25, Code.QUOTA_EXCEEDED, "the issuer would store more than `issuer_bytes_per_day` in one day (UTC)"
)

RULES: Final = (EVENTS_QUOTA, BYTES_QUOTA, DAY_QUOTA)

_MILLI: Final = 1000
_DAY_MS: Final = 86_400_000


def spend(issuer: IssuerState, load: Load, params: LedgerParams, time_ms: int) -> IssuerState:
    """The issuer after it published something in a block of that time, whether or not it may."""
    assert min(load.events, load.size_bytes) >= 0, "a load is not negative"
    elapsed_ms = max(0, time_ms - issuer.level_time_ms)
    level_time_ms = max(time_ms, issuer.level_time_ms)
    day = level_time_ms // _DAY_MS
    return msgspec.structs.replace(
        issuer,
        events_level=max(0, issuer.events_level - elapsed_ms * params.issuer_events_per_s)
        + _MILLI * load.events,
        bytes_level=max(0, issuer.bytes_level - elapsed_ms * params.issuer_bytes_per_s)
        + _MILLI * load.size_bytes,
        level_time_ms=level_time_ms,
        day=day,
        day_bytes=(issuer.day_bytes if issuer.day == day else 0) + load.size_bytes,
    )


def is_within_quotas(after: IssuerState, params: LedgerParams) -> bool:
    """Whether an issuer is within its quotas after what it spent."""
    burst_ms = _MILLI * params.issuer_burst_s
    return (
        after.events_level <= burst_ms * params.issuer_events_per_s
        and after.bytes_level <= burst_ms * params.issuer_bytes_per_s
        and after.day_bytes <= params.issuer_bytes_per_day
    )


def check_quotas(issuer: IssuerState, load: Load, params: LedgerParams, time_ms: int) -> None:
    """Check that an issuer may publish something in a block of that time.

    Raises:
        RuleBroken: a quota's rule, with the time to wait.
    """
    after = spend(issuer, load, params, time_ms)
    if is_within_quotas(after, params):
        return
    for rule, level, rate in (
        (EVENTS_QUOTA, after.events_level, params.issuer_events_per_s),
        (BYTES_QUOTA, after.bytes_level, params.issuer_bytes_per_s),
    ):
        excess = level - _MILLI * rate * params.issuer_burst_s
        if excess > 0:
            wait_ms = -(-excess // rate) + after.level_time_ms - time_ms
            raise rule.broken(f"{issuer.did} has published too much at once; wait {wait_ms} ms.", wait_ms)
    wait_ms = (after.day + 1) * _DAY_MS - time_ms
    raise DAY_QUOTA.broken(f"{issuer.did} has published its share of today.", wait_ms)
