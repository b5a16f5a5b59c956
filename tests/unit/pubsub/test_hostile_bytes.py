"""Whatever bytes come through ABCI, nothing but a verdict leaves. `make fuzz` draws many more of them."""

from __future__ import annotations

import os
import random
from typing import Any, Final

import msgspec
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.messages import PACKAGE, Request, message_class
from hansa.pubsub.ledger.methods import AbciMethods
from hansa.pubsub.ledger.results import FAULT
from hansa.pubsub.ledger.rules import NUMBERED_CODES
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from tests.contract.origins import Origin
from tests.golden.record import MUTATIONS

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "150"))
ORIGIN: Final = Origin("lubeck")
SEEDS: Final = tuple(ORIGIN.batch(content) for content in ORIGIN.events(3))

hostile = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid transaction, changed once to three times."""
    raw = draw(st.sampled_from(SEEDS))
    for name in draw(st.lists(st.sampled_from(sorted(MUTATIONS)), min_size=1, max_size=3)):
        try:
            raw = MUTATIONS[name](raw, random.Random(draw(st.integers(0, 2**32))))
        except ValueError:
            break  # an earlier change left nothing that this one could change
    return raw


transactions = st.binary(max_size=400) | mutated()


def methods() -> AbciMethods:
    application = LedgerApplication(SqliteState(MEMORY))
    application.init_chain(msgspec.json.encode(AppState((ORIGIN.member,))), 1_767_225_600_000)
    return AbciMethods(application, ManualClock(), structlog.get_logger())


def ask(abci: AbciMethods, name: str, message: str, **fields: Any) -> Any:
    request = message_class(f"{PACKAGE}.{message}")(**fields)
    return getattr(abci.answer(Request(**{name: request})), name)


@hostile
@given(st.lists(transactions, max_size=4))
def test_nothing_but_a_verdict_leaves(raw: list[bytes]) -> None:
    abci = methods()
    for one in raw:
        result = ask(abci, "check_tx", "RequestCheckTx", tx=one)
        assert result.code == 0 or result.code in NUMBERED_CODES
        assert result.code != FAULT.number
    proposal = ask(abci, "prepare_proposal", "RequestPrepareProposal", txs=raw, max_tx_bytes=10**6)
    assert set(proposal.txs) <= set(raw)
    assert ask(abci, "process_proposal", "RequestProcessProposal", txs=proposal.txs).status == 1
    block = ask(abci, "finalize_block", "RequestFinalizeBlock", txs=raw, height=1)
    assert [result.code == 0 or result.code in NUMBERED_CODES for result in block.tx_results] == [True] * len(
        raw
    )


@hostile
@given(st.text(max_size=40) | st.sampled_from(["/events", "/claims", "/positions"]), st.binary(max_size=200))
def test_a_query_is_answered_or_refused(path: str, data: bytes) -> None:
    result = ask(methods(), "query", "RequestQuery", path=path, data=data)
    assert result.code == 0 or result.code in NUMBERED_CODES
