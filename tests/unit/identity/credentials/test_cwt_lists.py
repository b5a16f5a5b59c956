"""Lists of revoked mdocs as CWTs: the right one, of the right authority, now; all else is a refusal."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest

from hansa.core.errors import Code, HansaError
from hansa.identity.credentials import CredentialRefused
from hansa.identity.credentials.status.cwt_lists import IDENTIFIERS_MAX
from tests.support.certificates import authority
from tests.support.credentials import (
    DAY_S,
    LIST_URI,
    NOW_S,
    ROOT,
    THIEF,
    Verifying,
    sd_claims,
    sd_jwt,
    seal,
    status,
)
from tests.support.mdocs import (
    DOCTYPE,
    IDENTIFIER_TYPE,
    MDOC_REQUEST,
    SIGNER,
    STATUS_TYPE,
    cbor,
    cwt,
    elements,
    identifier_cwt,
    issued,
    list_claims,
    response,
    security_object,
    sign1,
    status_cwt,
)

LIST_SIGNER = seal(ROOT, "VATES-87654321")
OTHER_ROOT = authority("Another CA")
STRANGER = seal(OTHER_ROOT)
OWN = b"\x01" * 16
IDENTIFIED = {"identifier_list": {"id": OWN, "uri": LIST_URI}}


async def code(page: str | bytes | None, entry: Any = None, **options: Any) -> Code | None:
    """Why an mdoc with a status is refused; None: it is not."""
    content = security_object({DOCTYPE: elements()}, status=entry or status())
    verifying = Verifying(pages={} if page is None else {LIST_URI: page}, **options)
    try:
        text = response(issued(mso=content))
        credential = await verifying.verifier.presentation(text, "mso_mdoc", MDOC_REQUEST)
    except CredentialRefused as error:
        return error.code
    assert credential.status is not None
    await verifying.verifier.check_status(credential.status)
    return None


@pytest.mark.parametrize("signer", [SIGNER, LIST_SIGNER])
async def test_an_mdoc_that_no_list_of_its_authority_revokes_is_accepted(signer: Any) -> None:
    assert await code(status_cwt([6, 8], signer)) is None
    assert await code(identifier_cwt([b"\x02" * 16], signer), IDENTIFIED) is None


async def test_an_mdoc_that_is_on_the_list_is_refused() -> None:
    assert await code(status_cwt([7], LIST_SIGNER)) is Code.CREDENTIAL_REVOKED
    assert await code(identifier_cwt([b"\x02" * 16, OWN], LIST_SIGNER), IDENTIFIED) is Code.CREDENTIAL_REVOKED


@pytest.mark.parametrize(
    "page",
    [
        None,
        b"",
        b"\xd2",
        status_cwt([], STRANGER),
        status_cwt([], c2="https://issuer.example/other"),
        status_cwt([], c2=None),
        status_cwt([], c4=NOW_S - DAY_S),
        status_cwt([], c4=NOW_S * 1000),
        status_cwt([], c6=None),
        status_cwt([], c6=True),
        status_cwt([], c6=NOW_S + DAY_S),
        status_cwt([], c65533=None),
        status_cwt([], c65533={"bits": 3, "lst": b""}),
        status_cwt([], c65533={"bits": 1, "lst": "text"}),
        status_cwt([], c65533={"bits": 1, "lst": b"not packed"}),
        status_cwt([], typ=IDENTIFIER_TYPE),
        status_cwt([], typ="application/cwt"),
        identifier_cwt([]),
        cwt(THIEF, STATUS_TYPE, list_claims({65533: {"bits": 1, "lst": b""}}, {}), SIGNER),
        cwt(SIGNER.key, STATUS_TYPE, list_claims({65533: {"bits": 1, "lst": b""}}, {})),
        cwt(SIGNER.key, STATUS_TYPE, list_claims({}, {}), SIGNER, more={2: [99], 99: 1}),
        cbor(sign1(SIGNER.key, cbor(list_claims({}, {})), chain=SIGNER.der)),
        cbor(cbor2.CBORTag(18, sign1(SIGNER.key, cbor(list_claims({}, {})), chain=SIGNER.der))),
        cbor(cbor2.CBORTag(17, [b"", {}, b""])),
    ],
)
async def test_a_status_list_that_cannot_be_believed_is_a_refusal(page: Any) -> None:
    assert await code(page) is Code.CREDENTIAL_STATUS_UNKNOWN


@pytest.mark.parametrize(
    "page",
    [
        identifier_cwt([], STRANGER),
        identifier_cwt([], c65530={"identifiers": [OWN]}),
        identifier_cwt([], c65530={"identifiers": {"text": {}}}),
        identifier_cwt([], c65530=None),
        identifier_cwt([number.to_bytes(4) for number in range(IDENTIFIERS_MAX + 1)]),
        status_cwt([]),
        "a text",
    ],
)
async def test_an_identifier_list_that_cannot_be_believed_is_a_refusal(page: Any) -> None:
    assert await code(page, IDENTIFIED) is Code.CREDENTIAL_STATUS_UNKNOWN


@pytest.mark.parametrize(
    "entry",
    [
        {"identifier_list": {"uri": LIST_URI}},
        {"identifier_list": {"id": b"", "uri": LIST_URI}},
        {"identifier_list": {"id": b"\x01" * 65, "uri": LIST_URI}},
        {"identifier_list": {"id": "+", "uri": LIST_URI}},
        {"identifier_list": {"id": OWN, "uri": "http://issuer.example/status/1"}},
        {"identifier_list": {"id": OWN, "uri": LIST_URI, "certificate": b"\x30"}},
        {"identifier_list": {"id": OWN, "uri": LIST_URI}, "status_list": {"idx": 7, "uri": LIST_URI}},
        {"status_list": {"idx": 7, "uri": LIST_URI, "certificate": b"\x30"}},
    ],
)
async def test_a_status_that_is_not_understood_is_a_refusal(entry: Any) -> None:
    assert await code(identifier_cwt([]), entry) is Code.CREDENTIAL_STATUS_UNKNOWN


async def test_a_credential_in_json_has_no_identifier_list_and_no_list_of_another_of_its_authority() -> None:
    for entry, page in (
        ({"identifier_list": {"id": "AQ", "uri": LIST_URI}}, identifier_cwt([])),
        (status(), status_cwt([], LIST_SIGNER)),
        (status(), status_cwt([])),
    ):
        verifying = Verifying(pages={LIST_URI: page})
        with pytest.raises(HansaError) as refusal:
            await verifying.credential(sd_jwt(sd_claims(status=entry)))
        assert refusal.value.code is Code.CREDENTIAL_STATUS_UNKNOWN
