"""Logins with wallets: CPU time of this side for a whole one, and how many a second one core carries.

A login is four requests: it begins, the wallet fetches the signed request, the wallet posts its encrypted
answer, and the browser comes back with the code. They pass routes and handlers as over HTTP, without sockets,
without the front door, and without the session that follows. What the wallet does is not counted.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwe
from joserfc.jwk import ECKey
from starlette.applications import Starlette

from benchmarks.credentials import (
    ISSUER,
    LIST,
    TYPES,
    SealedIssuer,
    b64,
    jwt,
    mandate,
    sealed_issuer,
    verifier_of,
)
from benchmarks.figures import quantile
from benchmarks.plan import Plan
from benchmarks.report import Figure, Row, Table
from hansa.api.wallets import ExchangeApi, LoginPages, LoginsApi, routes
from hansa.core.clock import SystemClock
from hansa.core.limits import Limits
from hansa.identity.presentations import (
    LoginOptions,
    PresentationQuery,
    WalletLogins,
    read_accepted_type,
    read_identity,
)
from hansa.identity.principal import Principal, RoleRules, principal_of
from hansa.identity.sessions import LoggedIn
from hansa.node.http.application import rest_application
from hansa.node.verifier.development import development_certificates

ENDPOINT: Final = "https://market.example"
HOST: Final = "market.example"
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


class Answer(msgspec.Struct, frozen=True):
    """What the application answers, and the CPU time that it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cpu_s: float


class Wallet:
    """Holds a key, and credentials of one issuer that are made when they are presented."""

    def __init__(self, issuer: SealedIssuer) -> None:
        self._issuer = issuer
        self._holder = ec.generate_private_key(ec.SECP256R1())
        numbers = self._holder.public_key().public_numbers()
        x, y = b64(numbers.x.to_bytes(32)), b64(numbers.y.to_bytes(32))
        self._jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        self._did = f"did:jwk:{b64(json.dumps(self._jwk).encode())}"

    def form(self, request: Mapping[str, Any], kind: str, serial: int, now_s: int) -> bytes:
        """The encrypted answer to a request."""
        text = self._sd_jwt(request, serial, now_s) if kind == "sd_jwt" else self._jwt(request, now_s)
        content = {"vp_token": {kind: [text]}, "state": request["state"]}
        (key,) = request["client_metadata"]["jwks"]["keys"]
        public = ECKey.import_key({name: key[name] for name in ("kty", "crv", "x", "y")})
        header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key["kid"]}
        algorithms = ["ECDH-ES", "A256GCM"]
        sealed = jwe.encrypt_compact(header, json.dumps(content).encode(), public, algorithms=algorithms)
        return urlencode({"response": sealed}).encode()

    def _sd_jwt(self, request: Mapping[str, Any], serial: int, now_s: int) -> str:
        claims = {
            "iss": ISSUER,
            "iat": now_s - 60,
            "exp": now_s + 3600,
            "vct": TYPES[1],
            "cnf": {"jwk": self._jwk},
            "status": {"status_list": {"idx": serial, "uri": LIST}},
            "mandate": mandate("did:key:none"),
        }
        text = jwt(self._issuer.key, claims, typ="dc+sd-jwt", x5c=self._issuer.x5c) + "~"
        hashed = b64(hashlib.sha256(text.encode()).digest())
        binding = {"iat": now_s, "aud": request["client_id"], "nonce": request["nonce"], "sd_hash": hashed}
        return text + jwt(self._holder, binding, typ="kb+jwt")

    def _jwt(self, request: Mapping[str, Any], now_s: int) -> str:
        credential = {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiableCredential", TYPES[0]],
            "issuer": {"id": ISSUER},
            "credentialSubject": {"id": self._did, "mandate": mandate(self._did)},
        }
        claims = {"iss": ISSUER, "sub": self._did, "iat": now_s - 60, "exp": now_s + 3600, "vc": credential}
        inner = jwt(self._issuer.key, claims, typ="JWT", x5c=self._issuer.x5c)
        content = {"type": ["VerifiablePresentation"], "verifiableCredential": [inner]}
        presentation = {
            "iss": self._did,
            "aud": request["client_id"],
            "nonce": request["nonce"],
            "iat": now_s,
        }
        return jwt(self._holder, {**presentation, "vp": content}, typ="JWT", kid=f"{self._did}#0")


