"""The issuer of mandates: OpenID4VCI 1.0 with a pre-authorized or an authorization code, for development.

    operator    offers a credential          an address with a reference, and a transaction code to be told
                                             to the person on another way
    wallet      fetches the offer            what is offered, and the code
                sends code and transaction code             an access token, for five minutes
                asks for a nonce
                sends a proof of each of its keys           a credential for each key

Or, in place of both codes, a person who is logged in approves (`hansa.identity.issuing.authorizing`).

*States of an offer.* It waits; its code is used once, which gives a token; with that, each of its
configurations may be requested `REQUESTS_MAX` times, as by a wallet that did not get the answer. It has
ended with the token, and ends earlier when its time is over, after `TRIES_MAX` wrong transaction codes, when
an operator withdraws it, and when its code is used again by somebody who knows the transaction code as well:
then the token that was given out for it ends too (RFC 6749, section 4.1.2).

*Secrets.* The reference in the address of an offer, the code and the token are 256 random bits each, or
follow from such; the store has digests of them. A transaction code has six digits, and five tries.

*Order.* A credential is recorded, with its place in a status list, before it is signed: whatever exists can
be revoked. A failure between the two leaves a record of a credential that nobody has.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.certificates.elsi import elsi_did
from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.identifiers import Entropy
from hansa.identity.credentials.issuers.dids import DidKeys
from hansa.identity.issuing.authority import DevelopmentAuthority
from hansa.identity.issuing.authorizing import CodeRequest, WalletAuthorizations, may_have
from hansa.identity.issuing.configurations import (
    AUTHORIZATION_CODE,
    CONFIGURATIONS,
    PRE_AUTHORIZED_CODE,
    CredentialConfiguration,
    authorization_server,
    configurations_of,
)
from hansa.identity.issuing.formats import CredentialContent, written_credential
from hansa.identity.issuing.orders import MandateOrder, check_order
from hansa.identity.issuing.proofs import ProofNonces, WalletAttestations, proved_keys
from hansa.identity.issuing.refusals import IssuingRefused
from hansa.identity.issuing.requests import authorized_detail, not_offered, requested_configuration
from hansa.identity.issuing.rules import IssuingRules
from hansa.identity.issuing.status_lists import STATUSES, CredentialStatus, PublishedLists
from hansa.identity.principal import Principal
from hansa.store import Store
from hansa.store.interface import Transaction
from hansa.store.tables import issuing
from hansa.store.tables.issuing import IssuedCredential, StoredOffer

TX_CODE_DIGITS: Final = 6
TRIES_MAX: Final = 5
OFFER_LIFE_MAX_S: Final = 14 * 86_400
TOKEN_LIFE_S: Final = 300
REQUESTS_MAX: Final = 16
"""For each configuration of an offer."""
TIMES_ROUNDED_S: Final = 3600
"""To which the times in `dc+sd-jwt` are rounded: verifiers do not find by them what was issued at once to the
same person (RFC 9901, section 10.1)."""
OFFERS_MAX: Final = 10_000
OFFERS_OF_PERSON_MAX: Final = 50
"""The oldest, among which one for a wallet's request is looked for."""
CREDENTIALS_MAX: Final = 1_000_000
REMEMBERED_AFTER_END_MS: Final = 30 * 86_400_000
"""How long an expired credential is still listed."""

_SECRET_BYTES: Final = 32
_SECRET_MAX_CHARS: Final = 128


class NewOffer(msgspec.Struct, frozen=True):
    """An offer that was just made; its secrets are known here for the last time."""

    id: str
    """By which it can be withdrawn."""
    reference: str
    """In its address."""
    tx_code: str
    """To be told to the person on another way than the address."""
    expires_s: int


class PreparedOffer(msgspec.Struct, frozen=True):
    """An offer that waits for somebody's approval."""

    id: str
    order: MandateOrder


