"""Figures about what waits for a block at a member, over the ABCI query that the web process sends."""

from __future__ import annotations

import msgspec

from hansa.pubsub.ledger.waiting import WaitingFigures
from tests.contract.origins import Origin
from tests.support.engine_in_process import EngineInProcess


def test_how_much_waits_and_what_was_refused_is_reported_for_each_member() -> None:
    flooder, honest = Origin("flooder"), Origin("honest")
    engine = EngineInProcess([flooder.member, honest.member])
    batches = [flooder.batch(*flooder.events(5)) for _ in range(20)]
    for raw in batches:
        engine.submit(raw)
    last = honest.batch(*honest.events(1))
    engine.submit(last)
    engine.ask("check_tx", "RequestCheckTx", tx=b"garbage")
    answer = engine.ask("query", "RequestQuery", path="/waiting")
    figures = msgspec.json.decode(answer.value, type=WaitingFigures)
    assert {one.did: (one.transactions, one.size_bytes) for one in figures.queues} == {
        flooder.did: (16, sum(map(len, batches[:16]))),
        honest.did: (1, len(last)),
    }
    assert figures.refused == {"overloaded": 4, "transaction-malformed": 1}
