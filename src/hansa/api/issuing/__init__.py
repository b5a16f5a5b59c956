"""The issuer of credentials over HTTP: what wallets request, what operators order, the status lists.

    GET    /.well-known/openid-credential-issuer             metadata                          anybody
    GET    /.well-known/oauth-authorization-server/oid4vci   of its authorization server       anybody
    GET    /oid4vci/offers/{id}                what is offered                 who knows the reference
    POST   /oid4vci/par                        pushes a request of a wallet    wallets
    GET    /oid4vci/authorize · POST           what is asked for · decides, who is logged in
    POST   /oid4vci/token, /nonce, /credential               OpenID4VCI 1.0                    wallets
    GET    /status-lists/{id}                                a signed status list              anybody
    GET    /oid4vci/offers · POST              offers that wait · a new one                    an operator
    DELETE /oid4vci/offers/{id}                withdraws one                                   an operator
    GET    /oid4vci/credentials                what was issued                                 an operator
    PUT    /oid4vci/credentials/{id}/status    revokes, suspends                               an operator

Served by a marketplace that issues (`issuing`), and for development.
"""

from __future__ import annotations

from starlette.routing import Route

from hansa.api.issuing.approving import (
    APPROVE,
    AUTHORIZE_PATH,
    DECLINE,
    ApprovalApi,
    ApprovalPage,
    ApprovalPages,
)
from hansa.api.issuing.operators import OrdersApi
from hansa.api.issuing.wallets import WalletsApi
from hansa.core.access import Authenticate
from hansa.core.limits import Limits
from hansa.identity.issuing import CredentialIssuer, PublishedLists
from hansa.identity.provider.tokens.proofs import Proofs
from hansa.identity.sessions import Sessions
from hansa.store import Store

__all__ = ["APPROVE", "DECLINE", "ApprovalPage", "issuing_routes"]


def issuing_routes(
    issuer: CredentialIssuer,
    lists: PublishedLists,
    store: Store,
    authenticate: Authenticate,
    limits: Limits,
    endpoint: str,
    name: str,
    sessions: Sessions,
    proofs: Proofs,
    page_of: ApprovalPages,
) -> list[Route]:
    """All of them.

    Args:
        issuer: Offers and issues.
        lists: Status lists.
        store: Has what was offered and issued.
        authenticate: Finds out who calls.
        limits: Of queries.
        endpoint: Of the marketplace.
        name: Of the marketplace.
        sessions: Of browsers.
        proofs: Checks those of keys to which tokens are bound.
        page_of: Makes pages for people.
    """
    approving = ApprovalApi(issuer, sessions, page_of)
    wallets = WalletsApi(issuer, lists, proofs, endpoint, name)
    orders = OrdersApi(issuer, store, authenticate, limits, endpoint)
    return [
        Route("/.well-known/openid-credential-issuer", wallets.metadata),
        Route("/.well-known/oauth-authorization-server/oid4vci", wallets.server_metadata),
        Route("/oid4vci/par", wallets.push, methods=["POST"]),
        Route(AUTHORIZE_PATH, approving.show, methods=["GET"]),
        Route(AUTHORIZE_PATH, approving.approve, methods=["POST"]),
        Route("/oid4vci/token", wallets.token, methods=["POST"]),
        Route("/oid4vci/nonce", wallets.nonce, methods=["POST"]),
        Route("/oid4vci/credential", wallets.credential, methods=["POST"]),
        Route("/oid4vci/offers", orders.offers),
        Route("/oid4vci/offers", orders.add, methods=["POST"]),
        Route("/oid4vci/offers/{id}", wallets.offer),
        Route("/oid4vci/offers/{id}", orders.withdraw, methods=["DELETE"]),
        Route("/oid4vci/credentials", orders.credentials),
        Route("/oid4vci/credentials/{id}/status", orders.set_status, methods=["PUT"]),
        Route("/status-lists/{id}", wallets.status_list),
    ]
