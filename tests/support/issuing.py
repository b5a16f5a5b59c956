"""An issuer in memory, and what a wallet sends it, made by `cryptography` and not by our wallet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.core.certificates import read_anchor
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.limits import Limits
from hansa.identity.credentials import (
    CredentialVerifier,
    DidKeys,
    IssuerTrust,
    RecentPresentations,
    StatusLists,
    VerifiedCredential,
)
from hansa.identity.issuing import (
    CredentialIssuer,
    DevelopmentAuthority,
    IssuingRefused,
    IssuingRules,
    MandateOrder,
    NewOffer,
    OrderedPower,
    PublishedLists,
)
from hansa.store.memory.store import MemoryStore
from tests.support.certificates import NOW, new_key
from tests.support.credentials import jwk, jwt

ENDPOINT: Final = "https://lubeck.example"
PRE_AUTHORIZED: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
EMPLOYEE_SD: Final = "learcredential.employee.sd.1"
EMPLOYEE_JWT: Final = "LEARCredentialEmployee"
ORDER: Final = MandateOrder(
    "employee",
    "VATES-12345678",
    "GoodAir",
    "ES",
    (OrderedPower("ProductOffering", ("Create", "Update")), OrderedPower("Onboarding", ("Execute",))),
    "Ana María Prueba",
    "ana@goodair.example",
)
DEFAULT_RULES: Final = IssuingRules()
MACHINE: Final = msgspec.structs.replace(
    ORDER, kind="machine", name="price-feed", domain="feed.goodair.example"
)


def address_of(rules: IssuingRules) -> str:
    """What the seals of an issuer name."""
    return ENDPOINT if rules.sd_jwt_issuer == "address" else ""


class Drawn:
    """An `Entropy` whose bytes follow from a number, the same in every run."""

    def __init__(self) -> None:
        self._drawn = 0

    def __call__(self, count: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(self._drawn.to_bytes(8)).digest(count)


class Issuing:
    """An issuer, and a verifier that trusts it."""

    def __init__(self, folder: Path, start: datetime = NOW, rules: IssuingRules = DEFAULT_RULES) -> None:
        self.rules = rules
        self.clock = ManualClock(start)
        self.entropy = Drawn()
        self.store = MemoryStore(self.clock, Limits())
        self.authority = DevelopmentAuthority(
            folder / "issuing", "lubeck", self.clock, self.entropy, address_of(rules)
        )
        self.lists = PublishedLists(self.store, self.authority, ENDPOINT, self.clock, self.entropy)
        self.dids = DidKeys(self)
        self.issuer = self.restarted()

    def restarted(self) -> CredentialIssuer:
        """The issuer of another process on the same store and folder."""
        served = self.store, self.authority, self.lists, ENDPOINT, self.dids
        return CredentialIssuer(*served, self.clock, self.entropy, self.rules)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Serves status lists, to verifiers that fetch them."""
        number = request.url.removeprefix(f"{ENDPOINT}/status-lists/")
        if not number.isdigit():
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The other side cannot be reached.")
        signed = await self.lists.signed(int(number))
        return HttpResponse(200, {"content-type": signed.media_type}, signed.body)

    @property
    def now_s(self) -> int:
        return int(self.clock.now().timestamp())

    def verifier(self) -> CredentialVerifier:
        """One that trusts the authority, and has nothing in its caches."""
        trust = IssuerTrust([read_anchor(self.authority.certificate())], None, self.dids)
        return CredentialVerifier(
            trust, self.dids, StatusLists(self, trust), RecentPresentations(), self.clock
        )

    async def verified(self, text: str) -> VerifiedCredential:
        return await self.verifier().credential(text, "dc+sd-jwt" if "~" in text else "jwt_vc_json")

    # -- a wallet --------------------------------------------------------------------------------------------

    async def offer(self, order: MandateOrder = ORDER) -> NewOffer:
        return await self.issuer.offer(order, 3600)

    async def code(self, offer: NewOffer) -> str:
        """The pre-authorized code of an offer."""
        document = await self.issuer.offer_document(offer.reference)
        return str(document["grants"][PRE_AUTHORIZED]["pre-authorized_code"])

    async def redeem(self, code: str, tx_code: str) -> str:
        """An access token."""
        form = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code, "tx_code": tx_code}
        return str((await self.issuer.token(form))["access_token"])

    async def token(self, order: MandateOrder = ORDER) -> str:
        """The access token of a new offer."""
        offer = await self.offer(order)
        return await self.redeem(await self.code(offer), offer.tx_code)

    def proof(self, key: Any, changes: Mapping[str, Any] | None = None, **header: Any) -> str:
        """A proof of a key; a claim or parameter of None is left out."""
        claims = {"aud": ENDPOINT, "iat": self.now_s, "nonce": self.issuer.nonce()} | dict(changes or {})
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt(key, claims, **{"typ": "openid4vci-proof+jwt", "jwk": jwk(key)} | header)

    async def request(self, token: str, *proofs: str, configuration: str = EMPLOYEE_SD) -> list[str]:
        body = {"credential_configuration_id": configuration, "proofs": {"jwt": list(proofs)}}
        return await self.issuer.credentials(token, body)

    async def issued(
        self, configuration: str = EMPLOYEE_SD, order: MandateOrder = ORDER, key: Any = None
    ) -> str:
        """A credential that a wallet got."""
        token = await self.token(order)
        return (await self.request(token, self.proof(key or new_key()), configuration=configuration))[0]

    async def refusal(self, token: str, *proofs: str, configuration: str = EMPLOYEE_SD) -> str:
        """The error with which a request for a credential is refused."""
        try:
            await self.request(token, *proofs, configuration=configuration)
        except IssuingRefused as error:
            return error.error
        raise AssertionError("it was issued")

    async def token_refusal(self, code: str, tx_code: str) -> str:
        """The error with which codes are refused."""
        try:
            await self.redeem(code, tx_code)
        except IssuingRefused as error:
            return error.error
        raise AssertionError("it was accepted")
