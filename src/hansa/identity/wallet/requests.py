"""Requests of verifiers (OpenID4VP 1.0; HAIP 1.0): fetched, and verified before anything is shown.

A link has a client identifier and the address of the signed request. Its signature shows that the one who
made it has the key that the client identifier names:

    x509_hash                  the certificate in `x5c` has that fingerprint, and is not self-signed
    x509_san_dns               it names that host, at which the answer is taken
    decentralized_identifier   a did:key or did:jwk

A request without a signature is refused, as is one for another wallet (`aud`), another client identifier than
in the link, without the nonce that this wallet posted, out of date, or whose answer would go to another host
than the one it came from. Who the verifier *is* follows from a certificate only where its chain leads to an
anchor; without anchors the holder is told the host, and that nobody vouches for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hansa.core.base64url import to_base64url
from hansa.core.certificates import Certificate
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import HansaError
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.identifiers import Entropy
from hansa.core.trust.certificates import certificate_bytes
from hansa.identity.credentials.formats.document import check_header, read_claims, read_jws
from hansa.identity.credentials.issuers.dids import DidKeys
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, Validity, numeric_date
from hansa.identity.foreign_jws import ForeignJws, chain_of_header, is_signed_by, key_of_jwk
from hansa.identity.wallet.protocol import TIMEOUT_S, link_parameters, origin_of, post_form, refused

REQUEST_SIZE_MAX_BYTES: Final = 131_072
AUDIENCE: Final = "https://self-issued.me/v2"
RESPONSE_MODES: Final = ("direct_post.jwt", "direct_post")
LIFETIME_MAX_S: Final = 86_400

_TYPE: Final = frozenset({"oauth-authz-req+jwt"})
_NOTHING: Final[frozenset[str]] = frozenset()
_OFFLINE: Final = ("did:key:", "did:jwk:")
_TEXT_MAX_CHARS: Final = 2048


class VerifierRequest(msgspec.Struct, frozen=True):
    """A request that was verified."""

    client_id: str
    """With its prefix: for whom presentations are made."""
    host: str
    """Where the answer goes."""
    name: str
    """In the verifier's certificate, when its chain leads to an anchor; empty otherwise."""
    response_uri: str
    response_mode: str
    nonce: str
    state: str | None
    dcql: Any
    """`dcql_query`, as it is written."""
    metadata: Mapping[str, Any]
    """`client_metadata`."""


class VerifierRequests:
    """Fetches and verifies requests.

    Args:
        http: Reaches verifiers.
        dids: Reads the keys in DIDs.
        anchors: Of verifiers' certificates; none: any certificate is taken, and vouches for nobody.
        clock: For all times.
        entropy: For nonces.
    """

    def __init__(
        self, http: HttpClient, dids: DidKeys, anchors: Sequence[Certificate], clock: Clock, entropy: Entropy
    ) -> None:
        self._http = http
        self._dids = dids
        self._anchors = tuple(anchors)
        self._clock = clock
        self._entropy = entropy

    async def read(self, link: str) -> VerifierRequest:
        """The request that a link leads to.

        Raises:
            Refused: `Code.INVALID`, saying what of it does not hold; or of the client.
            Unavailable: When the verifier cannot be reached.
        """
        parameters = link_parameters(link)
        client_id, address = parameters.get("client_id", ""), parameters.get("request_uri", "")
        method = parameters.get("request_uri_method", "get")
        if not client_id or not address or method not in {"get", "post"}:
            raise refused("This is no link to a signed request of a verifier.")
        origin = origin_of(address)
        wallet_nonce = to_base64url(self._entropy(16)) if method == "post" else None
        text = await self._text(address, wallet_nonce)
        now_s = epoch_s(self._clock)
        try:
            jws = read_jws(text, REQUEST_SIZE_MAX_BYTES)
            check_header(jws, _TYPE, _NOTHING)
            claims = read_claims(jws.payload, REQUEST_SIZE_MAX_BYTES)
            name = await self._check_signature(jws, client_id, origin, now_s)
            _check_times(claims, now_s)
        except HansaError as error:
            raise refused(
                f"The request of the verifier does not hold: {error.message.rstrip('.')}."
            ) from error
        return _request(claims, client_id, name, origin, wallet_nonce)

    async def _text(self, address: str, wallet_nonce: str | None) -> str:
        if wallet_nonce is None:
            request = HttpRequest(
                "GET", address, timeout_s=TIMEOUT_S, answer_size_max_bytes=REQUEST_SIZE_MAX_BYTES
            )
            response = await self._http.send(request)
        else:
            response = await post_form(self._http, address, {"wallet_nonce": wallet_nonce})
        if response.status != 200 or not response.body.isascii():
            raise refused(f"The request cannot be fetched: status {response.status}. Begin the login again.")
        return response.body.decode("ascii").strip()

    async def _check_signature(self, jws: ForeignJws, client_id: str, origin: str, now_s: int) -> str:
        """Check that the one whom the client identifier names signed; the name that is vouched for."""
        prefix, _, identifier = client_id.partition(":")
        name = ""
        if prefix == "decentralized_identifier":
            if not identifier.startswith(_OFFLINE):
                raise refused("the DID of the verifier is none of did:key and did:jwk")
            key = await self._dids.key(identifier, jws.kid, "authentication", now_s)
        elif prefix in {"x509_hash", "x509_san_dns"}:
            leaf = _leaf(jws.header)
            _check_certificate(leaf, now_s)
            _check_named(prefix, identifier, jws.header, leaf, origin)
            if self._anchors:
                chain = chain_of_header(jws.header, self._anchors, now_s, CLOCK_LEEWAY_S)
                name = chain.leaf.subject.common_name
            key = _key_of(leaf)
        else:
            raise refused("the client identifier has a prefix that this wallet does not know")
        if not is_signed_by(jws, key):
            raise refused("it was altered, or signed by another key than the verifier's")
        return name


