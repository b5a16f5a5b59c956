"""How a client proves who it is: by a JWT that it signs for us (`private_key_jwt`, RFC 7523).

A client that was registered with a secret shows that instead, in the one way that was registered and in no
other (`hansa.identity.provider.clients.secrets`); no client has both.

The JWT names the client twice (`iss`, `sub`), this OpenID Provider alone (`aud`), a short time (`exp`) and a
name that is used once (`jti`). A time in milliseconds is far beyond any short time, and refused.

A machine needs no registration: its client_id is the did:key or did:jwk that its LEARCredentialMachine was
issued to, and the JWT carries a presentation of that (`vp_token`). What it may do is what the credential
says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
import structlog

from hansa.core.bounded_json import read_object
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import HansaError, Refused
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.identity.credentials.issuers.dids import DidKeys
from hansa.identity.credentials.replay import RecentPresentations
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, numeric_date
from hansa.identity.foreign_jws import (
    ForeignJws,
    check_critical,
    is_signed_by,
    key_of_jwk,
    read_foreign_jws,
)
from hansa.identity.provider.clients.client_keys import ClientKeys
from hansa.identity.provider.clients.records import (
    TOKEN_EXCHANGE,
    ClientRecord,
    GrantType,
    SecretMethod,
)
from hansa.identity.provider.clients.registry import ClientRegistry
from hansa.identity.provider.clients.requests import ClientRequest
from hansa.identity.provider.clients.secrets import is_client_secret, read_basic
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_client, invalid_request
from hansa.identity.provider.rates import Rates

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SIZE_MAX_BYTES: Final = 131_072
ASSERTION_LIFETIME_MAX_S: Final = 3600
ASSERTIONS_MAX: Final = 200_000
ALGORITHMS: Final = ("ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256")
MACHINE_DIDS: Final = ("did:key:", "did:jwk:")
"""DIDs that are their keys: nothing is fetched for them."""

_MACHINE_GRANTS: Final[tuple[GrantType, ...]] = ("client_credentials",)
_TYPES: Final = frozenset({None, "JWT", "jwt", "client-authentication+jwt"})
_NOTHING: Final[frozenset[str]] = frozenset()
_LIMITS: Final = Limits(body_depth_max=8, body_nodes_max=500, string_length_max_chars=131_072)

log = structlog.get_logger("hansa.identity")


class AuthenticatedClient(msgspec.Struct, frozen=True):
    """A client, and what it showed of itself."""

    client: ClientRecord
    is_proved: bool
    """Whether it proved to be that client; a public one cannot."""
    vp_token: str = ""
    """A presentation in its assertion, as it stands there; *unverified*."""


class ClientCheck:
    """Finds out which client sends a request.

    Args:
        registry: The registered clients.
        keys: Their keys.
        dids: Keys of machines.
        issuer: This OpenID Provider.
        token_endpoint: Its token endpoint.
        members: The current members, who are clients by their DIDs and keys on the ledger.
        clock: For all times.
        rates: How often somebody may guess a secret.
    """

    def __init__(
        self,
        registry: ClientRegistry,
        keys: ClientKeys,
        dids: DidKeys,
        issuer: str,
        token_endpoint: str,
        members: Callable[[], Iterable[Member]],
        clock: Clock,
        rates: Rates,
        assertions_max: int = ASSERTIONS_MAX,
    ) -> None:
        self._registry = registry
        self._keys = keys
        self._dids = dids
        self._audiences = frozenset({issuer, token_endpoint})
        self._members = members
        self._clock = clock
        self._rates = rates
        self._used = RecentPresentations(assertions_max)

    async def client(self, request: ClientRequest) -> AuthenticatedClient:
        """The client that sends a request.

        Raises:
            OAuthRefused: `invalid_client` or `invalid_request`.
            Unavailable: `Code.OVERLOADED`.
        """
        parameters = request.parameters
        named, assertion = parameters.get("client_id", ""), parameters.get("client_assertion", "")
        ways = (request.authorization, parameters.get("client_secret", ""), assertion)
        if sum(map(bool, ways)) > 1:
            raise invalid_request("A client proves in one way who it is (RFC 6749, section 2.3).")
        if request.authorization:
            basic = read_basic(request.authorization)
            if named not in {"", basic.client_id}:
                raise invalid_request("client_id is another one than that of the Authorization header.")
            return self._of_secret(
                "client_secret_basic", basic.client_id, basic.client_secret, request.address
            )
        if "client_secret" in parameters:
            return self._of_secret("client_secret_post", named, parameters["client_secret"], request.address)
        if assertion:
            return await self._of_assertion(parameters, named, assertion)
        client = self._registry.client(named)
        if client is None or client.is_confidential:
            raise invalid_client("The client is unknown, or has to prove who it is.")
        return AuthenticatedClient(client, is_proved=False)

    async def _of_assertion(
        self, parameters: Mapping[str, str], named: str, assertion: str
    ) -> AuthenticatedClient:
        """The client that signed an assertion."""
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise invalid_request("client_assertion_type is not the one of JWTs (RFC 7523).")
        jws, claims = _read(assertion)
        subject = claims.get("sub")
        if not isinstance(subject, str) or claims.get("iss") != subject or named not in {"", subject}:
            raise invalid_client("iss, sub and client_id of the assertion have to name the same client.")
        vp_token = claims.get("vp_token", "")
        if not isinstance(vp_token, str):
            raise invalid_client("vp_token is no text.")
        client = await self._verified(jws, subject, has_presentation=bool(vp_token))
        name, now_s, until_s = self._checked_claims(claims, subject)
        if client.grant_types != _MACHINE_GRANTS:  # of a machine, the presentation is used once
            try:
                self._used.use(name, now_s, until_s)
            except Refused as error:
                raise invalid_client("The assertion was used before.") from error
        return AuthenticatedClient(client, is_proved=True, vp_token=vp_token)

    def _of_secret(
        self, method: SecretMethod, client_id: str, secret: str, address: str
    ) -> AuthenticatedClient:
        """The client whose secret this is; a refusal does not tell whether there is such a client."""
        client = self._registry.client(client_id)
        counted = client_id if client is not None else ""
        self._rates.check_guesses(counted, address)
        if client is not None and client.token_endpoint_auth_method != method:
            client = None
        if is_client_secret(client, client_id, secret, self._clock.now().timestamp()):
            assert client is not None, "whose secret it is"
            return AuthenticatedClient(client, is_proved=True)
        self._rates.take_guess(counted, address)
        if counted:
            log.warning("client_secret_refused", client=counted, method=method)
        raise invalid_client("There is no such client, or it has another secret or shows it otherwise.")

    async def _verified(self, jws: ForeignJws, subject: str, *, has_presentation: bool) -> ClientRecord:
        """The client whose key signed an assertion."""
        client = self._registry.client(subject)
        try:
            if client is None and (member := self._member(subject)) is not None:
                key = _key_of_member(member, jws.kid)
                client = _league_client(subject)
            elif client is None and has_presentation and subject.startswith(MACHINE_DIDS):
                now_s = epoch_s(self._clock)
                key = await self._dids.key(subject, jws.kid, "authentication", now_s)
                client = _machine(subject)
            elif client is None or not client.has_keys:
                raise invalid_client("The client is unknown, or has no keys.")
            else:
                key = key_of_jwk(await self._keys.key(client, jws.kid))
        except OAuthRefused:
            raise
        except HansaError as error:
            raise invalid_client("The key of the client cannot be used.") from error
        if not is_signed_by(jws, key):
            raise invalid_client("The client did not sign the assertion.")
        return client

    def _member(self, subject: str) -> Member | None:
        return next((one for one in self._members() if one.did == subject and one.status == "active"), None)

    def _checked_claims(self, claims: Mapping[str, Any], subject: str) -> tuple[bytes, int, int]:
        """By what an assertion is used once, now, and until when it would be good; its claims hold."""
        audience = claims.get("aud")
        if isinstance(audience, list) and len(audience) == 1:
            audience = audience[0]
        if not isinstance(audience, str) or audience not in self._audiences:
            raise invalid_client("aud of the assertion is not this OpenID Provider alone.")
        now_s = epoch_s(self._clock)
        try:
            expires_s, issued_s, from_s = (numeric_date(claims, name) for name in ("exp", "iat", "nbf"))
        except Refused as error:
            raise invalid_client("A time of the assertion is none in seconds.") from error
        if expires_s is None or now_s >= expires_s + CLOCK_LEEWAY_S:
            raise invalid_client("The assertion has expired, or has no end.")
        if expires_s > now_s + ASSERTION_LIFETIME_MAX_S + CLOCK_LEEWAY_S:
            raise invalid_client("The assertion is valid for more than an hour.")
        if max(issued_s or 0, from_s or 0) > now_s + CLOCK_LEEWAY_S:
            raise invalid_client("The assertion is of the future.")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= 256:
            raise invalid_client("The assertion has no usable jti.")
        return msgspec.json.encode([subject, jti]), now_s, expires_s + CLOCK_LEEWAY_S + 1


def _read(assertion: str) -> tuple[ForeignJws, dict[str, Any]]:
    try:
        jws = read_foreign_jws(assertion, ASSERTION_SIZE_MAX_BYTES)
        check_critical(jws.header, _NOTHING)
        claims = read_object(jws.payload, _LIMITS)
    except Refused as error:
        raise invalid_client("The assertion is malformed.") from error
    if jws.algorithm not in ALGORITHMS or jws.header.get("typ") not in _TYPES:
        raise invalid_client("The assertion is of an algorithm or type that is not taken.")
    return jws, claims


def _machine(did: str) -> ClientRecord:
    """What a machine may ask for that nobody registered: what its credential says."""
    return ClientRecord(
        client_id=did,
        grant_types=_MACHINE_GRANTS,
        scopes=("read", "write", "learcredential"),
        jwks={"keys": []},
    )


def _league_client(did: str) -> ClientRecord:
    """What a member may ask for: to have its delegations exchanged."""
    return ClientRecord(
        client_id=did, grant_types=(TOKEN_EXCHANGE,), scopes=("read", "write"), jwks={"keys": []}
    )


def _key_of_member(member: Member, kid: str | None) -> CertifiedKey:
    jwk = member.key(kid) if kid is not None else None
    if jwk is None:
        raise invalid_client("The league knows no key of that name for this member.")
    return key_of_jwk(msgspec.to_builtins(jwk))
