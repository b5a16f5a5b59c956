"""Published status lists: what verifiers read of them, and what nobody can."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Refused
from hansa.identity.credentials import CredentialRefused
from hansa.identity.credentials.status.encoding import bitstring_status_array, token_status_array
from hansa.identity.issuing import CredentialStatus
from hansa.identity.issuing.status_lists import (
    LIST_TTL_S,
    PLACES,
    bitstring_text,
    token_list_text,
)
from hansa.store.tables import issuing as tables
from tests.support.credentials import decoded
from tests.support.issuing import EMPLOYEE_JWT, EMPLOYEE_SD, MACHINE, Issuing

ENTRIES = st.dictionaries(st.integers(0, PLACES - 1), st.sampled_from([1, 2]), max_size=20)


@pytest.fixture
def issuing(tmp_path: Path) -> Issuing:
    return Issuing(tmp_path)


async def code(issuing: Issuing, text: str) -> Code | None:
    """Why a credential is refused; None: it is good."""
    try:
        await issuing.verified(text)
    except CredentialRefused as error:
        return error.code
    return None


async def only_id(issuing: Issuing) -> str:
    (credential,) = await tables.credentials(issuing.store, 10)
    return credential.id


@given(ENTRIES)
def test_a_token_list_reads_as_it_was_written(entries: dict[int, int]) -> None:
    array = token_status_array(2, token_list_text(tuple(entries.items())))
    assert {place: array.at(place) for place in entries} == entries
    assert sum(map(int.bit_count, array.content)) == len(entries)


@given(ENTRIES)
def test_a_bitstring_reads_as_it_was_written(entries: dict[int, int]) -> None:
    for status in (1, 2):
        array = bitstring_status_array(bitstring_text(tuple(entries.items()), status))
        assert {place for place in entries if array.at(place)} == {
            place for place, value in entries.items() if value == status
        }


@pytest.mark.parametrize("configuration", [EMPLOYEE_SD, EMPLOYEE_JWT])
async def test_a_verifier_refuses_what_was_revoked_or_suspended(issuing: Issuing, configuration: str) -> None:
    text = await issuing.issued(configuration)
    id = await only_id(issuing)
    assert await code(issuing, text) is None
    await issuing.issuer.set_status(id, "suspended")
    assert await code(issuing, text) == Code.CREDENTIAL_SUSPENDED
    await issuing.issuer.set_status(id, "valid")
    assert await code(issuing, text) is None
    await issuing.issuer.set_status(id, "revoked")
    assert await code(issuing, text) == Code.CREDENTIAL_REVOKED


@pytest.mark.parametrize("status", ["valid", "suspended"])
async def test_a_revocation_is_final(issuing: Issuing, status: CredentialStatus) -> None:
    await issuing.issued()
    id = await only_id(issuing)
    await issuing.issuer.set_status(id, "revoked")
    with pytest.raises(Refused) as refused:
        await issuing.issuer.set_status(id, status)
    assert refused.value.code == Code.CONFLICT


async def test_what_was_not_issued_cannot_be_revoked(issuing: Issuing) -> None:
    with pytest.raises(Refused) as refused:
        await issuing.issuer.set_status("urn:uuid:x", "revoked")
    assert refused.value.code == Code.NOT_FOUND


async def test_revoking_one_leaves_the_others(issuing: Issuing) -> None:
    first, second = await issuing.issued(), await issuing.issued()
    claims = decoded(first.split("~")[0].split(".")[1])
    await issuing.issuer.set_status(claims["jti"], "revoked")
    assert [await code(issuing, text) for text in (first, second)] == [Code.CREDENTIAL_REVOKED, None]


async def test_a_list_tells_neither_how_many_there_are_nor_whose_is_whose(issuing: Issuing) -> None:
    await issuing.issued()
    one = (await issuing.lists.signed(1)).body
    places = []
    for _ in range(20):
        text = await issuing.issued()
        places.append(decoded(text.split("~")[0].split(".")[1])["status"]["status_list"]["idx"])
    await issuing.clock.advance(LIST_TTL_S)
    many = (await issuing.lists.signed(1)).body
    listed = [decoded(body.decode().split(".")[1])["status_list"] for body in (one, many)]
    assert listed[0] == listed[1]
    assert sorted(places) != places
    assert max(places) > 1000


@pytest.mark.parametrize("number", [0, 2, 99, -1])
async def test_a_list_that_is_not_there_is_not_found(issuing: Issuing, number: int) -> None:
    await issuing.issued()
    with pytest.raises(Refused) as refused:
        await issuing.lists.signed(number)
    assert refused.value.code == Code.NOT_FOUND


async def test_each_organisation_has_lists_of_its_own(issuing: Issuing) -> None:
    await issuing.issued("LEARCredentialMachine", MACHINE)
    await issuing.issued("LEARCredentialMachine", msgspec.structs.replace(MACHINE, organization="VATDE-1"))
    issuers = [
        decoded((await issuing.lists.signed(number)).body.decode().split(".")[1])["issuer"]
        for number in (1, 2, 3, 4)
    ]
    assert issuers == ["did:elsi:VATES-12345678"] * 2 + ["did:elsi:VATDE-1"] * 2


async def test_a_list_that_is_half_full_is_followed_by_another(
    issuing: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansa.identity.issuing.status_lists.PLACES", 8)
    for _ in range(9):
        await issuing.issued()
    credentials = await tables.credentials(issuing.store, 20)
    assert sorted(one.list_number for one in credentials) == [1] * 4 + [2] * 4 + [3]


async def test_an_unchanged_list_is_signed_once_in_half_a_minute(issuing: Issuing) -> None:
    await issuing.issued()
    first = await issuing.lists.signed(1)
    assert await issuing.lists.signed(1) is first
    await issuing.clock.advance(31.0)
    assert (await issuing.lists.signed(1)).body != first.body


async def test_the_lists_outlive_the_process(issuing: Issuing, tmp_path: Path) -> None:
    text = await issuing.issued()
    await issuing.issuer.set_status(await only_id(issuing), "revoked")
    again = Issuing(tmp_path)
    again.store = issuing.store
    again.lists._store = issuing.store
    assert await code(again, text) == Code.CREDENTIAL_REVOKED