async def _log_in(principal: Principal, return_to: str, _: Mapping[bytes, bytes]) -> LoggedIn:
    assert principal.organization, "somebody acts for somebody"
    return LoggedIn(return_to, ())


def application(issuer: SealedIssuer, now_s: int) -> Starlette:
    """The routes of logins of a verifier that trusts an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    clock, limits = SystemClock(), Limits()
    leaf, _ = development_certificates(key.public_key(), "market", HOST, clock.now(), os.urandom)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    accepted = (f"dc+sd-jwt:{TYPES[1]}", f"jwt_vc_json:{TYPES[0]}")
    rules = RoleRules()
    logins = WalletLogins(
        read_identity(pem, leaf, "x509_hash", HOST),
        PresentationQuery(map(read_accepted_type, accepted)),
        verifier_of(issuer, now_s),
        lambda credential: principal_of(credential, rules),
        LoginOptions(ENDPOINT),
        *(clock, os.urandom, limits),
    )
    pages = cast("LoginPages", None)  # programs read JSON
    api = LoginsApi(logins, pages, _log_in, ENDPOINT, lambda _: "", limits)
    return rest_application(routes(api, ExchangeApi(logins)))


async def answered(app: Starlette, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    """What an application answers to a request."""
    split = urlsplit(target)
    messages: list[MutableMapping[str, Any]] = []
    scope = {
        "type": "http",
        "method": method,
        "path": split.path,
        "raw_path": split.path.encode(),
        "query_string": split.query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    begin = time.process_time()
    await app(scope, receive, send)
    cpu_s = time.process_time() - begin
    start, *rest = messages
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], names, b"".join(part.get("body", b"") for part in rest), cpu_s)


async def login(app: Starlette, wallet: Wallet, kind: str, serial: int, now_s: int) -> tuple[float, float]:
    """CPU time of a whole login, and of the request in which the presentation is verified."""
    begun = await answered(app, "POST", "/login", accept=JSON, content_type=FORM)
    content = msgspec.json.decode(begun.body)
    (address,) = parse_qs(urlsplit(content["wallet_url"]).query)["request_uri"]
    fetched = await answered(app, "GET", address.removeprefix(ENDPOINT))
    payload = fetched.body.decode().split(".")[1]
    request = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    form = wallet.form(request, kind, serial, now_s)
    target = request["response_uri"].removeprefix(ENDPOINT)
    taken = await answered(app, "POST", target, form, content_type=FORM)
    back = msgspec.json.decode(taken.body)["redirect_uri"].removeprefix(ENDPOINT)
    cookie = begun.headers["set-cookie"].partition(";")[0]
    done = await answered(app, "GET", back, accept=JSON, cookie=cookie)
    assert done.status == 200, "somebody is logged in"
    return sum(one.cpu_s for one in (begun, fetched, taken, done)), taken.cpu_s


async def measured(name: str, kind: str, issuer: SealedIssuer, count: int, now_s: int) -> Row:
    """Times of so many logins; the first ones warm up."""
    app, wallet = application(issuer, now_s), Wallet(issuer)
    times = [await login(app, wallet, kind, serial, now_s) for serial in range(count)]
    times = times[count // 10 :]
    whole, answers = [one for one, _ in times], [one for _, one in times]
    figures = (
        Figure("CPU p50", quantile(whole, 0.5), "seconds"),
        Figure("p99", quantile(whole, 0.99), "seconds"),
        Figure("its answer p50", quantile(answers, 0.5), "seconds"),
        Figure("logins of one core", len(whole) / sum(whole), "per second"),
    )
    return Row(name, figures)


async def measure(plan: Plan, _: Path) -> list[Table]:
    """The table of logins."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    now_s = int(SystemClock().now().timestamp())
    key, authority_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = sealed_issuer(key, authority_key)
    rows = [
        await measured(name, kind, issuer, plan.presentations, now_s)
        for name, kind in (("dc+sd-jwt", "sd_jwt"), ("jwt_vc_json", "jwt_vc"))
    ]
    return [Table("Logins with wallets, on the same device", tuple(rows))]
