"""A league whose members have their TM Forum APIs, and forward writes to one another."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from hansa.api import routes
from hansa.api.writes.receiving import ForwardingParts
from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.business.operations.forwarding.receiving import ForwardedWrites
from hansa.business.rights.organizations import OrganizationAliases
from hansa.business.rules import Rules
from hansa.business.visibility import PublicParts
from hansa.core.access import Caller, Power
from hansa.core.derivation import DerivationSecret
from hansa.core.forwarding import DELEGATION_HEADER, WRITES_PATH, Actor, ForwardedWrite
from hansa.core.http import HttpRequest
from hansa.core.limits import Limits
from hansa.identity import MemberSigner
from hansa.identity.delegation_rules import DelegationRules
from hansa.identity.delegations import DelegationCheck, DelegationSigner
from hansa.identity.endings import Endings
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import AccessPolicies
from hansa.identity.verifying_keys import VerifyingKeys
from hansa.node.http.application import rest_application
from hansa.node.parts.forwarding import RemovedOwners
from hansa.replication.forwarding.exchange import OriginWrites
from hansa.replication.forwarding.forwarder import Forwarder, OriginDelivery
from hansa.replication.forwarding.positions import FollowedPositions
from hansa.replication.forwarding.pseudonyms import Pseudonyms
from hansa.replication.forwarding.queue import WriteQueue
from hansa.replication.registry import MemberRegistry
from tests.support.asgi import Application, AsgiClient, Response
from tests.support.business import CATALOG, MODELS
from tests.support.league import League, Marketplace, authenticate

OFFERINGS = f"{CATALOG}/productOffering"
EVERYBODY = ("* * *",)
"""Rules that let every member forward everything."""


def identified(headers: Mapping[bytes, bytes]) -> Caller:
    """Who calls: a subject with roles and, behind an @, the organisation for which it acts."""
    text, _, organization = headers.get(b"authorization", b"").decode().partition("@")
    caller = authenticate({b"authorization": text.encode()})
    if not organization:
        return caller
    powers = (Power("DOME", "ProductOffering", ("Create", "Delete", "Update")),)
    return msgspec.structs.replace(caller, organization=organization, powers=powers)


class NoAliases(OrganizationAliases):
    """Organisations are called by their DIDs alone; these stores have no index to look others up."""

    async def of(self, organization: str | None) -> frozenset[str]:
        """None."""
        del organization
        return frozenset()


class ForwardingMember:
    """One member, with what forwards and what receives."""

    def __init__(self, marketplace: Marketplace, rules: tuple[str, ...] = EVERYBODY) -> None:
        self.marketplace = marketplace
        self.did = marketplace.did
        self.rules = rules
        self.policies: dict[str, str] = {}
        """Files of access policies."""
        self.open()

    def open(self) -> None:
        """Put the parts together on the store, as at a start."""
        marketplace, league = self.marketplace, self.marketplace.league
        store, clock, limits = marketplace.store, league.clock, league.limits
        signing = marketplace.key, self.did, clock, marketplace.entropy, limits
        self.signer, self.delegations = MemberSigner(*signing), DelegationSigner(*signing)
        delivery = OriginDelivery(
            OriginWrites(league.network, self.signer, self.delegations, limits),
            MemberRegistry(marketplace.bus, clock, league.registered),
            store,
            marketplace.notes,
        )
        self.pseudonyms = Pseudonyms(DerivationSecret(hashlib.sha256(self.did.encode()).digest()))
        self.endings = Endings(store, clock)
        removed = RemovedOwners(self.endings, self.pseudonyms, self.did)
        self.queue = WriteQueue(
            store, delivery, self.pseudonyms, self.did, clock, marketplace.entropy, limits, removed
        )
        self.positions = FollowedPositions(store, marketplace.bus, self.did, clock, limits)
        self.context = Context(
            *(store, MODELS, identified, clock, marketplace.entropy, limits, marketplace.endpoint),
            *(Rules(MODELS), marketplace.identifiers),
            authorize=AccessRights(AccessPolicies(self.policies, clock), clock),
            organizations=NoAliases(store),
            forwarder=Forwarder(delivery, self.queue, self.pseudonyms, limits),
            positions=self.positions,
        )
        self.business = BusinessApp(self.context)
        self.received = ForwardedWrites(
            self.business.operations.values(),
            store,
            PublicParts(MODELS),
            marketplace.audiences.part_for,
            limits,
        )
        members = lambda: league.registered  # noqa: E731 - the members change during a test
        context = msgspec.structs.replace(
            marketplace.league_context,
            forwarding=ForwardingParts(
                self.received,
                DelegationCheck(self.did, members, clock, limits, VerifyingKeys()),
                DelegationRules(self.rules),
            ),
            queue=self.queue,
            endpoint=marketplace.endpoint,
        )
        application = _application(self.business, rest_application(routes(context)))
        league.network.applications[marketplace.endpoint] = application
        self.client = AsgiClient(application)
        self.ada = self.client.with_headers(authorization="Bearer ada:provider")
        self.ben = self.client.with_headers(authorization="Bearer ben:provider")

    async def offering(self, name: str = "backup", **attributes: Any) -> str:
        """Publish an offering; its path."""
        entity_id = await self.marketplace.put(
            name, name=name, lastUpdate="2026-01-01T00:00:00Z", **attributes
        )
        return f"{OFFERINGS}/{entity_id}"

    async def name_of(self, path: str) -> str:
        """The name that an entity has here."""
        name: str = (await self.ada.get(path)).json()["name"]
        return name


def _application(business: BusinessApp, rest: Application) -> Application:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if business.handles(scope["path"]):
            await business(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return application


class ForwardingLeague:
    """Some members that replicate and forward."""

    def __init__(
        self,
        count: int = 2,
        limits: Limits | None = None,
        folder: Path | None = None,
        rules: Mapping[int, tuple[str, ...]] | None = None,
    ) -> None:
        self.league = League(["lubeck", "bergen", "riga"][:count], limits, folder)
        self.members: list[ForwardingMember] = []
        self._rules = rules or {}

    async def __aenter__(self) -> Self:
        """Open all, and begin to replicate."""
        await self.league.__aenter__()
        for number, marketplace in enumerate(self.league.marketplaces):
            self.members.append(ForwardingMember(marketplace, self._rules.get(number, EVERYBODY)))
        self.league.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything."""
        await self.league.__aexit__()

    async def done(self, work: Coroutine[Any, Any, Response]) -> Response:
        """Let time pass until a response is there."""
        task = asyncio.create_task(work)
        await self.league.until(task.done)
        return task.result()

    async def shared_offering(self, name: str = "backup") -> str:
        """Have the first member publish an offering, which arrives everywhere; its path."""
        path = await self.members[0].offering(name)
        await self.league.settle()
        return path

    def writes(self, number: int = 0) -> list[HttpRequest]:
        """What was forwarded to a member."""
        endpoint = self.members[number].marketplace.endpoint
        return [one for one in self.league.network.requests_to(endpoint) if one.url.endswith("/writes")]


