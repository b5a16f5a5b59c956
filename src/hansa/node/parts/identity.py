"""Who calls this marketplace: tokens, sessions of browsers, the OpenID Provider, and what was ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hansa.api.oidc import OidcPage, OidcRoutes, RemovalRoutes
from hansa.core.cache import HasFigures
from hansa.core.clock import Clock, epoch_s
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner, SigningKey
from hansa.identity import TokenAuthenticate
from hansa.identity.credentials import CredentialVerifier, DidKeys
from hansa.identity.credentials.identity_documents import SUBJECT_PURPOSE
from hansa.identity.delegation_rules import DelegationRules
from hansa.identity.endings import Endings
from hansa.identity.onboarding.party_roles import PartyRoles
from hansa.identity.presentations import read_accepted_type
from hansa.identity.principal import IdentityRules, RoleRules
from hansa.identity.provider.callers import TokensAuthenticate
from hansa.identity.provider.clients.assertions import MACHINE_DIDS, ClientCheck
from hansa.identity.provider.clients.client_keys import ClientKeys
from hansa.identity.provider.clients.registry import ClientRegistry
from hansa.identity.provider.endpoints.authorization import LOGIN_MARK_PURPOSE, AuthorizationEndpoint
from hansa.identity.provider.endpoints.authorization_requests import PushedRequests
from hansa.identity.provider.endpoints.codes import Codes
from hansa.identity.provider.endpoints.exchanges import Exchanges
from hansa.identity.provider.endpoints.logout import LogoutEndpoint
from hansa.identity.provider.endpoints.machines import Machines
from hansa.identity.provider.endpoints.token_reports import TokenReports
from hansa.identity.provider.endpoints.token_requests import TOKEN_PATH, TokenEndpoint
from hansa.identity.provider.provider import OpenIdProvider
from hansa.identity.provider.rates import Rates
from hansa.identity.provider.tokens.access_tokens import AccessTokens
from hansa.identity.provider.tokens.families import TokenFamilies
from hansa.identity.provider.tokens.id_tokens import IdTokens
from hansa.identity.provider.tokens.proofs import NONCE_PURPOSE, Proofs
from hansa.identity.provider.tokens.signing_keys import SigningKeys, prepare_signing_keys
from hansa.identity.sessions import (
    PURPOSE,
    BrowserSessions,
    Forms,
    SessionAuthenticate,
    SessionCookie,
    StatusWatch,
)
from hansa.identity.statements import PSEUDONYM_PURPOSE, StatementCheck, StatementSigner
from hansa.identity.verifying_keys import VerifyingKeys
from hansa.node.folder import CLIENTS, PROVIDER_KEYS, TOKEN_KEY, member_secret
from hansa.node.outbound import OutboundClient
from hansa.node.parts.people import SessionPeople
from hansa.node.settings.loading import Settings
from hansa.portal import Frame, NoticePage, notice_page
from hansa.replication.registry import MemberRegistry
from hansa.store import Store

Tasks = tuple[tuple[str, Callable[[], Awaitable[None]]], ...]


class IdentityParts:
    """What knows the callers of the marketplace in the working folder. `load` comes before the first request.

    Args:
        settings: Of the marketplace.
        store: For what outlives the process.
        registry: The members.
        own_key: Signs in the name of this one.
        clock: For all times.
        entropy: For all secrets.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when a file with keys or clients cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        registry: MemberRegistry,
        own_key: KeySigner,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        limits, issuer, secret = settings.limits, settings.endpoint, member_secret(Path())
        self._settings, self._store, self._registry, self._own_key = settings, store, registry, own_key
        self._clock, self._entropy, self._secret = clock, entropy, secret
        self.rules: Final = RoleRules.of(settings.did, settings.operator_organizations)
        """What roles follow from powers."""
        types = map(read_accepted_type, settings.login_identity_types)
        self.identities: Final = IdentityRules(
            frozenset((one.format, one.type) for one in types), secret.key(SUBJECT_PURPOSE)
        )
        """Who logs in without an organisation."""
        self.endings: Final = Endings(store, clock)
        self.party_roles: Final = PartyRoles(store)
        """Of approved organisations."""
        forms, cookie = Forms(secret.key(PURPOSE), issuer), SessionCookie(settings.did)
        self.sessions: Final = BrowserSessions(store, self.endings, cookie, forms, clock, entropy, limits)
        self.people: Final = SessionPeople(self.sessions)
        """Who looks at the pages."""
        prepare_signing_keys(PROVIDER_KEYS, epoch_s(clock))
        self._keys = SigningKeys(PROVIDER_KEYS, clock)
        self._clients = ClientRegistry(CLIENTS, clock)
        self._access_tokens = AccessTokens(
            *(self._keys, issuer, self.endings, clock, entropy, limits.access_token_lifetime_s),
            has_client=self._has_client,
        )
        self.proofs: Final = Proofs(issuer, secret.key(NONCE_PURPOSE), clock)
        """Checks that whoever sends a request has the key to which a token is bound."""
        key = SigningKey.load(TOKEN_KEY).verifying_key()
        operator_tokens = TokenAuthenticate(key, settings.did, clock, limits.token_lifetime_max_s)
        self._tokens = TokensAuthenticate(self._access_tokens, self.proofs, operator_tokens, self.endings)
        self.authenticate: Final = SessionAuthenticate(self._tokens, self.sessions)
        self._http = OutboundClient(
            self._clients.has_key_origin, allow_private_networks=settings.allow_private_networks
        )
        self._client_keys = ClientKeys(self._http, clock)
        self.caches: Final[tuple[HasFigures, ...]] = (
            *(operator_tokens.cache, self._access_tokens.cache, self._client_keys.cache),
        )

    async def load(self) -> None:
        """Read who was logged in, and what had been ended, before the start.

        Raises:
            Unavailable: The store cannot be read.
        """
        await self.endings.load()
        await self.party_roles.load()
        await self.sessions.load()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    def tasks(self) -> Tasks:
        """What runs in the background."""
        return (("sessions", self.sessions.run),)

    def status_watch(self, credentials: CredentialVerifier) -> StatusWatch:
        """What ends the sessions of credentials that are revoked."""
        return StatusWatch(self.sessions, credentials.check_status, self._clock)

    def routes(self, frame: Frame, credentials: CredentialVerifier | None = None) -> list[BaseRoute]:
        """The OpenID Provider, and who is kept out.

        Args:
            frame: Of its pages.
            credentials: Verifies those of machines; None: they have none here.
        """
        removals = RemovalRoutes(self.endings, self.sessions, self.authenticate)
        openid = OidcRoutes(self.provider(credentials), _Pages(frame))
        return [*openid.routes(), *removals.routes()]

    def provider(self, credentials: CredentialVerifier | None = None) -> OpenIdProvider:
        """The OpenID Provider; made once."""
        settings, clock, entropy = self._settings, self._clock, self._entropy
        issuer, limits, access_tokens = settings.endpoint, settings.limits, self._access_tokens
        token_endpoint = f"{issuer}{TOKEN_PATH}"
        rates = Rates(clock, limits)
        check = ClientCheck(
            *(self._clients, self._client_keys, DidKeys(self._http), issuer, token_endpoint),
            *(self._registry.callers, clock, rates),
        )
        codes = Codes(clock, entropy, limits.access_token_lifetime_s)
        check_status = None if credentials is None else credentials.check_status
        families = TokenFamilies(self._store, access_tokens, clock, entropy, limits, check_status)
        id_tokens, pushed = IdTokens(self._keys, issuer, clock), PushedRequests(clock, entropy)
        machines = None
        if credentials is not None:
            machines = Machines(credentials, self.rules, (issuer, token_endpoint, settings.did))
        mark_key = self._secret.key(LOGIN_MARK_PURPOSE)
        return OpenIdProvider(
            issuer=issuer,
            keys=self._keys,
            clients=check,
            rates=rates,
            proofs=self.proofs,
            pushed=pushed,
            authorization=AuthorizationEndpoint(
                *(self._clients, pushed, codes, self.sessions, id_tokens),
                *(issuer, mark_key, clock, entropy),
            ),
            tokens=TokenEndpoint(
                *(check, rates, self.proofs, codes, access_tokens, families, id_tokens, machines),
                *(self._exchanges(), issuer, clock, entropy),
            ),
            reports=TokenReports(check, rates, access_tokens, families, issuer),
            logout=LogoutEndpoint(self._clients, id_tokens, self.sessions),
            callers=self._tokens,
        )

    def _exchanges(self) -> Exchanges:
        settings, clock, members = self._settings, self._clock, self._registry.callers
        pseudonym_key = self._secret.key(PSEUDONYM_PURPOSE)
        return Exchanges(
            self._access_tokens,
            StatementSigner(self._own_key, settings.did, pseudonym_key, clock, self._entropy),
            StatementCheck(settings.did, members, clock, VerifyingKeys()),
            DelegationRules(settings.write_delegations),
            members,
        )

    def _has_client(self, client_id: str) -> bool:
        """Whether a client is one still: registered, a machine with a credential, or a member."""
        return (
            self._clients.client(client_id) is not None
            or client_id.startswith(MACHINE_DIDS)
            or any(one.did == client_id and one.status == "active" for one in self._registry.callers())
        )


class _Pages:
    """Makes the pages of the OpenID Provider."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def __call__(self, request: Request, page: OidcPage, /) -> Response:
        notice = NoticePage(page.title, page.sentences, page.status, page.fields)
        return notice_page(self._frame, request, notice, page.form_targets)