def _leaf(header: Mapping[str, Any]) -> x509.Certificate:
    chain = header.get("x5c")
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        raise refused("it has no certificate of the verifier (`x5c`)")
    try:
        return x509.load_der_x509_certificate(certificate_bytes(chain[0]))
    except ValueError as error:
        raise refused("the certificate of the verifier cannot be read") from error


def _check_certificate(leaf: x509.Certificate, now_s: int) -> None:
    """Check what holds of a verifier's certificate whether or not there are anchors (HAIP 1.0, section 5)."""
    if leaf.subject == leaf.issuer:
        raise refused("the certificate of the verifier is self-signed")
    begin_s, end_s = (one.timestamp() for one in (leaf.not_valid_before_utc, leaf.not_valid_after_utc))
    if not begin_s - CLOCK_LEEWAY_S <= now_s <= end_s + CLOCK_LEEWAY_S:
        raise refused("the certificate of the verifier is not valid now")


def _check_named(
    prefix: str, identifier: str, header: Mapping[str, Any], leaf: x509.Certificate, origin: str
) -> None:
    """Check that the client identifier names this certificate."""
    if prefix == "x509_hash":
        fingerprint = hashlib.sha256(certificate_bytes(header["x5c"][0])).digest()
        if identifier != to_base64url(fingerprint):
            raise refused("the certificate is not the one that the client identifier names")
        return
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise refused("the certificate names no host") from error
    if identifier not in names.get_values_for_type(x509.DNSName):
        raise refused("the certificate does not name the host in the client identifier")
    if urlsplit(origin).hostname != identifier:
        raise refused("the request is of another host than the one in the client identifier")


def _key_of(leaf: x509.Certificate) -> CertifiedKey:
    """The key in a certificate: on P-256, with which verifiers sign (HAIP 1.0, section 7)."""
    public = leaf.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise refused("the key of the verifier is none on P-256")
    numbers = public.public_numbers()
    x, y = (to_base64url(one.to_bytes(32)) for one in (numbers.x, numbers.y))
    return key_of_jwk({"kty": "EC", "crv": "P-256", "x": x, "y": y})


def _check_times(claims: Mapping[str, Any], now_s: int) -> None:
    begin_s, end_s = numeric_date(claims, "iat"), numeric_date(claims, "exp")
    if begin_s is None or end_s is None or not 0 < end_s - begin_s <= LIFETIME_MAX_S:
        raise refused("it does not say from when until when it is good, or for too long")
    Validity((begin_s, numeric_date(claims, "nbf")), (end_s,)).check(now_s)


def _request(
    claims: Mapping[str, Any], client_id: str, name: str, origin: str, wallet_nonce: str | None
) -> VerifierRequest:
    """The request, after a check of everything in it that concerns this wallet."""
    if claims.get("client_id") != client_id:
        raise refused("The request is one of another verifier than the link says.")
    if claims.get("aud") not in (AUDIENCE, [AUDIENCE]):
        raise refused("The request is for another wallet (`aud`).")
    if wallet_nonce is not None and claims.get("wallet_nonce") != wallet_nonce:
        raise refused("The request was not made for this wallet now (`wallet_nonce`).")
    if claims.get("response_type") != "vp_token" or claims.get("response_mode") not in RESPONSE_MODES:
        raise refused("The request is to be answered in a way that this wallet does not know.")
    address, nonce, state = (claims.get(one) for one in ("response_uri", "nonce", "state"))
    if origin_of(address) != origin or "redirect_uri" in claims:
        raise refused("The answer would go to another host than the one of the request.")
    texts = (nonce, "" if state is None else state)
    if not all(isinstance(one, str) and len(one) <= _TEXT_MAX_CHARS for one in texts) or not nonce:
        raise refused("The request has no nonce, or a state that is no text.")
    if "transaction_data" in claims:
        raise refused("The request demands a signature over data, which this wallet does not give.")
    metadata = claims.get("client_metadata", {})
    return VerifierRequest(
        client_id=client_id,
        host=urlsplit(str(address)).netloc,
        name=name,
        response_uri=str(address),
        response_mode=str(claims["response_mode"]),
        nonce=str(nonce),
        state=None if state is None else str(state),
        dcql=claims.get("dcql_query"),
        metadata=metadata if isinstance(metadata, dict) else {},
    )
