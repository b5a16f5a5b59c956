"""Identity documents for tests: a PID of a European wallet, and a driving licence, presented to requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import cbor2

from tests.support.certificates import Issued
from tests.support.credentials import DAY_S, HOLDER, NOW_S, SEAL, bound, digest, disclosure, jwk, sd_jwt
from tests.support.mdocs import (
    SIGNER,
    cbor,
    device_signed,
    element,
    embedded,
    response,
    security_object,
    sign1,
    transcript,
)

PID: Final = "urn:eudi:pid:1"
PID_MDOC: Final = "eu.europa.ec.eudi.pid.1"
LICENCE: Final = "org.iso.18013.5.1.mDL"
PID_TYPE: Final = f"dc+sd-jwt:{PID}"
NAMESPACES: Final = {PID_MDOC: PID_MDOC, LICENCE: "org.iso.18013.5.1"}
JEAN: Final = {"family_name": "Dupont", "given_name": "Jean", "birthdate": "1980-05-23"}
_MORE: Final = {"nationalities": ["FR"], "issuing_country": "FR", "picture": "data:image/jpeg;base64,AA"}


def asked_claims(request: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The name of the one query of a request, and what it asks to be disclosed."""
    (query,) = request["dcql_query"]["credentials"]
    return query["id"], [one["path"][-1] for one in query["claims"]]


def pid(
    request: Mapping[str, Any],
    person: Mapping[str, Any] = JEAN,
    *,
    holder: Any = HOLDER,
    issuer: Issued = SEAL,
    shown: Any = None,
    bindings: Mapping[str, Any] | None = None,
    **changes: Any,
) -> str:
    """A PID as an SD-JWT VC, which discloses what a request asks for, or what is `shown`."""
    hidden = {name: disclosure(name, value) for name, value in (dict(person) | _MORE).items()}
    claims = {
        "iss": "https://pid.example",
        "iat": NOW_S - 60,
        "exp": NOW_S + DAY_S,
        "vct": PID,
        "cnf": {"jwk": jwk(holder)},
        "_sd_alg": "sha-256",
        "_sd": [digest(one) for one in hidden.values()],
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    names = asked_claims(request)[1] if shown is None else shown
    text = sd_jwt(claims, [hidden[name] for name in names if name in hidden], issuer)
    target = {"aud": request["client_id"], "nonce": request["nonce"]}
    return bound(text, holder, target | dict(bindings or {}))


def identity_mdoc(
    request: Mapping[str, Any],
    doctype: str = PID_MDOC,
    person: Mapping[str, Any] = JEAN,
    *,
    holder: Any = HOLDER,
    issuer: Issued = SIGNER,
    nonce: str | None = None,
    auth: str = "deviceSignature",
    **mso: Any,
) -> str:
    """An mdoc of somebody, presented for a request."""
    values = dict(person)
    values["birth_date"] = cbor2.CBORTag(1004, values.pop("birthdate"))
    items = [element(number, name, value) for number, (name, value) in enumerate(values.items())]
    namespace = NAMESPACES[doctype]
    content = security_object({namespace: items}, holder, docType=doctype, **mso)
    document = {
        "nameSpaces": {namespace: [embedded(one) for one in items]},
        "issuerAuth": sign1(issuer.key, cbor(embedded(content)), chain=issuer.der),
    }
    session = transcript(
        *(request["client_id"], nonce or request["nonce"], request["response_uri"], _thumbprint(request))
    )
    signed = device_signed(doctype, holder, session)
    (proof,) = signed["deviceAuth"].values()
    return response(document, signed | {"deviceAuth": {auth: proof}}, docType=doctype)


def _thumbprint(request: Mapping[str, Any]) -> bytes | None:
    keys = request["client_metadata"].get("jwks", {"keys": []})["keys"]
    if not keys:
        return None
    members = {name: keys[0][name] for name in ("crv", "kty", "x", "y")}
    return hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
