"""Answers in gzip: for clients that take it, and of what everybody may read."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from hansa.business.http.compression import (
    BODY_MAX_BYTES,
    INLINE_MAX_BYTES,
    THREADS_MAX,
    Compressor,
    accepts_gzip,
)
from tests.support.asgi import AsgiClient
from tests.support.business import CATALOG, PARTY, Business
from tests.unit.business.test_resources import made

OFFERINGS = f"{CATALOG}/productOffering"


CACHE_SIZE_MAX_BYTES = 16_777_216


def taking_gzip(client: AsgiClient) -> AsgiClient:
    return client.with_headers(accept_encoding="br, gzip;q=0.8")


@pytest.fixture
async def filled(business: Business) -> Business:
    for number in range(9):
        await made(business, name=f"offering {number}", description="d" * 300)
    return business


async def test_a_public_list_is_compressed_for_who_takes_it(filled: Business) -> None:
    plain = await filled.anonymous.get(OFFERINGS)
    packed = await taking_gzip(filled.anonymous).get(OFFERINGS)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["content-length"] == str(len(packed.body)) < plain.headers["content-length"]
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["vary"]
        assert answer.headers["x-total-count"] == "9"


async def test_what_a_token_opens_is_never_compressed(filled: Business) -> None:
    for client in (
        filled.reader,
        filled.operator,
        filled.nobody,
        filled.anonymous.with_headers(authorization="x"),
    ):
        for path in (OFFERINGS, f"{CATALOG}/openapi.json", f"{PARTY}/individual"):
            assert "content-encoding" not in (await taking_gzip(client).get(path)).headers


async def test_a_compressed_entity_has_a_weak_tag_with_which_it_is_revalidated_and_changed(
    business: Business,
) -> None:
    entity = await made(business, description="d" * 2000)
    plain = await business.anonymous.get(entity["href"])
    client = taking_gzip(business.anonymous)
    packed = await client.get(entity["href"])
    tag = packed.headers["etag"]
    assert tag == "W/" + plain.headers["etag"]
    same = await client.get(entity["href"], headers={"if-none-match": tag})
    assert (same.status, same.headers["etag"]) == (304, tag)
    same = await client.get(entity["href"], headers={"if-none-match": plain.headers["etag"]})
    assert same.status == 304
    changed = await business.provider.patch(entity["href"], {"version": "2"}, headers={"if-match": tag})
    assert changed.status == 200
    head = await client.request("HEAD", entity["href"])
    assert (head.headers["content-encoding"], head.body) == ("gzip", b"")


async def test_a_description_is_compressed_and_revalidated(business: Business) -> None:
    client = taking_gzip(business.anonymous)
    packed = await client.get(f"{CATALOG}/openapi.json")
    assert packed.headers["content-encoding"] == "gzip"
    tag = packed.headers["etag"]
    assert (await client.get(f"{CATALOG}/openapi.json", headers={"if-none-match": tag})).status == 304


async def test_small_answers_are_sent_as_they_are(business: Business) -> None:
    assert "content-encoding" not in (await taking_gzip(business.anonymous).get(OFFERINGS)).headers


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [
        (b"gzip", True), (b"GZIP", True), (b"x-gzip", True), (b"deflate, gzip;q=1.0, *;q=0.5", True), (b"gzip; q=0.001", True),
        (b"gzip;q=0", False), (b"gzip;q=0.000", False), (b"*", False), (b"", False), (b"br", False), (b"identity", False),
        (b"gzipped", False), (None, False),
    ],
)  # fmt: skip
def test_a_client_says_whether_it_takes_gzip(header: bytes | None, is_taken: bool) -> None:
    assert accepts_gzip(header) == is_taken


async def test_large_bodies_take_few_threads_and_very_large_ones_none() -> None:
    compressor = Compressor(CACHE_SIZE_MAX_BYTES)
    large = [bytes([number]) * (INLINE_MAX_BYTES + 1) for number in range(9)]
    packed = await asyncio.gather(*map(compressor.compressed, large))
    assert sum(one is not None for one in packed) == THREADS_MAX
    assert await compressor.compressed(large[0]) is packed[0]
    assert await compressor.compressed(b"x" * (BODY_MAX_BYTES + 1)) is None


async def test_the_cache_counts_what_it_keeps_uncompressed_too() -> None:
    compressor = Compressor(CACHE_SIZE_MAX_BYTES)
    for number in range(300):
        await compressor.compressed(b"%060d" % number * 1000)
    assert compressor.cache.figures.size <= CACHE_SIZE_MAX_BYTES
    assert compressor.cache.figures.entries < 300
