"""Status lists: the right bit, of the right list, of the right issuer, now; everything else is a refusal."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Refused
from hansa.core.http import HttpRequest, HttpResponse
from hansa.identity.credentials.status.encoding import bitstring_status_array, token_status_array
from tests.support.credentials import (
    DAY_S,
    LIST_URI,
    NOW_S,
    ROOT,
    SEAL,
    THIEF,
    Verifying,
    b64,
    bitstring_list,
    bitstring_status,
    bound,
    jwt,
    jwt_vc,
    lear,
    mandate,
    sd_claims,
    sd_jwt,
    seal,
    status,
    token_list,
    x5c,
)

OTHER = seal(ROOT, "VATES-87654321")
TOKEN = sd_jwt(sd_claims(status=status()))
BITSTRING = jwt_vc(lear(credentialStatus=bitstring_status()))


def at(page: str | None) -> Verifying:
    return Verifying(pages={} if page is None else {LIST_URI: page})


async def test_a_credential_that_no_list_revokes_is_accepted() -> None:
    for text, page in ((TOKEN, token_list({6: 1, 8: 1})), (BITSTRING, bitstring_list([6, 8]))):
        credential = await at(page).credential(text)
        assert credential.status is not None
    assert (await Verifying().credential(sd_jwt())).status is None


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
async def test_a_revoked_credential_is_refused(bits: int) -> None:
    assert await at(token_list({7: 1}, bits=bits)).code(TOKEN) is Code.CREDENTIAL_REVOKED
    assert (
        await at(token_list({7: 1}, bits=bits)).code(bound(TOKEN), is_presented=True)
        is Code.CREDENTIAL_REVOKED
    )
    assert await at(bitstring_list([7])).code(BITSTRING) is Code.CREDENTIAL_REVOKED


async def test_a_suspended_credential_is_refused() -> None:
    assert await at(token_list({7: 2}, bits=2)).code(TOKEN) is Code.CREDENTIAL_SUSPENDED
    suspension = jwt_vc(lear(credentialStatus=bitstring_status(purpose="suspension")))
    assert await at(bitstring_list([7], purpose="suspension")).code(suspension) is Code.CREDENTIAL_SUSPENDED


async def test_all_places_of_a_status_count() -> None:
    entries = [bitstring_status(), bitstring_status("9")]
    text = jwt_vc(lear(credentialStatus=entries))
    assert await at(bitstring_list([9])).code(text) is Code.CREDENTIAL_REVOKED
    assert (await at(bitstring_list([8])).credential(text)).status is not None
    refresh = jwt_vc(lear(credentialStatus=[bitstring_status(purpose="refresh")]))
    assert (await Verifying().credential(refresh)).status is None


def packed(content: bytes) -> dict[str, Any]:
    return {"status_list": {"bits": 1, "lst": b64(content)}}


UNKNOWN_TOKENS: dict[str, str | None] = {
    "unavailable": None,
    "of another issuer": token_list(issuer=OTHER, changes={"iss": "did:elsi:VATES-87654321"}),
    "of another issuer that names no issuer": token_list(issuer=OTHER, changes={"iss": None}),
    "of another issuer in our issuer's name": token_list(issuer=OTHER),
    "self-signed": token_list(issuer=seal(None)),
    "by another key": jwt(THIEF, {"sub": LIST_URI, "iat": NOW_S}, typ="statuslist+jwt", x5c=x5c(SEAL)),
    "unsigned": token_list().rpartition(".")[0] + ".",
    "signed with nothing": token_list(alg="none"),
    "without certificates": token_list(x5c=None),
    "of another address": token_list(changes={"sub": "https://issuer.example/status/2"}),
    "of no address": token_list(changes={"sub": None}),
    "ended": token_list(changes={"exp": NOW_S - 300}),
    "ended, in milliseconds": token_list(changes={"exp": 1000 * NOW_S}),
    "of the future": token_list(changes={"iat": NOW_S + 301}),
    "without a time": token_list(changes={"iat": None}),
    "another kind of token": token_list(typ="JWT"),
    "a kind of token that is none": token_list(typ=None),
    "critical": token_list(crit=["x"], x=1),
    "without a list": token_list(changes={"status_list": None}),
    "a list that is no object": token_list(changes={"status_list": []}),
    "a list of 3 bits": token_list(changes={"status_list": {"bits": 3, "lst": b64(zlib.compress(bytes(9)))}}),
    "a list of true bits": token_list(
        changes={"status_list": {"bits": True, "lst": b64(zlib.compress(bytes(9)))}}
    ),
    "a list that is gzip": token_list(changes=packed(gzip.compress(bytes(128)))),
    "a list that is raw": token_list(changes=packed(bytes(128))),
    "a list that is cut off": token_list(changes=packed(zlib.compress(bytes(range(128)))[:-6])),
    "a list with something behind": token_list(changes=packed(zlib.compress(bytes(128)) + b"x")),
    "a list without the entry": token_list(changes=packed(zlib.compress(b""))),
    "a list that is a bomb": token_list(changes=packed(zlib.compress(bytes(64_000_000), 9))),
    "a status that is not defined": token_list({7: 3}, bits=2),
    "no token": "<html>",
    "not ASCII": "é",
    "a Bitstring Status List": bitstring_list(),
}


@pytest.mark.parametrize("case", UNKNOWN_TOKENS)
async def test_a_status_that_cannot_be_told_is_a_refusal(case: str) -> None:
    assert await at(UNKNOWN_TOKENS[case]).code(TOKEN) is Code.CREDENTIAL_STATUS_UNKNOWN
    assert (
        await at(UNKNOWN_TOKENS[case]).code(bound(TOKEN), is_presented=True) is Code.CREDENTIAL_STATUS_UNKNOWN
    )


def changed(signer: Any = SEAL, /, **changes: Any) -> str:
    """A Bitstring Status List credential with other claims."""
    from tests.support.credentials import decoded

    claims = decoded(bitstring_list().split(".")[1]) | changes
    return jwt(signer.key, claims, typ="vc+jwt", x5c=x5c(signer))


UNKNOWN_BITSTRINGS: dict[str, str | None] = {
    "unavailable": None,
    "of another issuer": changed(OTHER, issuer="did:elsi:VATES-87654321"),
    "of another issuer in our issuer's name": changed(OTHER),
    "self-signed": changed(seal(None)),
    "of another purpose": bitstring_list(purpose="suspension"),
    "of another address": changed(
        id="https://issuer.example/status/2", credentialSubject={"type": "BitstringStatusList"}
    ),
    "of another type": changed(type=["VerifiableCredential", "Other"]),
    "of one more type": changed(type=["VerifiableCredential", "BitstringStatusListCredential", "Other"]),
    "a list of another type": bitstring_list(type="StatusList2021"),
    "ended": changed(validUntil="2026-11-30T11:54:59Z"),
    "too short": bitstring_list(encodedList="u" + b64(gzip.compress(bytes(100)))),
    "without the letter of its base": bitstring_list(encodedList=b64(gzip.compress(bytes(16_384)))),
    "in another base": bitstring_list(encodedList="z" + b64(gzip.compress(bytes(16_384)))),
    "that is zlib": bitstring_list(encodedList="u" + b64(zlib.compress(bytes(16_384)))),
    "that is a bomb": bitstring_list(encodedList="u" + b64(gzip.compress(bytes(64_000_000)))),
    "a Status List Token": token_list(),
}


@pytest.mark.parametrize("case", UNKNOWN_BITSTRINGS)
async def test_a_bitstring_that_cannot_be_used_is_a_refusal(case: str) -> None:
    assert await at(UNKNOWN_BITSTRINGS[case]).code(BITSTRING) is Code.CREDENTIAL_STATUS_UNKNOWN


@pytest.mark.parametrize(
    "entry",
    [
        5,
        {},
        {"type": "PlainListEntity", "id": "https://x.y"},
        {"status_list": {"idx": -1, "uri": LIST_URI}},
        {"status_list": {"idx": True, "uri": LIST_URI}},
        {"status_list": {"idx": "7", "uri": LIST_URI}},
        {"status_list": {"idx": 2**40, "uri": LIST_URI}},
        {"status_list": {"idx": 7}},
        {"status_list": {"idx": 7, "uri": f"{LIST_URI}#x"}},
        {"status_list": {"idx": 7, "uri": LIST_URI}, "identifier_list": {}},
        {"identifier_list": {}},
        bitstring_status("-7"),
        bitstring_status("\u0667"),
        bitstring_status("07"),
        bitstring_status(None),
        bitstring_status(7.5),
        bitstring_status("999999"),
        bitstring_status(statusSize=2),
        bitstring_status(purpose="anything"),
        bitstring_status(type="StatusList2021Entry"),
        bitstring_status(statusListCredential=5),
    ],
)
async def test_a_status_that_is_not_understood_is_a_refusal(entry: Any) -> None:
    pages = {LIST_URI: bitstring_list()}
    verifying = Verifying(pages=pages)
    assert await verifying.code(jwt_vc(lear(credentialStatus=entry))) is Code.CREDENTIAL_STATUS_UNKNOWN
    assert await verifying.code(sd_jwt(sd_claims(status=entry))) is Code.CREDENTIAL_STATUS_UNKNOWN


@pytest.mark.parametrize(
    "uri", ["http://issuer.example/1", "https://10.0.0.1/x", "file:///etc/passwd", "ftp://x", "", "x"]
)
async def test_no_address_of_a_list_leads_elsewhere(uri: str) -> None:
    verifying = Verifying()
    assert await verifying.code(sd_jwt(sd_claims(status=status(uri=uri)))) is Code.CREDENTIAL_STATUS_UNKNOWN
    assert verifying.web.requests == ([uri] if uri.startswith("https://10.") else [])


async def test_nothing_is_fetched_for_a_credential_that_nobody_trusted_issued() -> None:
    verifying = at(token_list())
    for text in (
        sd_jwt(sd_claims(status=status()), issuer=seal(None)),
        sd_jwt(sd_claims(status=status(), exp=0)),
    ):
        await verifying.refusal(text)
    stolen = bound(TOKEN, THIEF)
    await verifying.refusal(stolen, is_presented=True)
    assert verifying.web.requests == []


async def test_a_list_is_used_until_its_life_ends_and_no_longer() -> None:
    verifying = at(token_list(changes={"ttl": 60}))
    for _ in range(3):
        await verifying.credential(TOKEN)
    assert len(verifying.web.requests) == 1
    verifying.web.pages[LIST_URI] = token_list({7: 1})
    await verifying.clock.advance(59)
    await verifying.credential(TOKEN)
    await verifying.clock.advance(1)
    assert await verifying.code(TOKEN) is Code.CREDENTIAL_REVOKED
    assert len(verifying.web.requests) == 2


async def test_a_list_that_went_away_counts_until_its_end_and_then_nothing_does() -> None:
    verifying = at(token_list(changes={"exp": NOW_S + 100}))
    await verifying.credential(TOKEN)
    verifying.web.pages.clear()
    await verifying.clock.advance(399)
    await verifying.credential(TOKEN)
    await verifying.clock.advance(1)
    assert await verifying.code(TOKEN) is Code.CREDENTIAL_STATUS_UNKNOWN


async def test_no_list_is_used_for_more_than_an_hour() -> None:
    verifying = at(token_list(changes={"ttl": 10 * DAY_S, "exp": None}))
    await verifying.credential(TOKEN)
    await verifying.clock.advance(3600)
    await verifying.credential(TOKEN)
    assert len(verifying.web.requests) == 2


async def test_a_failure_counts_for_a_short_time() -> None:
    verifying = at(None)
    for _ in range(3):
        assert await verifying.code(TOKEN) is Code.CREDENTIAL_STATUS_UNKNOWN
    assert len(verifying.web.requests) == 1
    verifying.web.pages[LIST_URI] = token_list()
    await verifying.clock.advance(15)
    assert (await verifying.credential(TOKEN)).status is not None


async def test_many_at_a_time_fetch_a_list_once() -> None:
    verifying = at(token_list())
    plain = verifying.web.send

    async def slow(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return await plain(request)

    verifying.web.send = slow  # type: ignore[method-assign]
    results = await asyncio.gather(*(verifying.credential(TOKEN) for _ in range(20)))
    assert all(one.status is not None for one in results)
    assert len(verifying.web.requests) == 1


async def test_whoever_waits_for_a_fetch_that_is_interrupted_is_refused() -> None:
    verifying = at(token_list())
    entered, ended = asyncio.Event(), asyncio.Event()

    async def hanging(request: HttpRequest) -> HttpResponse:
        entered.set()
        await ended.wait()
        raise AssertionError

    verifying.web.send = hanging  # type: ignore[method-assign]
    first = asyncio.create_task(verifying.credential(TOKEN))
    await entered.wait()
    second = asyncio.create_task(verifying.code(TOKEN))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is Code.CREDENTIAL_STATUS_UNKNOWN


async def test_a_list_of_one_kind_is_none_of_the_other() -> None:
    verifying = at(token_list())
    await verifying.credential(TOKEN)
    assert await verifying.code(BITSTRING) is Code.CREDENTIAL_STATUS_UNKNOWN


async def test_a_list_of_a_trusted_issuer_is_of_no_use_for_credentials_of_another() -> None:
    verifying = at(token_list(issuer=OTHER, changes={"iss": "did:elsi:VATES-87654321"}))
    other = sd_jwt(
        sd_claims(
            iss="did:elsi:VATES-87654321", status=status(), mandate=mandate(organization="VATES-87654321")
        ),
        issuer=OTHER,
    )
    assert (await verifying.credential(other)).status is not None
    assert await verifying.code(TOKEN) is Code.CREDENTIAL_STATUS_UNKNOWN


@given(st.integers(0, 3), st.lists(st.integers(0, 255), min_size=1, max_size=64))
def test_every_entry_is_read_from_its_place(exponent: int, values: list[int]) -> None:
    bits = 1 << exponent
    values = [value % (1 << bits) for value in values]
    number = sum(value << index * bits for index, value in enumerate(values))
    size = -(-len(values) * bits // 8)
    array = token_status_array(bits, b64(zlib.compress(number.to_bytes(size, "little"))))
    assert [array.at(index) for index in range(len(values))] == values
    with pytest.raises(Refused):
        array.at(size * 8 // bits)
    with pytest.raises(Refused):
        array.at(-1)


@given(st.lists(st.booleans(), min_size=1, max_size=64))
def test_every_bit_of_a_bitstring_is_read_from_its_place(values: list[bool]) -> None:
    text = "".join("1" if value else "0" for value in values).ljust(-(-len(values) // 8) * 8, "0")
    content = int(text, 2).to_bytes(len(text) // 8)
    array = bitstring_status_array("u" + b64(gzip.compress(content)))
    assert [array.at(index) for index in range(len(values))] == values
