"""Bodies that were compressed with gzip, and which headers a 415 has."""

from __future__ import annotations

import gzip
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.http.coding import (
    CHUNK_SIZE_MAX_BYTES,
    MEMBER_FURTHER_BYTES,
    GzipReader,
    decompressed,
)
from hansa.business.patches import MEDIA_TYPES
from tests.support.business import CATALOG, Business
from tests.support.loop_turns import is_short
from tests.support.routes import writes
from tests.unit.business.test_resources import check_refused, made

OFFERINGS = f"{CATALOG}/productOffering"
BODY = b'{"name":"x"}'
GZIP = {"content-encoding": "gzip", "content-type": "application/json"}


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
async def test_a_body_in_gzip_is_taken(business: Business, coding: str) -> None:
    headers = {**GZIP, "content-encoding": coding}
    answer = await business.operator.post(OFFERINGS, body=gzip.compress(BODY), headers=headers)
    assert (answer.status, answer.json()["name"]) == (201, "x")
    patch = gzip.compress(b'{"name":"y"}')
    answer = await business.operator.patch(answer.headers["location"], body=patch, headers=headers)
    assert (answer.status, answer.json()["name"]) == (200, "y")


async def test_it_may_arrive_in_parts_and_in_several_members(business: Business) -> None:
    raw = gzip.compress(BODY[:5]) + gzip.compress(BODY[5:])
    chunks = [raw[at : at + 3] for at in range(0, len(raw), 3)]
    answer = await business.operator.request("POST", OFFERINGS, chunks=chunks, headers=GZIP)
    assert answer.status == 201, answer.body


@pytest.mark.parametrize("content", [b"", b" "], ids=["empty", "of one byte"])
async def test_a_body_of_very_many_members_is_refused_at_once(business: Business, content: bytes) -> None:
    member = gzip.compress(content)
    raw = member * (business.limits.body_size_max_bytes // len(member))
    started_s = time.thread_time()
    answer = await business.operator.post(OFFERINGS, body=raw, headers=GZIP)
    spent_s = time.thread_time() - started_s
    assert "too many small members" in check_refused(answer, 400, "malformed")
    assert is_short(spent_s)


async def test_members_of_some_size_may_be_many() -> None:
    raw = b"".join(gzip.compress(BODY.ljust(MEMBER_FURTHER_BYTES)) for _ in range(1000))
    assert decompressed(raw, 10**7) == BODY.ljust(MEMBER_FURTHER_BYTES) * 1000


@pytest.mark.parametrize(
    "raw",
    [BODY, gzip.compress(BODY)[:-4], gzip.compress(BODY)[:12], zlib.compress(BODY)],
    ids=["plain", "cut short", "a head alone", "zlib"],
)
async def test_a_body_that_is_no_gzip_is_refused(business: Business, raw: bytes) -> None:
    answer = await business.operator.post(OFFERINGS, body=raw, headers=GZIP)
    assert "gzip" in check_refused(answer, 400, "malformed")


async def test_what_decompresses_to_more_than_a_body_may_have_is_refused(business: Business) -> None:
    bomb = gzip.compress(b" " * (64 * business.limits.body_size_max_bytes))
    assert len(bomb) < business.limits.body_size_max_bytes
    answer = await business.operator.post(OFFERINGS, body=bomb, headers=GZIP)
    check_refused(answer, 413, "too-large")


@given(st.binary(max_size=200), st.lists(st.integers(1, 50), max_size=8))
def test_however_the_parts_are_cut_they_decompress_to_the_whole(content: bytes, cuts: list[int]) -> None:
    raw, reader = gzip.compress(content), GzipReader()
    pieces: list[bytes] = []
    for cut in cuts:
        pieces += reader.read(raw[:cut])
        raw = raw[cut:]
    pieces += reader.read(raw)
    reader.finish()
    assert b"".join(pieces) == content


def test_no_piece_is_larger_than_its_bound_and_nothing_beyond_the_whole_bound_is_made() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    assert all(len(piece) <= CHUNK_SIZE_MAX_BYTES for piece in GzipReader().read(bomb))
    assert decompressed(bomb, 1_000_000) is None


async def test_a_415_names_what_the_route_takes(business: Business) -> None:
    """On every route: `Accept-Patch` for a patch, `Accept` for a body, `Accept-Encoding` for a coding."""
    for method, path in writes(business.models):
        answer = await business.operator.request(
            method, path, body=b"<x/>", headers={"content-type": "text/xml"}
        )
        check_refused(answer, 415, "unsupported-media-type")
        if method == "PATCH":
            assert answer.headers["accept-patch"] == ", ".join(MEDIA_TYPES)
            assert "accept" not in answer.headers
        else:
            assert answer.headers["accept"] == "application/json"
            assert "accept-patch" not in answer.headers
        headers = {"content-encoding": "br", "content-type": "application/json"}
        answer = await business.operator.request(method, path, body=BODY, headers=headers)
        check_refused(answer, 415, "unsupported-media-type")
        assert answer.headers["accept-encoding"] == "gzip, identity"
        assert not {"accept", "accept-patch"} & answer.headers.keys()


async def test_options_name_the_forms_of_a_patch_where_there_is_one(business: Business) -> None:
    entity = await made(business)
    answer = await business.anonymous.request("OPTIONS", entity["href"])
    assert answer.headers["accept-patch"] == ", ".join(MEDIA_TYPES)
    answer = await business.anonymous.request("OPTIONS", OFFERINGS)
    assert answer.headers["accept-patch"] == "application/json-patch+json"
    answer = await business.anonymous.request("OPTIONS", f"{CATALOG}/hub")
    assert "accept-patch" not in answer.headers