class CredentialIssuer:
    """Offers and issues mandates. To be used on one event loop.

    Args:
        store: Has what was offered and issued.
        authority: Certifies the seals.
        lists: Status lists.
        endpoint: Of the marketplace, which is the identifier of the issuer.
        dids: Reads the keys in DIDs.
        clock: For all times.
        entropy: For all secrets.
        rules: By which it issues.
    """

    def __init__(
        self,
        store: Store,
        authority: DevelopmentAuthority,
        lists: PublishedLists,
        endpoint: str,
        dids: DidKeys,
        clock: Clock,
        entropy: Entropy,
        rules: IssuingRules,
    ) -> None:
        self._store = store
        self._authority = authority
        self._lists = lists
        self._endpoint = endpoint
        self._dids = dids
        self._clock = clock
        self._entropy = entropy
        self.rules: Final = rules
        self._nonces = ProofNonces(entropy)
        self.attestations: Final = WalletAttestations(rules, authorization_server(endpoint), clock)
        self.authorizations: Final = WalletAuthorizations(endpoint, clock, entropy)

    # -- for operators ---------------------------------------------------------------------------------------

    async def offer(self, order: MandateOrder, life_s: int) -> NewOffer:
        """Offer a credential.

        Args:
            order: What is offered.
            life_s: How long the offer waits.

        Raises:
            Refused: `Code.INVALID`.
            Unavailable: `Code.OVERLOADED`, when too many offers wait.
        """
        check_order(order)
        if not configurations_of(order, self.rules):
            raise Refused(Code.INVALID, f"Credentials are issued here as {' and '.join(self.rules.forms)}.")
        if not 0 < life_s <= OFFER_LIFE_MAX_S:
            raise Refused(Code.INVALID, f"An offer waits for {OFFER_LIFE_MAX_S // 86_400} days at most.")
        now_ms = self._now_ms()
        secret, id = self._entropy(_SECRET_BYTES), self._entropy(8).hex()
        number = int.from_bytes(self._entropy(8)) % 10**TX_CODE_DIGITS
        tx_code = f"{number:0{TX_CODE_DIGITS}d}"
        expires_ms = now_ms + 1000 * life_s
        stored = StoredOffer(
            id=id,
            reference=_digest("reference", to_base64url(secret)),
            code=_digest("code", _code(to_base64url(secret))),
            tx_code=_digest("tx_code", id, tx_code),
            tries=0,
            token=None,
            token_expires_ms=None,
            created_ms=now_ms,
            expires_ms=expires_ms,
            content=msgspec.json.encode(order),
            issued="",
        )
        async with self._store.transaction() as tx:
            await issuing.remove_expired(tx, now_ms, now_ms - REMEMBERED_AFTER_END_MS)
            if await issuing.count_offers(tx) >= OFFERS_MAX:
                raise Unavailable(Code.OVERLOADED, "Too many offers wait for wallets.", retry_after_s=60.0)
            await issuing.add_offer(tx, stored)
        return NewOffer(id, to_base64url(secret), tx_code, expires_ms // 1000)

    async def withdraw(self, id: str) -> None:
        """End an offer.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        async with self._store.transaction() as tx:
            if not await issuing.remove_offer(tx, id):
                raise Refused(Code.NOT_FOUND, "There is no such offer.")

    async def set_status(self, id: str, status: CredentialStatus) -> IssuedCredential:
        """Revoke or suspend a credential, or end a suspension.

        Raises:
            Refused: `Code.NOT_FOUND`, or `Code.CONFLICT` for one that was revoked: that is final.
        """
        async with self._store.transaction() as tx:
            credential = await issuing.credential(tx, id)
            if credential is None:
                raise Refused(Code.NOT_FOUND, "No such credential was issued here.")
            if STATUSES[credential.status] == "revoked" and status != "revoked":
                raise Refused(
                    Code.CONFLICT, "A credential that was revoked stays revoked: issue another one."
                )
            await issuing.set_status(tx, id, STATUSES.index(status))
        return msgspec.structs.replace(credential, status=STATUSES.index(status))

    # -- for wallets -----------------------------------------------------------------------------------------

    async def offer_document(self, reference: str) -> dict[str, Any]:
        """A credential offer (OpenID4VCI 1.0, section 4.1.1), for whoever knows its reference.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        offer = await self._waiting(reference)
        text = {
            "length": TX_CODE_DIGITS,
            "input_mode": "numeric",
            "description": "The code that came with the offer.",
        }
        return {
            "credential_issuer": self._endpoint,
            "credential_configuration_ids": list(self._configurations(_order(offer))),
            "grants": {
                PRE_AUTHORIZED_CODE: {"pre-authorized_code": _code(reference), "tx_code": text},
                AUTHORIZATION_CODE: {
                    "issuer_state": reference,
                    "authorization_server": authorization_server(self._endpoint),
                },
            },
        }

    async def token(self, form: Mapping[str, str], thumbprint: str = "") -> dict[str, Any]:
        """The answer of the token endpoint.

        Args:
            form: Of the request.
            thumbprint: Of the key of its DPoP proof, to which the token is bound then; empty: it has none.

        Raises:
            IssuingRefused: `invalid_grant`, whatever of the two codes is wrong; `invalid_request`;
                `unsupported_grant_type`; `invalid_dpop_proof`, where one is demanded.
        """
        if self.rules.needs_dpop and not thumbprint:
            raise IssuingRefused("invalid_dpop_proof", "This issuer binds tokens to keys: prove one by DPoP.")
        token = to_base64url(self._entropy(_SECRET_BYTES))
        digest = _token_digest(token, thumbprint)
        details: tuple[str, ...] = ()
        if form.get("grant_type") == AUTHORIZATION_CODE:
            details = await self._redeem_code(form, digest, thumbprint)
        else:
            await self._redeem_offer(form, digest)
        token_type = "DPoP" if thumbprint else "Bearer"
        tokens = {"access_token": token, "token_type": token_type, "expires_in": TOKEN_LIFE_S}
        return tokens | (
            {"authorization_details": [authorized_detail(one) for one in details]} if details else {}
        )

    async def _redeem_offer(self, form: Mapping[str, str], token: bytes) -> None:
        if form.get("grant_type") != PRE_AUTHORIZED_CODE:
            raise IssuingRefused("unsupported_grant_type", "There is no such grant_type here.")
        code, tx_code = form.get("pre-authorized_code", ""), form.get("tx_code", "")
        if not 0 < len(code) <= _SECRET_MAX_CHARS or len(tx_code) > _SECRET_MAX_CHARS:
            raise IssuingRefused("invalid_request", "A pre-authorized code is needed.")
        if not await self._redeemed(code, tx_code, token, self._now_ms()):
            raise IssuingRefused("invalid_grant", "One of the codes is wrong, was used, or has ended.")

    async def _redeem_code(self, form: Mapping[str, str], token: bytes, thumbprint: str) -> tuple[str, ...]:
        redeemed = self.authorizations.redeem(form, thumbprint)
        now_ms = self._now_ms()
        async with self._store.transaction() as tx:
            offer = await issuing.offer(tx, redeemed.offer)
            is_good = offer is not None and offer.token is None and now_ms < offer.expires_ms
            if redeemed.must_end:
                await issuing.remove_offer(tx, redeemed.offer)
            elif is_good:
                await issuing.give_token(tx, redeemed.offer, token, now_ms + 1000 * TOKEN_LIFE_S)
        if redeemed.must_end or not is_good:
            raise IssuingRefused("invalid_grant", "The code was used before, or its offer has ended.")
        return redeemed.details

    # -- for codes -------------------------------------------------------------------------------------------

    async def push(self, form: Mapping[str, str], thumbprint: str = "") -> dict[str, Any]:
        """The answer to a pushed authorization request.

        Args:
            form: Of the request.
            thumbprint: Of the key of its DPoP proof, to which the code is bound then; empty: it has none.

        Raises:
            IssuingRefused: `invalid_request`.
            Unavailable: `Code.OVERLOADED`.
        """
        if "issuer_state" not in form and self.rules.is_wallet_initiated:
            offered = tuple(one.id for one in CONFIGURATIONS.values() if one.form in self.rules.forms)
            return self.authorizations.push(form, "", offered, thumbprint)
        try:
            offer = await self._waiting(form.get("issuer_state", "")[:_SECRET_MAX_CHARS])
        except Refused as error:
            raise IssuingRefused("invalid_request", "issuer_state names no offer that waits.") from error
        return self.authorizations.push(form, offer.id, self._configurations(_order(offer)), thumbprint)

    async def prepared(self, request: CodeRequest, principal: Principal) -> PreparedOffer | None:
        """What somebody who is logged in would have issued by a request; None: nothing waits for it.

        Of a request that names no offer, it is the oldest one that was made for this very person.

        Raises:
            Refused: `Code.NOT_FOUND`, when the offer that is named has ended.
        """
        if request.offer:
            named = await issuing.offer(self._store, request.offer)
            if named is None or not self._is_waiting(named):
                raise Refused(Code.NOT_FOUND, "There is no such offer, or it has ended.")
            return PreparedOffer(named.id, _order(named))
        if not principal.organization or not principal.email:
            return None
        person = principal.organization, principal.email
        for one in await issuing.offers_for(self._store, *person, self._now_ms(), OFFERS_OF_PERSON_MAX):
            order = _order(one)
            if may_have(principal, order) and set(request.configurations) <= set(self._configurations(order)):
                return PreparedOffer(one.id, order)
        return None

    def _configurations(self, order: MandateOrder) -> tuple[str, ...]:
        return tuple(one.id for one in configurations_of(order, self.rules))

    async def _waiting(self, reference: str) -> StoredOffer:
        offer = await issuing.offer_by(self._store, "reference", _digest("reference", reference))
        if offer is None or not self._is_waiting(offer):
            raise Refused(Code.NOT_FOUND, "There is no such offer, or it has ended.")
        return offer

    def _is_waiting(self, offer: StoredOffer) -> bool:
        return offer.token is None and self._now_ms() < offer.expires_ms

    async def _redeemed(self, code: str, tx_code: str, token: bytes, now_ms: int) -> bool:
        """Whether the codes were good, and the token is now that of their offer. What failed is recorded."""
        async with self._store.transaction() as tx:
            offer = await issuing.offer_by(tx, "code", _digest("code", code))
            if offer is None or now_ms >= offer.expires_ms:
                return False
            if offer.tx_code is not None:
                presented = _digest("tx_code", offer.id, tx_code)
                if not hmac.compare_digest(presented, offer.tx_code):
                    await self._note_wrong_try(tx, offer)
                    return False
            if offer.token is not None:  # used twice: one of the two was not the person
                await issuing.remove_offer(tx, offer.id)
                return False
            await issuing.give_token(tx, offer.id, token, now_ms + 1000 * TOKEN_LIFE_S)
        return True

    async def _note_wrong_try(self, tx: Transaction, offer: StoredOffer) -> None:
        """Somebody who guesses after the code was used ends nothing that a wallet is doing."""
        if offer.token is not None:
            return
        if offer.tries + 1 >= TRIES_MAX:
            await issuing.remove_offer(tx, offer.id)
        else:
            await issuing.note_wrong_try(tx, offer.id)

    def nonce(self) -> str:
        """A nonce for proofs."""
        return self._nonces.new(self._now_ms() // 1000)

    async def check_token(self, token: str, thumbprint: str = "") -> None:
        """Check that an access token is good.

        Raises:
            IssuingRefused: `invalid_token`.
        """
        await self._offer_of(self._store, _token_digest(token, thumbprint), self._now_ms())

    async def credentials(self, token: str, request: Mapping[str, Any], thumbprint: str = "") -> list[str]:
        """The credentials of a request, one for each key that is proved.

        Args:
            token: The access token.
            request: Body of the request (OpenID4VCI 1.0, section 8.2).
            thumbprint: Of the key that is proved to be the one to which the token is bound; empty: to none.

        Raises:
            IssuingRefused: Any of the errors of the credential endpoint.
            Unavailable: `Code.OVERLOADED`.
        """
        now_ms, digest = self._now_ms(), _token_digest(token, thumbprint)
        await self._offer_of(self._store, digest, now_ms)
        configuration = requested_configuration(request)
        keys, nonce = await proved_keys(
            request.get("proofs"), self._endpoint, self._dids, self.rules, now_ms // 1000
        )
        self._nonces.use(nonce, now_ms // 1000)
        order, contents = await self._recorded(digest, configuration, keys, now_ms, not_offered(request))
        seal = self._authority.seal(order.organization, order.organization_name, order.country)
        return [
            await written_credential(configuration, order, content, seal, self._entropy)
            for content in contents
        ]

    async def _offer_of(self, source: Any, token: bytes, now_ms: int) -> StoredOffer:
        offer = await issuing.offer_by(source, "token", token)
        if offer is None or offer.token_expires_ms is None or now_ms >= offer.token_expires_ms:
            raise IssuingRefused("invalid_token", "The access token is none, or has ended.")
        return offer

    async def _recorded(
        self,
        token: bytes,
        configuration: CredentialConfiguration,
        keys: tuple[CertifiedKey, ...],
        now_ms: int,
        refusal: IssuingRefused,
    ) -> tuple[MandateOrder, list[CredentialContent]]:
        """What is to be signed, once it is recorded with its place in a status list."""
        async with self._store.transaction() as tx:
            offer = await self._offer_of(tx, token, now_ms)
            order = _order(offer)
            issued = offer.issued.split()
            if configuration not in configurations_of(order, self.rules):
                raise refusal
            if issued.count(configuration.id) >= REQUESTS_MAX:
                raise IssuingRefused("credential_request_denied", "This credential was issued often enough.")
            if await issuing.count_credentials(tx) + len(keys) > CREDENTIALS_MAX:
                raise Unavailable(Code.OVERLOADED, "No more credentials can be recorded.", retry_after_s=60.0)
            contents = [await self._placed(tx, configuration, order, key, now_ms) for key in keys]
            await issuing.note_issued(tx, offer.id, " ".join([*issued, configuration.id]))
        return order, contents

    async def _placed(
        self,
        tx: Transaction,
        configuration: CredentialConfiguration,
        order: MandateOrder,
        key: CertifiedKey,
        now_ms: int,
    ) -> CredentialContent:
        kind: issuing.ListKind = "token" if configuration.form == "dc+sd-jwt" else "revocation"
        number, place = await self._lists.place(tx, order.organization, kind)
        id = f"urn:uuid:{uuid.UUID(bytes=self._entropy(16), version=4)}"
        begin_s, end_s = now_ms // 1000, now_ms // 1000 + order.life_s
        if configuration.form == "dc+sd-jwt":
            begin_s, end_s = begin_s - begin_s % TIMES_ROUNDED_S, end_s + -end_s % TIMES_ROUNDED_S
        credential = IssuedCredential(
            id=id,
            configuration=configuration.id,
            organization=order.organization,
            organization_name=order.organization_name,
            country=order.country,
            holder=order.name,
            email=order.email,
            list_number=number,
            place=place,
            status=0,
            issued_ms=now_ms,
            expires_ms=1000 * end_s,
        )
        await issuing.add_credential(tx, credential)
        uris = self._lists.uri(number), self._lists.uri(number + 1)
        is_did = self.rules.sd_jwt_issuer == "did"
        issuer = elsi_did(order.organization) if is_did else self._endpoint
        return CredentialContent(id, key, issuer, *uris, place, begin_s, end_s)

    def _now_ms(self) -> int:
        return epoch_ms(self._clock)


def _order(offer: StoredOffer) -> MandateOrder:
    return msgspec.json.decode(offer.content, type=MandateOrder)


def _code(reference: str) -> str:
    """The pre-authorized code of an offer: who knows the reference may know it."""
    return to_base64url(hashlib.sha256(f"pre-authorized_code\0{reference}".encode()).digest())


def _token_digest(token: str, thumbprint: str) -> bytes:
    """By which an access token is looked up: with a key to which it is bound, it is none without."""
    bound = ("bound token", thumbprint) if thumbprint else ("token",)
    return _digest(*bound, token[:_SECRET_MAX_CHARS])


def _digest(*parts: str) -> bytes:
    """By which a secret is found in the store; its first part says what it is."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
