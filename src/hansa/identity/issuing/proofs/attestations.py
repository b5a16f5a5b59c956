"""Attestations that the provider of a wallet signs: of the wallet itself, and of the keys that it has.

    of the wallet   OAuth 2.0 Attestation-Based Client Authentication (draft 7, as HAIP 1.0 has it): a JWT of
                    the provider names the client and a key of this instance of the wallet, another by that
                    key proves that it is the instance that sends the request
    of keys         OpenID4VCI 1.0, appendix D.1: a JWT of the provider names keys that are kept well

The provider's certificate (`x5c`) leads to one of the configured authorities; nothing is fetched. A proof of
an instance is good once, some minutes, and at this authorization server alone. Statuses of attestations are
not looked up: they live for a short time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.core.certificates import Certificate
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import HansaError, Refused
from hansa.identity.credentials.formats.document import check_header, read_claims, read_jws, text_claim
from hansa.identity.credentials.refusals import malformed
from hansa.identity.credentials.replay import RecentPresentations
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, numeric_date
from hansa.identity.foreign_jws import ForeignJws, chain_of_header, is_signed_by, key_of_jwk
from hansa.identity.issuing.configurations import ATTESTATION_ALGORITHMS, PROOFS_MAX
from hansa.identity.issuing.refusals import IssuingRefused
from hansa.identity.issuing.rules import IssuingRules

ATTESTATION_SIZE_MAX_BYTES: Final = 16_384
POP_AGE_MAX_S: Final = 300
POPS_MAX: Final = 100_000
"""Proofs of instances that are remembered."""
JTI_MAX_CHARS: Final = 256

_OF_WALLET: Final = frozenset({"oauth-client-attestation+jwt"})
_OF_INSTANCE: Final = frozenset({"oauth-client-attestation-pop+jwt"})
_OF_KEYS: Final = frozenset({"key-attestation+jwt", "keyattestation+jwt"})
"""The second is the one of drafts, which wallets have still."""
_NOTHING: Final[frozenset[str]] = frozenset()


class AttestedKeys(msgspec.Struct, frozen=True):
    """What an attestation of keys says."""

    keys: tuple[CertifiedKey, ...]
    nonce: str | None


class WalletAttestations:
    """Authenticates wallets by attestations of their providers. To be used on one event loop.

    Args:
        rules: Whether attestations of wallets are demanded, and whose.
        server: Identifier of the authorization server.
        clock: For all times.
    """

    def __init__(self, rules: IssuingRules, server: str, clock: Clock) -> None:
        self._rules = rules
        self._server = server
        self._clock = clock
        self._used = RecentPresentations(POPS_MAX)

    def authenticated(
        self, form: Mapping[str, str], attestations: Sequence[str], proofs: Sequence[str]
    ) -> Mapping[str, str]:
        """The form of a wallet that proves to be the client that it names, where that is demanded.

        Args:
            form: Of a request.
            attestations: The headers `OAuth-Client-Attestation` of the request.
            proofs: Its headers `OAuth-Client-Attestation-PoP`.

        Raises:
            IssuingRefused: `invalid_client`.
            Unavailable: `Code.OVERLOADED`, when too many proofs are remembered.
        """
        if "wallets" not in self._rules.attestations:
            return form
        if len(attestations) != 1 or len(proofs) != 1:
            raise _no_client("This issuer needs one attestation of the wallet, and one proof.")
        client = self._client(attestations[0], proofs[0], epoch_s(self._clock))
        if form.get("client_id", client) != client:
            raise _no_client("The attestation is of another client.")
        return {**form, "client_id": client}

    def _client(self, attestation: str, proof: str, now_s: int) -> str:
        try:
            claims = _signed_claims(attestation, _OF_WALLET, self._rules.attesters, now_s)
            client, instance = text_claim(claims, "sub"), claims.get("cnf")
            if client is None or numeric_date(claims, "exp") is None or not isinstance(instance, dict):
                raise _no_client("The attestation names no client, no key, or no end.")
            key = key_of_jwk(instance.get("jwk"))
            jws = read_jws(proof, ATTESTATION_SIZE_MAX_BYTES)
            check_header(jws, _OF_INSTANCE, _NOTHING)
            if jws.algorithm not in ATTESTATION_ALGORITHMS or not is_signed_by(jws, key):
                raise _no_client("The proof is not signed by the key in the attestation.")
            self._check_proof(read_claims(jws.payload, ATTESTATION_SIZE_MAX_BYTES), client, now_s)
            self._used.use(jws.signing_input, now_s, now_s + 2 * (POP_AGE_MAX_S + CLOCK_LEEWAY_S))
        except IssuingRefused:
            raise
        except Refused as error:
            raise _no_client("The attestation or its proof does not hold, or the proof was used.") from error
        return client

    def _check_proof(self, claims: Mapping[str, Any], client: str, now_s: int) -> None:
        jti, made_s = text_claim(claims, "jti"), numeric_date(claims, "iat")
        if claims.get("aud") not in (self._server, [self._server]):
            raise _no_client("The proof is for another authorization server (aud).")
        if claims.get("iss", client) != client:
            raise _no_client("The proof is of another client (iss).")
        if jti is None or len(jti) > JTI_MAX_CHARS:
            raise _no_client("The proof has no name that is used once (jti).")
        if made_s is None or abs(now_s - made_s) > POP_AGE_MAX_S + CLOCK_LEEWAY_S:
            raise _no_client("The proof was not made just now (iat).")
        _check_times(claims, now_s)


def attested_keys(attestation: Any, anchors: Sequence[Certificate], now_s: int) -> AttestedKeys:
    """The keys that an attestation is for.

    Raises:
        IssuingRefused: `invalid_proof`.
    """
    try:
        claims = _signed_claims(attestation, _OF_KEYS, anchors, now_s)
        named, nonce = claims.get("attested_keys"), text_claim(claims, "nonce")
        if not isinstance(named, list) or not 1 <= len(named) <= PROOFS_MAX:
            raise _no_keys(f"The attestation does not name 1 to {PROOFS_MAX} keys.")
        if numeric_date(claims, "iat") is None:
            raise _no_keys("The attestation does not say when it was made (iat).")
        keys = tuple(map(key_of_jwk, named))
    except IssuingRefused:
        raise
    except HansaError as error:
        raise _no_keys("The attestation of a key does not hold.") from error
    if any(key.kind != "P-256" for key in keys) or len(set(keys)) != len(keys):
        raise _no_keys("The attested keys are different ones on P-256.")
    return AttestedKeys(keys, nonce)


def _signed_claims(
    text: Any, types: frozenset[str], anchors: Sequence[Certificate], now_s: int
) -> dict[str, Any]:
    """What a provider signed whose certificate leads to an authority.

    Raises:
        Refused: When it does not hold.
    """
    jws: ForeignJws = read_jws(text if isinstance(text, str) else "", ATTESTATION_SIZE_MAX_BYTES)
    check_header(jws, types, _NOTHING)
    chain = chain_of_header(jws.header, anchors, now_s, CLOCK_LEEWAY_S)
    if jws.algorithm not in ATTESTATION_ALGORITHMS or not is_signed_by(jws, chain.leaf.key):
        raise malformed("it is not signed by the key of its certificate")
    claims = read_claims(jws.payload, ATTESTATION_SIZE_MAX_BYTES)
    _check_times(claims, now_s)
    return claims


def _check_times(claims: Mapping[str, Any], now_s: int) -> None:
    """Check that it holds now, by `nbf` and `exp` if it names them, and was not made later.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    end_s = numeric_date(claims, "exp")
    begins = [numeric_date(claims, name) for name in ("nbf", "iat")]
    if end_s is not None and now_s >= end_s + CLOCK_LEEWAY_S:
        raise malformed("it has expired")
    if any(one is not None and one > now_s + CLOCK_LEEWAY_S for one in begins):
        raise malformed("it is of the future")


def _no_client(what: str) -> IssuingRefused:
    return IssuingRefused("invalid_client", what)


def _no_keys(what: str) -> IssuingRefused:
    return IssuingRefused("invalid_proof", what)
