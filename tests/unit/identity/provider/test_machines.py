"""Machines act by their credentials, without a registration and without a shared secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from hansa.core.errors import Refused
from tests.support.credentials import did_key, jwt_vc, jwt_vp, lear, mandate, power, seal
from tests.support.logins import ENDPOINT
from tests.support.provider import (
    CLIENT_KEY,
    CONFIDENTIAL,
    MACHINE_KEY,
    OTHER_KEY,
    Provided,
    error_of,
    payload_of,
)

MACHINE = "LEARCredentialMachine"
DID = did_key(MACHINE_KEY)


def credential(holder: Any = MACHINE_KEY, types: str = MACHINE, **changes: Any) -> str:
    """A LEARCredentialMachine."""
    subject = mandate(holder, power=[power("ProductOffering", "Create", "Update")])
    subject["mandatee"] = {"id": did_key(holder), "serviceName": "Importer", "domain": "goodair.example"}
    claims = lear(
        holder,
        type=["VerifiableCredential", types],
        credentialSubject={"id": did_key(holder), "mandate": subject},
        **changes,
    )
    return jwt_vc(claims)


def presentation(op: Provided, holder: Any = MACHINE_KEY, text: str | None = None, **changes: Any) -> str:
    """A presentation of it, for the OpenID Provider; nobody asked for it, so it has no nonce."""
    claims = {"aud": op.issuer, "nonce": None, "iat": op.now_s, "exp": op.now_s + 60} | changes
    return jwt_vp(text or credential(holder), holder, claims)


async def test_a_machine_gets_a_token_with_the_rights_of_its_credential(op: Provided) -> None:
    tokens = (await op.machine(presentation(op))).json()
    claims = payload_of(tokens["access_token"])
    assert (claims["sub"], claims["client_id"], claims["kind"]) == (DID, DID, "machine")
    assert claims["powers"][0]["function"] == "ProductOffering"
    caller = op.authenticate({b"authorization": f"Bearer {tokens['access_token']}".encode()})
    assert caller.is_machine
    assert caller.roles == {"provider"}


async def test_domes_machines_write_the_presentation_in_base64_once_more(op: Provided) -> None:
    plain = presentation(op)
    assert (await op.machine(base64.b64encode(plain.encode()).decode())).status == 200
    urlsafe = base64.urlsafe_b64encode(presentation(op, exp=op.now_s + 61).encode()).rstrip(b"=").decode()
    assert (await op.machine(urlsafe)).status == 200


@pytest.mark.parametrize("audience", [ENDPOINT, f"{ENDPOINT}/oidc/token", [ENDPOINT], "did:example:lubeck"])
async def test_a_presentation_is_for_this_provider(op: Provided, audience: Any) -> None:
    assert (await op.machine(presentation(op, aud=audience))).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"aud": [ENDPOINT, "https://other.example"]},
        {"aud": None},
        {"iat": 1_000_000_000, "exp": None},
        {"exp": 1_000_000_000},
        {"exp": 1_796_040_000_000},
    ],
)
async def test_a_presentation_that_does_not_hold_gets_nothing(op: Provided, changes: dict[str, Any]) -> None:
    assert error_of(await op.machine(presentation(op, **changes))) == "invalid_grant"


async def test_a_presentation_is_good_once(op: Provided) -> None:
    shown = presentation(op)
    assert (await op.machine(shown)).status == 200
    assert error_of(await op.machine(shown)) == "invalid_grant"


async def test_a_machine_does_not_act_by_anothers_credential(op: Provided) -> None:
    assert error_of(await op.machine(presentation(op, OTHER_KEY))) == "invalid_grant"
    relayed = presentation(op, MACHINE_KEY, credential(OTHER_KEY))
    assert error_of(await op.machine(relayed)) == "invalid_grant"


async def test_a_credential_that_is_not_presented_gets_nothing(op: Provided) -> None:
    assert error_of(await op.machine(credential())) == "invalid_grant"


async def test_a_credential_of_a_person_is_for_wallets(op: Provided) -> None:
    answer = await op.machine(presentation(op, text=jwt_vc(lear(MACHINE_KEY))))
    assert error_of(answer) == "invalid_grant"


async def test_a_self_signed_issuer_with_the_right_name_is_not_believed(op: Provided) -> None:
    forged = jwt_vc(lear(MACHINE_KEY, type=["VerifiableCredential", MACHINE]), issuer=seal(None))
    answer = await op.machine(presentation(op, text=forged))
    assert error_of(answer) == "invalid_grant"
    assert "GoodAir" not in answer.body.decode()


@pytest.mark.parametrize("text", ["x", "é", "A" * 100_000, "e30=", "a~b"])
async def test_what_is_no_presentation_gets_nothing(op: Provided, text: str) -> None:
    assert error_of(await op.machine(text)) in {"invalid_grant", "invalid_client"}


async def test_without_a_presentation_a_machine_is_nobody(op: Provided) -> None:
    assert error_of(await op.machine(None)) == "invalid_client"


async def test_a_machine_has_the_one_grant(op: Provided) -> None:
    shown = op.assertion(DID, MACHINE_KEY, kid=None, vp_token=presentation(op))
    form = {"grant_type": "authorization_code", "code": "x", **shown}
    assert error_of(await op.token(form)) == "unauthorized_client"


async def test_a_machine_that_is_removed_gets_nothing_more(op: Provided) -> None:
    tokens = (await op.machine(presentation(op))).json()
    await op.here.endings.remove("subject", DID)
    assert error_of(await op.machine(presentation(op, exp=op.now_s + 50))) == "invalid_grant"
    with pytest.raises(Refused):
        op.authenticate({b"authorization": f"Bearer {tokens['access_token']}".encode()})


async def test_a_registered_client_may_show_the_credential_of_its_machine(op: Provided) -> None:
    shown = op.assertion(CONFIDENTIAL.client_id, CLIENT_KEY, vp_token=presentation(op))
    tokens = (await op.token({"grant_type": "client_credentials", **shown})).json()
    claims = payload_of(tokens["access_token"])
    assert (claims["sub"], claims["client_id"]) == (DID, "backend")
    assert claims["roles"] == ["provider"]  # of the credential, and not of the registration
