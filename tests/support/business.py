"""A business application as tests need it: a store in memory, a clock that stands, tokens for each role."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from hansa.business import BusinessApp
from hansa.business.context import Context, Policies
from hansa.business.index_plan import index_plan
from hansa.business.jobs.files import JobFiles
from hansa.business.models import Models, load
from hansa.business.rules import Rules
from hansa.core.access import ANONYMOUS, Caller
from hansa.core.clock import Clock, ManualClock
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.store import Store
from hansa.store.sqlite.store import SqliteStore
from tests.support.asgi import AsgiClient

ENDPOINT = "http://market.example:8101"
DID = "did:web:market.example"
CATALOG = "/tmf-api/productCatalogManagement/v4"
PARTY = "/tmf-api/party/v4"
MODELS = load()

TOKENS = {
    b"Bearer operator": Caller("operator", frozenset({"operator"})),
    b"Bearer provider": Caller("provider", frozenset({"provider"})),
    b"Bearer reader": Caller("reader", frozenset({"reader"})),
    b"Bearer other": Caller("other", frozenset({"provider"})),
    b"Bearer nobody": Caller("nobody", frozenset()),
}


def authenticate(headers: Mapping[bytes, bytes]) -> Caller:
    """Know the tokens."""
    authorization = headers.get(b"authorization")
    if authorization is None:
        return ANONYMOUS
    if authorization not in TOKENS:
        raise Refused(Code.UNAUTHENTICATED, "The token does not hold.")
    return TOKENS[authorization]


class Business:
    """An application with what it stands on, and a client for each kind of caller."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        limits: Limits,
        models: Models,
        endpoint: str = ENDPOINT,
        members: Sequence[Member] | None = None,
        job_folder: Path | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.limits = limits
        self.models = models
        self.endpoint = endpoint
        entropy = random.Random(7).randbytes
        identifiers = OwnIdentifiers(DID, entropy, lambda: members or (), has_ledger=members is not None)
        self.context = Context(
            *(store, models, authenticate, clock, entropy, limits, endpoint),
            *(Rules(models), identifiers),
        )
        self._files = JobFiles(job_folder, models, clock, limits) if job_folder is not None else None
        self.app = BusinessApp(self.context, self._files)
        self.anonymous = AsgiClient(self.app)
        self.operator = self.anonymous.with_headers(authorization="Bearer operator")
        self.provider = self.anonymous.with_headers(authorization="Bearer provider")
        self.reader = self.anonymous.with_headers(authorization="Bearer reader")
        self.other_provider = self.anonymous.with_headers(authorization="Bearer other")
        self.nobody = self.anonymous.with_headers(authorization="Bearer nobody")

    def under(self, policies: Policies) -> AsgiClient:
        """A client without a token of the same store, where the operator has other policies."""
        context = msgspec.structs.replace(self.context, policies=policies)
        return AsgiClient(BusinessApp(context, self._files))


async def open_business(
    path: Path | None = None,
    *,
    clock: Clock | None = None,
    limits: Limits | None = None,
    endpoint: str = ENDPOINT,
    models: Models | None = None,
    members: Sequence[Member] | None = None,
    job_folder: Path | None = None,
) -> Business:
    """A business application on a store at `path`, or in memory; with `members`, that of a league.

    `job_folder` is where the contents of jobs are; without it they are not served.
    """
    clock, limits = clock or ManualClock(), limits or Limits()
    models = models or MODELS
    store = await SqliteStore.open(path, clock, limits, plan=index_plan(models))
    return Business(store, clock, limits, models, endpoint, members, job_folder)
