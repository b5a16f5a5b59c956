"""Requests as wallets want them: encrypted to a key of theirs, or signed alone."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey

from tests.support.certificates import new_key
from tests.support.credentials import jwk
from tests.support.wallets import Scene, request_claims

KEY: Final = new_key()
PUBLIC: Final = jwk(KEY) | {"kid": "wallet", "use": "enc"}
WANTED: Final = {
    "jwks": {"keys": [{"kty": "RSA"}, PUBLIC]},
    "request_object_encryption_alg_values_supported": ["RSA-OAEP-256", "ECDH-ES"],
    "request_object_encryption_enc_values_supported": ["A128CBC-HS256", "A256GCM"],
}


def fetched(metadata: Any) -> str:
    scene = Scene()
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    return scene.logins.request_object(scene.begin().same_device, "w-1", text)


def test_a_wallet_that_wants_it_gets_the_request_encrypted() -> None:
    sealed = fetched(WANTED)
    opened = jwe.decrypt_compact(sealed, ECKey.import_key(KEY), algorithms=["ECDH-ES", "A256GCM"])
    header = opened.headers()
    assert (header["kid"], header["cty"], header["enc"]) == ("wallet", "JWT", "A256GCM")
    assert opened.plaintext is not None
    assert request_claims(opened.plaintext.decode())["wallet_nonce"] == "w-1"


IGNORED: Final[dict[str, Any]] = {
    "nothing": {},
    "no JSON": "{",
    "a list": [],
    "nested deeply": "[" * 50_000,
    "no key": WANTED | {"jwks": {"keys": []}},
    "keys of another form": WANTED | {"jwks": [PUBLIC]},
    "a key for signatures": WANTED | {"jwks": {"keys": [PUBLIC | {"use": "sig"}]}},
    "a key of another algorithm": WANTED | {"jwks": {"keys": [PUBLIC | {"alg": "ECDH-ES+A128KW"}]}},
    "a key off the curve": WANTED | {"jwks": {"keys": [PUBLIC | {"x": PUBLIC["y"]}]}},
    "a key of numbers": WANTED | {"jwks": {"keys": [PUBLIC | {"x": 1}]}},
    "another algorithm": WANTED | {"request_object_encryption_alg_values_supported": ["RSA-OAEP"]},
    "another encryption": WANTED | {"request_object_encryption_enc_values_supported": ["A128CBC-HS256"]},
    "a text for algorithms": WANTED | {"request_object_encryption_alg_values_supported": "ECDH-ES"},
    "an address of keys": {"jwks_uri": "http://169.254.169.254/keys"},
}


@pytest.mark.parametrize("what", IGNORED)
def test_whatever_cannot_be_used_is_ignored(what: str) -> None:
    assert request_claims(fetched(IGNORED[what]))["wallet_nonce"] == "w-1"


def asked(formats: Any) -> tuple[list[str], list[str]]:
    """The formats of the queries, and those in the metadata of the verifier."""
    claims = request_claims(fetched({"vp_formats_supported": formats}))
    query = claims["dcql_query"]
    (credential_set,) = query["credential_sets"]
    options = [option for (option,) in credential_set["options"]]
    assert options == [one["id"] for one in query["credentials"]]
    return [one["format"] for one in query["credentials"]], list(
        claims["client_metadata"]["vp_formats_supported"]
    )


def test_a_wallet_is_asked_for_credentials_in_formats_that_it_knows() -> None:
    of_haip = {"dc+sd-jwt": {"sd-jwt_alg_values": ["ES256"]}, "mso_mdoc": {"issuerauth_alg_values": [-7]}}
    assert asked(of_haip) == (["dc+sd-jwt"], ["dc+sd-jwt"])
    assert asked({"jwt_vc_json": {}}) == (["jwt_vc_json"], ["jwt_vc_json"])


@pytest.mark.parametrize("formats", [{}, {"ldp_vc": {}}, None, [], ["dc+sd-jwt"], "dc+sd-jwt", 1])
def test_a_wallet_that_names_no_format_that_can_be_asked_for_is_asked_for_all(formats: Any) -> None:
    assert asked(formats) == (["dc+sd-jwt", "jwt_vc_json"], ["dc+sd-jwt", "jwt_vc_json"])
