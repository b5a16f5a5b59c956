"""What an issuer may publish: never more than its burst and its rate, and a refusal's wait suffices."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Fatal
from hansa.pubsub.ledger.commitments.stored import IssuerState
from hansa.pubsub.ledger.genesis import AppState, LedgerParams, read_app_state
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.quotas import BYTES_QUOTA, DAY_QUOTA, EVENTS_QUOTA, check_quotas, spend
from hansa.pubsub.ledger.state import Load
from tests.contract.origins import Origin

DID = "did:key:zissuer"
DAY_MS = 86_400_000
START_MS = 20_000 * DAY_MS
PARAMS = LedgerParams(
    events_per_transaction_max=20,
    transaction_size_max_bytes=5000,
    issuer_events_per_s=10,
    issuer_bytes_per_s=1000,
    issuer_burst_s=5,
    issuer_bytes_per_day=200_000,
)
LOADS = st.builds(Load, st.integers(1, 20), st.integers(1, 5000))


def refusal(
    issuer: IssuerState, load: Load, time_ms: int, params: LedgerParams = PARAMS
) -> RuleBroken | None:
    """Why an issuer may not publish that now; None when it may."""
    try:
        check_quotas(issuer, load, params, time_ms)
    except RuleBroken as broken:
        return broken
    return None


@given(st.lists(st.tuples(st.integers(0, 20_000), LOADS), max_size=60))
def test_no_stretch_of_time_has_more_than_the_burst_and_the_rate(steps: list[tuple[int, Load]]) -> None:
    issuer, time_ms = IssuerState(DID), START_MS
    admitted: list[tuple[int, Load]] = []
    for pause_ms, load in steps:
        time_ms += pause_ms
        if refusal(issuer, load, time_ms) is None:
            issuer = spend(issuer, load, PARAMS, time_ms)
            admitted.append((time_ms, load))
    for first, last in itertools.combinations_with_replacement(range(len(admitted)), 2):
        stretch = admitted[first : last + 1]
        duration_ms = stretch[-1][0] - stretch[0][0]
        assert 1000 * sum(load.events for _, load in stretch) <= 10 * (5000 + duration_ms)
        assert sum(load.size_bytes for _, load in stretch) <= 5000 + duration_ms
    for _, day in itertools.groupby(admitted, lambda one: one[0] // DAY_MS):
        assert sum(load.size_bytes for _, load in day) <= PARAMS.issuer_bytes_per_day


@given(st.lists(LOADS, max_size=60), LOADS, st.integers(0, DAY_MS))
def test_after_the_wait_that_a_refusal_names_the_same_passes(
    before: list[Load], load: Load, offset_ms: int
) -> None:
    issuer, time_ms = IssuerState(DID), START_MS + offset_ms
    for one in before:
        issuer = spend(issuer, one, PARAMS, time_ms)
    refused = refusal(issuer, load, time_ms)
    waited_ms = 0
    while refused is not None:  # of several quotas, one after another may refuse
        assert refused.code is Code.QUOTA_EXCEEDED
        assert refused.wait_ms > 0
        waited_ms += refused.wait_ms
        following = refusal(issuer, load, time_ms + waited_ms)
        assert following is None or following.rule is not refused.rule
        refused = following
    assert waited_ms <= DAY_MS + 60 * 5000


@given(st.lists(st.tuples(st.integers(-5000, 5000), LOADS), max_size=30))
def test_levels_are_whole_numbers_and_never_negative_whatever_the_time_does(
    steps: list[tuple[int, Load]],
) -> None:
    issuer, time_ms = IssuerState(DID), START_MS
    for step_ms, load in steps:
        time_ms += step_ms
        issuer = spend(issuer, load, PARAMS, time_ms)
        assert all(isinstance(value, int) and value >= 0 for value in msgspec.structs.astuple(issuer)[1:])
        assert issuer.level_time_ms >= time_ms


@pytest.mark.parametrize(
    ("issuer", "rule"),
    [
        (IssuerState(DID, events_level=50_000, level_time_ms=START_MS), EVENTS_QUOTA),
        (IssuerState(DID, bytes_level=5_000_000, level_time_ms=START_MS), BYTES_QUOTA),
        (IssuerState(DID, level_time_ms=START_MS, day=20_000, day_bytes=200_000), DAY_QUOTA),
    ],
)
def test_each_quota_has_a_rule_of_its_own(issuer: IssuerState, rule: object) -> None:
    refused = refusal(issuer, Load(1, 1), START_MS)
    assert refused is not None
    assert refused.rule is rule


def test_honest_load_passes_the_default_quotas() -> None:
    issuer, params = IssuerState(DID), LedgerParams()
    import_ms = 6250
    for number in range(63):  # an import of 6,248 entities, as fast as a league commits
        time_ms = START_MS + number * import_ms // 63
        load = Load(100, 40_000)
        assert refusal(issuer, load, time_ms, params) is None
        issuer = spend(issuer, load, params, time_ms)
    for second in range(60):  # 540 changes a second for a minute
        time_ms = START_MS + import_ms + 1000 * second
        load = Load(540, 540 * 400)
        assert refusal(issuer, load, time_ms, params) is None
        issuer = spend(issuer, load, params, time_ms)
    for second in range(60, 3600):  # 250 changes a second for an hour
        time_ms = START_MS + import_ms + 1000 * second
        load = Load(250, 250 * 400)
        assert refusal(issuer, load, time_ms, params) is None
        issuer = spend(issuer, load, params, time_ms)


def test_quotas_that_no_full_transaction_fits_into_are_no_parameters_of_a_league() -> None:
    for params in (
        LedgerParams(issuer_events_per_s=9, issuer_burst_s=10),
        LedgerParams(issuer_bytes_per_s=1000, issuer_burst_s=10),
        LedgerParams(issuer_bytes_per_day=1000),
    ):
        genesis = msgspec.json.encode(AppState((Origin("lubeck").member,), params))
        with pytest.raises(Fatal, match="quotas"):
            read_app_state(genesis)
