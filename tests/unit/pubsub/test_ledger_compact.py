"""Contents and signatures are stored in a few bytes, and read as exactly what they were."""

from __future__ import annotations

import base64
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import apsw
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hansa.core.batches import BatchSigner
from hansa.core.canonical import hashlink
from hansa.core.clock import SystemClock
from hansa.core.keys import SigningKey
from hansa.pubsub.ledger.storage import compact
from hansa.pubsub.ledger.storage.compact import (
    expanded_content,
    expanded_jws,
    register_functions,
    stored_content,
    stored_jws,
)
from tests.contract.origins import Origin

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PART = st.binary(max_size=64).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


def content() -> bytes:
    return Origin("lubeck").event("e")


@given(st.binary(max_size=300))
@example(b"{")
@example(b"\x01")
@example(b"")
def test_a_content_reads_as_it_was(raw: bytes) -> None:
    assert expanded_content(stored_content(raw)) == raw


@given(st.text("abcXYZ019-_.= ", max_size=60) | st.tuples(PART, PART, PART).map(".".join))
@example("..")
@example("YQ.YR.YQ")
def test_a_signature_reads_as_it_was(jws: str) -> None:
    assert expanded_jws(stored_jws(jws)) == jws


@given(st.binary(max_size=100))
def test_bytes_of_any_kind_read_as_something(raw: bytes) -> None:
    assert isinstance(expanded_content(raw), bytes)
    assert isinstance(expanded_jws(raw), str)


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-3], lambda raw: raw + b"x", lambda raw: raw[:9] + raw[12:]]
)
def test_what_is_damaged_reads_as_nothing_or_as_something_else(change: object) -> None:
    assert callable(change)
    assert expanded_content(change(stored_content(content()))) != content()


def test_an_event_takes_less_than_half_and_a_signature_of_one_event_too() -> None:
    raw = content()
    assert len(stored_content(raw)) < 0.5 * len(raw)
    signed = [
        BatchSigner(SigningKey.generate(), "did:web:lubeck.example", SystemClock()).sign([raw], 1)
        for _ in range(50)  # what a signature is compressed to depends on its digits
    ]
    assert sum(len(stored_jws(jws)) for jws in signed) < 0.5 * sum(map(len, signed))


def test_a_row_cannot_expand_without_bound() -> None:
    assert len(expanded_content(stored_content(b"{" + bytes(50_000_000)))) < 3_000_000
    assert len(expanded_content(_deflated_as_before(b"{" + bytes(50_000_000)))) < 3_000_000


@given(st.binary(max_size=300))
def test_what_releases_before_wrote_reads_as_it_was(raw: bytes) -> None:
    assert expanded_content(_deflated_as_before(raw)) == raw


def _deflated_as_before(raw: bytes) -> bytes:
    """A content in the form of schema 5 and before."""
    compressor = zlib.compressobj(2, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, compact._DICTIONARY)
    return b"\x01" + compressor.compress(raw) + compressor.flush()


def test_threads_share_nothing_that_compresses() -> None:
    contents = [Origin("lubeck").event(f"e{number}") for number in range(50)]

    def many(_: int) -> list[bytes]:
        return [expanded_content(stored_content(content)) for content in contents * 20]

    with ThreadPoolExecutor(8) as pool:
        assert all(result == contents * 20 for result in pool.map(many, range(8)))


def test_sql_reads_both() -> None:
    connection = apsw.Connection(":memory:")
    register_functions(connection)
    link = hashlink(os.urandom(8)).encode()
    row = connection.execute(
        "SELECT expanded_content(?), expanded_jws(?)", (stored_content(link), stored_jws("YQ.YQ.YQ"))
    ).fetchone()
    assert row == (link, "YQ.YQ.YQ")
