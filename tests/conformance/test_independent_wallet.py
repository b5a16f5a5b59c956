"""Logins with a wallet, an issuer and a verifier that are not ours: `openvc-core` and `polaris-oid4vp`.

What an independent wallet presents is accepted; what an independent verifier says of our requests and of
what wallets answer to them agrees with ours; what either of them refuses to open is not opened here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused
from hansa.identity.presentations.encryption import ResponseKey
from tests.support.certificates import NOW, authority
from tests.support.credentials import (
    ISSUER,
    Verifying,
    decoded,
    did_key,
    encoded,
    jwk,
    jwt_vc,
    lear,
    mandate,
    seal,
    x5c,
)
from tests.support.wallets import (
    Scene,
    access_certificate,
    answer_form,
    chain_pem,
    decoded_bytes,
    encrypted,
    response_code,
)

DAY: Final = timedelta(days=1)
TODAY: Final = SystemClock().now()
ROOT: Final = authority("Trust CA of today", begin=TODAY - DAY, end=TODAY + DAY)
SEAL: Final = seal(ROOT, begin=TODAY - DAY, end=TODAY + DAY)


def scene_of_today(**options: Any) -> Scene:
    """A verifier whose time is that of the machine, as the other libraries have it."""
    offset_s = int((TODAY - NOW).total_seconds())
    return Scene(Verifying(anchors=[ROOT], offset_s=offset_s), **options)


def holder_of() -> tuple[Any, str]:
    """A key of an openvc wallet, and its did:key."""
    private = ec.generate_private_key(ec.SECP256R1())
    did = did_key(private)
    keys = pytest.importorskip("openvc.keys")
    return keys.P256SigningKey(private, f"{did}#{did.removeprefix('did:key:')}"), did


def issued_sd_jwt(holder: Any, did: str) -> str:
    """An SD-JWT VC that openvc issues, with the mandate disclosed selectively."""
    keys, sd_jwt = pytest.importorskip("openvc.keys"), pytest.importorskip("openvc.proof.sd_jwt")
    content = mandate()
    content["mandatee"]["id"] = did
    return str(
        sd_jwt.SdJwtVcProofSuite().issue(
            {"iss": ISSUER, "mandate": content},
            signing_key=keys.P256SigningKey(SEAL.key, "seal"),
            disclosable=["mandate"],
            holder_jwk=holder.public_jwk(),
            vct="learcredential.employee.sd.1",
            expires_in_s=3600,
            x5c=x5c(SEAL),
        )
    )


async def test_a_wallet_of_others_logs_in_with_an_sd_jwt_of_others() -> None:
    sd_jwt = pytest.importorskip("openvc.proof.sd_jwt")
    holder, did = holder_of()
    scene = scene_of_today()
    begun = scene.begin()
    request = scene.request(begun.same_device)
    text = sd_jwt.SdJwtVcProofSuite().create_presentation(
        issued_sd_jwt(holder, did),
        holder_key=holder,
        audience=request["client_id"],
        nonce=request["nonce"],
    )
    code = response_code(await scene.logins.respond(begun.same_device, answer_form(request, text)))
    assert scene.logins.return_from_wallet(begun.id, begun.secret, code).principal.name == "Ana Prueba"


async def test_a_wallet_of_others_logs_in_with_a_w3c_presentation_of_theirs() -> None:
    vp_jwt = pytest.importorskip("openvc.proof.vp_jwt")
    holder, did = holder_of()
    now_s = int(TODAY.timestamp())
    claims = lear()
    claims |= {"sub": did, "iat": now_s - 60, "nbf": now_s - 60, "exp": now_s + 3600}
    content = mandate()
    content["mandatee"]["id"] = did
    claims["vc"] |= {
        "credentialSubject": {"id": did, "mandate": content},
        "validFrom": (TODAY - DAY).isoformat(),
        "validUntil": (TODAY + DAY).isoformat(),
    }
    scene = scene_of_today()
    begun = scene.begin()
    request = scene.request(begun.same_device)
    text = vp_jwt.VpJwtProofSuite().sign(
        [jwt_vc(claims, SEAL)],
        holder_key=holder,
        audience=request["client_id"],
        nonce=request["nonce"],
        holder=did,
        expires_in_s=60,
    )
    assert response_code(await scene.logins.respond(begun.same_device, answer_form(request, text)))


def test_a_verifier_of_others_reads_our_query_as_we_do() -> None:
    openid4vp, sd_jwt = pytest.importorskip("openvc.openid4vp"), pytest.importorskip("openvc.proof.sd_jwt")
    dids = pytest.importorskip("openvc.did.did_key")
    holder, did = holder_of()
    issuer, issuer_did = holder_of()
    scene = scene_of_today()
    request = scene.request(scene.begin().same_device)
    suite = sd_jwt.SdJwtVcProofSuite()
    credential = suite.issue(
        {"iss": issuer_did, "mandate": mandate() | {"mandatee": {"id": did}}},
        signing_key=issuer,
        disclosable=["mandate"],
        holder_jwk=holder.public_jwk(),
        vct="eu.europa.ec.eudi.lce.1",
        expires_in_s=3600,
    )
    bindings = {"audience": request["client_id"], "nonce": request["nonce"]}
    text = suite.create_presentation(credential, holder_key=holder, **bindings)

    def verdict(vp_token: Any) -> Any:
        return openid4vp.verify_vp_token(
            vp_token,
            dcql_query=request["dcql_query"],
            nonce=request["nonce"],
            client_id=request["client_id"],
            resolver=dids.DidKeyResolver(),
        )

    assert len(verdict({"sd_jwt": [text]}).for_query("sd_jwt")) == 1
    for wrong in ({"sd_jwt": [text, text]}, {"sd_jwt": text}, {"jwt_vc": [text]}, {"other": [text]}, {}):
        with pytest.raises(openid4vp.OpenID4VPError):
            verdict(wrong)


def test_an_access_certificate_reads_the_same_to_others() -> None:
    rp_cert = pytest.importorskip("openvc.rp_cert")
    access = access_certificate()
    parsed = rp_cert.parse_rp_access_certificate(chain_pem(access))
    assert parsed.public_jwk["x"] == jwk(access.key)["x"]


# Encrypted answers.


def public_key(key: ResponseKey) -> ec.EllipticCurvePublicKey:
    members = key.public()
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(decoded_bytes(members["x"])),
        int.from_bytes(decoded_bytes(members["y"])),
        ec.SECP256R1(),
    )
    return numbers.public_key()


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
@pytest.mark.parametrize("parties", [(b"", b""), (b"wallet", b"verifier")])
def test_what_others_encrypt_is_opened(enc: str, parties: tuple[bytes, bytes]) -> None:
    theirs = pytest.importorskip("polaris_oid4vp.jwe")
    key = ResponseKey("one")
    sealed = theirs.encrypt_compact(b'{"a": 1}', public_key(key), enc, *parties, extra_header={"kid": "one"})
    assert key.opened(sealed) == b'{"a": 1}'


def attacked(sealed: str) -> Mapping[str, str]:
    """Ways to spoil a JWE."""
    header, _, iv, content, tag = sealed.split(".")

    def with_header(**changes: Any) -> str:
        fields = {name: value for name, value in (decoded(header) | changes).items() if value is not None}
        return f"{encoded(fields)}..{iv}.{content}.{tag}"

    epk = decoded(header)["epk"]
    return {
        "another header": with_header(typ="x"),
        "no algorithm": with_header(alg=None),
        "none": with_header(alg="none"),
        "dir": with_header(alg="dir"),
        "RSA-OAEP": with_header(alg="RSA-OAEP"),
        "another encryption": with_header(enc="A192GCM"),
        "no encryption": with_header(enc=None),
        "a list for encryption": with_header(enc=["A128GCM"]),
        "critical": with_header(crit=["exp"], exp=1),
        "no ephemeral key": with_header(epk=None),
        "an ephemeral key off the curve": with_header(epk=epk | {"x": epk["y"]}),
        "an ephemeral key of another curve": with_header(epk=epk | {"crv": "P-384"}),
        "an ephemeral key of numbers": with_header(epk=epk | {"x": 1}),
        "a short coordinate": with_header(epk=epk | {"x": epk["x"][:-2]}),
        "a private ephemeral key": with_header(epk=epk | {"d": epk["x"]}),
        "numbers for a party": with_header(apu=1),
        "another content": f"{header}..{iv}.{content[:-2]}AA.{tag}",
        "another tag": f"{header}..{iv}.{content}.{tag[:-2]}AA",
        "a short tag": f"{header}..{iv}.{content}{tag[:4]}.{tag[4:]}",
        "another nonce": f"{header}..{iv[:-2]}AA.{content}.{tag}",
        "a long nonce": f"{header}..{iv}AAAA.{content}.{tag}",
        "an encrypted key": f"{header}.AAAA.{iv}.{content}.{tag}",
        "four parts": f"{header}.{iv}.{content}.{tag}",
        "padding": f"{header}==..{iv}.{content}.{tag}",
        "a line break": f"{header}..{iv}.{content}.{tag}\n",
        "nothing": "....",
    }


NAMES: Final = tuple(attacked(encrypted({}, ResponseKey("one").public())))


@pytest.mark.parametrize("what", NAMES)
def test_what_was_spoiled_is_not_opened(what: str) -> None:
    key = ResponseKey("one")
    sealed = encrypted({"a": 1}, key.public())
    assert json.loads(key.opened(sealed)) == {"a": 1}
    with pytest.raises(Refused) as caught:
        key.opened(attacked(sealed)[what])
    assert caught.value.code is Code.PRESENTATION_MALFORMED
