"""Distribution policies, enforced by every validator."""

from __future__ import annotations

import msgspec
import pytest

from hansa.core.errors import Code, Refused
from hansa.core.events import EntityVersion, Metadata
from hansa.core.trust.policies import DISTRIBUTION, POLICIES, POLICY_TABLE, PolicyRow, PolicyTable
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.policies import POLICY
from hansa.pubsub.ledger.rules.rulesets import RULES_4
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import Overlay
from hansa.pubsub.ledger.state_machine import Block
from tests.contract.origins import NOW, Origin

TIME_MS = int(1000 * NOW.timestamp())


class PolicedLedger:
    """A ledger of two members, and a table of policies."""

    def __init__(self, *rows: PolicyRow) -> None:
        self.lubeck, self.bergen = Origin("lubeck"), Origin("bergen")
        self.rows = rows
        rules = msgspec.structs.replace(RULES_4, begin_block=(*RULES_4.begin_block, self._put))
        self.application = LedgerApplication(SqliteState(MEMORY), {rules.name: rules})
        genesis = AppState((self.lubeck.member, msgspec.structs.replace(self.bergen.member, power=0)))
        self.application.init_chain(msgspec.json.encode(genesis), TIME_MS)
        self.commit()

    def _put(self, state: Overlay) -> None:
        body = POLICY_TABLE.write(PolicyTable(self.rows)) if self.rows else None
        state.put_record(POLICIES, DISTRIBUTION, body)

    def commit(self, *transactions: bytes) -> list[Refused | None]:
        height = self.application.state.head.height + 1
        effects = self.application.finalize_block(Block(height, TIME_MS + height, transactions))
        self.application.commit()
        return list(effects.refusals)


def category(origin: Origin, name: str) -> bytes:
    entity = EntityVersion(origin.key_of(name), "Category", 1)
    return origin.event(name, type="categoryCreateEvent", entity=entity)


def test_without_a_table_everything_is_allowed() -> None:
    ledger = PolicedLedger()
    assert ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("one"))) == [None]


def test_what_a_policy_refuses_is_in_no_block_and_its_batch_neither() -> None:
    ledger = PolicedLedger(PolicyRow("refuse", types=("Category",), reason="Categories are the league's."))
    lubeck = ledger.lubeck
    raw = lubeck.batch(lubeck.event("one"), category(lubeck, "two"))
    with pytest.raises(RuleBroken) as caught:
        ledger.application.check_tx(raw, TIME_MS + 2)
    assert caught.value.rule == POLICY
    assert caught.value.code is Code.POLICY_REFUSED
    assert "Categories are the league's." in caught.value.message
    assert ledger.application.prepare_proposal([raw], TIME_MS + 2, 400_000) == []
    (refused,) = ledger.commit(raw)
    assert isinstance(refused, RuleBroken)
    assert refused.rule == POLICY
    assert ledger.application.state.head.position == 0


def test_a_policy_applies_to_what_an_issuer_is_in_the_league() -> None:
    ledger = PolicedLedger(PolicyRow("refuse", roles=("observer",)))
    assert ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("one"))) == [None]
    (refused,) = ledger.commit(ledger.bergen.batch(ledger.bergen.event("one")))
    assert refused is not None
    ledger = PolicedLedger(PolicyRow("refuse", roles=("uncertified",)))
    (refused,) = ledger.commit(ledger.lubeck.batch(ledger.lubeck.event("one")))
    assert refused is not None


def test_a_label_lets_an_offering_pass_and_a_deletion_needs_none() -> None:
    ledger = PolicedLedger(PolicyRow("allow", labels=("Gaia-X",), types=("ProductOffering",)))
    lubeck = ledger.lubeck
    labelled = lubeck.event("one", metadata=Metadata(compliance=("Gaia-X",)))
    assert ledger.commit(lubeck.batch(labelled)) == [None]
    change = lubeck.describe("one", "StateChange")
    assert change.entity.version == 2
    assert ledger.commit(lubeck.batch(lubeck.event("one", "Delete", metadata=Metadata()))) == [None]


def test_a_new_table_holds_from_the_block_that_brings_it() -> None:
    ledger = PolicedLedger(PolicyRow("refuse"))
    lubeck = ledger.lubeck
    raw = lubeck.batch(lubeck.event("one"))
    (refused,) = ledger.commit(raw)
    assert refused is not None
    ledger.rows = ()
    assert ledger.commit(raw) == [None]