def write_to(path: str, entity_id: str, key: str = "k") -> ForwardedWrite:
    """A change of an offering, as a member sends it."""
    return ForwardedWrite(
        *("PATCH", path, "TMF620", "ProductOffering", key, entity_id),
        form="application/merge-patch+json",
        content=b'{"name":"Forged"}',
    )


async def send(
    league: ForwardingLeague, sender: ForwardingMember, write: ForwardedWrite, **options: Any
) -> Response:
    """Send a forwarded write as a member that is not bound by its own code would; its answer."""
    return await league.done(forwarded(league, sender, write, **options))


def forwarded(
    league: ForwardingLeague,
    sender: ForwardingMember,
    write: ForwardedWrite,
    *,
    delegation: str | None = None,
    audience: ForwardingMember | None = None,
    to: ForwardingMember | None = None,
    body: bytes | None = None,
) -> Coroutine[Any, Any, Response]:
    """The sending."""
    origin = to or league.members[0]
    signed = msgspec.json.encode(write)
    sent = signed if body is None else body
    if delegation is None:
        aud = (audience or origin).did
        delegation = sender.delegations.delegation(
            aud, "0" * 64, Actor(frozenset({"provider"})), write, signed
        )
    url = origin.marketplace.endpoint + WRITES_PATH
    headers = {
        "content-type": "application/json",
        DELEGATION_HEADER.lower(): delegation,
        **{k.lower(): v for k, v in sender.signer.headers(origin.did, "POST", url, sent).items()},
    }
    return origin.client.post(WRITES_PATH, body=sent, headers=headers)
