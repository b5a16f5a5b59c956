"""Batches of events, and the proof of one of them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.batches import (
    BATCH_HEADER,
    Batch,
    BatchSigner,
    EventProof,
    contents_root,
    event_proofs,
    read_batch,
    verify_event,
)
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused
from hansa.core.events import decode_event
from hansa.core.jws import token_header
from hansa.core.keys import Algorithm, SigningKey
from tests.contract.origins import Origin

ORIGIN = Origin("lubeck")
CONTENTS = tuple(ORIGIN.events(9))
KEY = ORIGIN.key.verifying_key()


def expect_refusal(content: bytes, proof: EventProof, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        verify_event(content, proof, KEY)
    assert refused.value.code is code


@pytest.mark.parametrize("algorithm", ["ES256", "Ed25519"])
def test_a_signed_batch_is_read_back(algorithm: Algorithm) -> None:
    key = SigningKey.generate(algorithm)
    batch, jws = read_batch(BatchSigner(key, ORIGIN.did, ManualClock()).sign(CONTENTS, 7))
    assert batch == Batch(9, ORIGIN.did, contents_root(CONTENTS).hex(), 7)
    assert (jws.kid, key.verifying_key().verify(jws)) == (key.kid, jws.payload)


@given(st.integers(1, 9))
def test_each_event_of_a_batch_is_verifiable_on_its_own(count: int) -> None:
    contents = CONTENTS[:count]
    proofs = event_proofs(ORIGIN.signer.sign(contents, 1), contents)
    for content, proof in zip(contents, proofs, strict=True):
        assert verify_event(content, proof, KEY) == decode_event(content, ORIGIN.did)


def test_a_proof_is_that_of_one_event_alone() -> None:
    first, second, *_ = event_proofs(ORIGIN.signer.sign(CONTENTS, 1), CONTENTS)
    expect_refusal(CONTENTS[1], first, Code.EVENT_SIGNATURE_INVALID)
    for forged in (
        msgspec.structs.replace(first, index=1),
        msgspec.structs.replace(first, path=second.path),
        msgspec.structs.replace(first, path=first.path[:-1]),
        msgspec.structs.replace(first, path=first.path + first.path),
        msgspec.structs.replace(first, path=first.path * 100),
        msgspec.structs.replace(first, path=("no hex",)),
        msgspec.structs.replace(first, index=-1),
    ):
        expect_refusal(CONTENTS[0], forged, Code.EVENT_SIGNATURE_INVALID)


def test_a_batch_of_another_key_proves_nothing() -> None:
    other = BatchSigner(Origin("other").key, ORIGIN.did, ManualClock())
    (proof,) = event_proofs(other.sign(CONTENTS[:1], 1), CONTENTS[:1])
    expect_refusal(CONTENTS[0], proof, Code.EVENT_SIGNATURE_INVALID)


def test_a_signature_made_for_another_purpose_is_no_batch() -> None:
    payload = read_batch(ORIGIN.signer.sign(CONTENTS, 1))[1].payload
    for typ in ("JWT", "at+jwt"):
        with pytest.raises(Refused) as refused:
            read_batch(ORIGIN.key.sign(payload, token_header(typ), typ=typ))
        assert refused.value.code is Code.TRANSACTION_MALFORMED


@given(st.binary(max_size=300))
def test_a_payload_of_another_form_is_no_batch(payload: bytes) -> None:
    jws = ORIGIN.key.sign(payload, BATCH_HEADER, cty="application/vnd.hansa.events+json", iat=0, typ="jose")
    with pytest.raises(Refused):
        read_batch(jws)


@given(st.text(max_size=200))
def test_text_that_is_no_jws_is_no_batch(text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_batch(text)
    assert refused.value.code is Code.TRANSACTION_MALFORMED
