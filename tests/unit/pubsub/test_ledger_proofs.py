"""Proofs about a ledger: what they show is so, and nothing else is shown by any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.errors import Code, Refused
from hansa.pubsub.ledger.commitments.claims import decode_claim, issuer_digest
from hansa.pubsub.ledger.commitments.proofs import holds_consistency, holds_inclusion, proved_records
from hansa.pubsub.ledger.reading import LedgerReader
from hansa.pubsub.ledger.rules.rulesets import RULESETS
from hansa.pubsub.proofs import ClaimsProof, ConsistencyProof, InclusionProof, SectionProof
from tests.support.ledgers import TIME_MS, Ledger

REPLACE = msgspec.structs.replace
SIZES = (1, 2, 3, 2, 4, 1)


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    made = Ledger()
    for number, count in enumerate(SIZES):
        contents = [made.lubeck.event(f"entity-{number}-{at}") for at in range(count)]
        made.commit(made.lubeck.batch(*contents), made.bergen.batch(made.bergen.event(f"other-{number}")))
    made.commit(made.lubeck.batch(made.lubeck.event("entity-1-1", "StateChange")))
    return made


@pytest.fixture(scope="module")
def reader(ledger: Ledger) -> LedgerReader:
    return LedgerReader(ledger.state.connection)


def test_every_event_is_shown_with_height_time_and_batch(ledger: Ledger, reader: LedgerReader) -> None:
    app_hash = ledger.state.head.app_hash
    for position in range(1, ledger.state.head.position + 1):
        proof = reader.inclusion_proof(position)
        assert holds_inclusion(proof, app_hash)
        assert proof.block_time_ms == TIME_MS + 1000 * proof.block_height


def test_every_earlier_ledger_is_shown_to_be_a_beginning() -> None:
    ledger, roots = Ledger(), {}
    reader = LedgerReader(ledger.state.connection)
    for count in SIZES:
        ledger.commit(ledger.lubeck.batch(*ledger.lubeck.events(count)))
        roots[ledger.state.head.position] = ledger.state.head.tree.root().hex()
    for size, root in roots.items():
        proof = reader.consistency_proof(size)
        assert proof.earlier_root == root
        assert holds_consistency(proof, ledger.state.head.app_hash)


def test_the_latest_version_is_shown(ledger: Ledger, reader: LedgerReader) -> None:
    key = ledger.lubeck.key_of("entity-1-1")
    records = proved_records(reader.claims_proof(key), ledger.state.head.app_hash)
    assert records is not None
    (record,) = records
    assert record[32:64] == issuer_digest(ledger.lubeck.did)
    assert decode_claim(record, ledger.lubeck.did) == ledger.state.claim(ledger.lubeck.did, key)
    assert decode_claim(record, ledger.lubeck.did).version == 2


def test_that_a_key_is_unknown_is_shown(ledger: Ledger, reader: LedgerReader) -> None:
    proof = reader.claims_proof(ledger.lubeck.key_of("nobody's"))
    assert proved_records(proof, ledger.state.head.app_hash) == ()


def test_a_proof_of_an_earlier_state_shows_nothing_of_a_later_one(ledger: Ledger) -> None:
    other = Ledger()
    reader = LedgerReader(other.state.connection)
    other.commit(other.lubeck.batch(*other.lubeck.events(3)))
    inclusion, claims = reader.inclusion_proof(1), reader.claims_proof("0" * 64)
    assert holds_inclusion(inclusion, other.state.head.app_hash)
    other.commit(other.lubeck.batch(*other.lubeck.events(1)))
    for app_hash in (other.state.head.app_hash, ledger.state.head.app_hash):
        assert not holds_inclusion(inclusion, app_hash)
        assert proved_records(claims, app_hash) is None


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_proof_shows_nothing(ledger: Ledger, reader: LedgerReader, data: st.DataObject) -> None:
    app_hash, last = ledger.state.head.app_hash, ledger.state.head.position
    proof = reader.inclusion_proof(data.draw(st.integers(1, last)))
    changed = data.draw(
        changes(proof, ("position", "block_height", "block_time_ms", "index", "batch", "path"))
    )
    assert changed == proof or not holds_inclusion(changed, app_hash)
    consistency = reader.consistency_proof(data.draw(st.integers(1, last - 1)))
    other = data.draw(changes(consistency, ("earlier_size", "earlier_root", "path")))
    assert other == consistency or not holds_consistency(other, app_hash)


@st.composite
def changes(draw: st.DrawFn, proof: Any, names: tuple[str, ...]) -> Any:
    """A proof with one field otherwise, or with the section of another."""
    name = draw(st.sampled_from((*names, "section")))
    value = getattr(proof, name)
    hexes = st.binary(min_size=32, max_size=32).map(bytes.hex) | st.sampled_from(("", "x", "00"))
    kinds: dict[type, Callable[[], st.SearchStrategy[Any]]] = {
        int: lambda: st.integers(-2, 2**70),
        str: lambda: hexes,
        tuple: lambda: (
            st.lists(hexes, max_size=6).map(tuple) | st.just(value[1:]) | st.just((*value, "00" * 32))
        ),
        SectionProof: lambda: st.builds(
            SectionProof,
            st.just(1),
            st.sampled_from(tuple(RULESETS)) | hexes,
            hexes,
            hexes | st.just("00" * 40),
            st.lists(hexes, max_size=4).map(tuple),
        ),
    }
    return REPLACE(proof, **{name: draw(kinds[type(value)]())})


@pytest.mark.parametrize("position", [0, -1, 10**9])
def test_what_is_not_there_has_no_proof(reader: LedgerReader, position: int) -> None:
    for make in (reader.inclusion_proof, reader.consistency_proof):
        with pytest.raises(Refused) as refused:
            make(position)
        assert refused.value.code is Code.NOT_FOUND
    with pytest.raises(Refused) as refused:
        reader.claims_proof("no key")
    assert refused.value.code is Code.INVALID


def test_proofs_are_small(reader: LedgerReader) -> None:
    kinds: tuple[InclusionProof | ConsistencyProof | ClaimsProof, ...] = (
        reader.inclusion_proof(1),
        reader.consistency_proof(1),
        reader.claims_proof("0" * 64),
    )
    assert all(len(msgspec.json.encode(proof)) < 2500 for proof in kinds)
