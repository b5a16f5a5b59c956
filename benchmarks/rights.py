"""Rights: lists that are restricted to a caller's organisation beside unrestricted ones, and decisions.

In one process, without sockets: what a face does of a request, from its bytes to the response's. Each request
is for another page, and the cache of responses is emptied before. Both kinds of callers alternate.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from benchmarks.plan import Plan
from benchmarks.report import Figure, Row, Table
from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.business.index_plan import index_plan
from hansa.business.models import load
from hansa.business.rights.organizations import OrganizationAliases
from hansa.business.rights.targets import access_target
from hansa.business.rules import Rules
from hansa.core.access import Action, Caller, EntityFacts, Power
from hansa.core.cache import Cache
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import SystemClock
from hansa.core.limits import Limits
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import AccessPolicies
from hansa.store import EntityDraft
from hansa.store.sqlite.store import SqliteStore

ORGANIZATIONS: Final = 20
ORGANIZATION: Final = "VATES-00000007"
DRAFTS_EVERY: Final = 3
"""One of so many offerings is a draft."""
ADDED_AT_ONCE: Final = 1000
PAGES: Final = 40
DECISIONS: Final = 2000
OFFERINGS: Final = "/tmf-api/productCatalogManagement/v4/productOffering"
ORDERS: Final = "/tmf-api/productOrderingManagement/v4/productOrder"
KINDS: Final[Mapping[str, str]] = {
    "offerings": f"{OFFERINGS}?limit=20",
    "offerings by status": f"{OFFERINGS}?lifecycleStatus=Launched&limit=20",
    "offerings by name": f"{OFFERINGS}?sort=name&limit=20",
    "orders": f"{ORDERS}?limit=20",
}
CALLERS: Final = {
    b"operator": Caller("operator", frozenset({"operator"})),
    b"organisation": Caller(
        "employee",
        organization=ORGANIZATION,
        powers=(Power("DOME", "ProductOffering", ("Create", "Update")),),
    ),
}


def authenticate(headers: Mapping[bytes, bytes]) -> Caller:
    """Who sends a request, as it says."""
    return CALLERS[headers[b"authorization"]]


def stored(number: int, collection: str) -> EntityDraft:
    """One entity, of one of the organisations."""
    is_offering = collection == "ProductOffering"
    status = "In design" if number % DRAFTS_EVERY == 0 else "Launched"
    fields: dict[str, Any] = {
        "id": f"urn:ngsi-ld:{collection.lower()}:{number:08}",
        "@type": collection,
        "description": "A service that is stored so that lists have something to show. " * 8,
        "relatedParty": [
            {
                "id": f"did:elsi:VATES-{number % ORGANIZATIONS:08}",
                "name": f"Company {number % ORGANIZATIONS}",
                "role": "Owner" if is_offering else "Buyer",
                "@referredType": "Organization",
            }
        ],
        **({"name": f"Offering {number * 7919 % 100_003}"} if is_offering else {}),
        "lifecycleStatus" if is_offering else "state": status if is_offering else "acknowledged",
    }
    body = canonical_json(fields)
    return EntityDraft(fields["id"], collection, body, hashlink(body), is_offering and status == "Launched")


async def marketplace(path: Path, count: int) -> tuple[BusinessApp, AccessRights, SqliteStore]:
    """A business application with so many offerings and orders."""
    clock, limits, models = SystemClock(), Limits(), load()
    store = await SqliteStore.open(path, clock, limits, plan=index_plan(models))
    for collection in ("ProductOffering", "ProductOrder"):
        for start in range(0, count, ADDED_AT_ONCE):
            numbers = range(start, min(count, start + ADDED_AT_ONCE))
            async with store.transaction() as tx:
                await tx.add_all([stored(number, collection) for number in numbers])
    rights = AccessRights(AccessPolicies({}, clock), clock)
    context = Context(
        *(store, models, authenticate, clock, os.urandom, limits, "http://127.0.0.1:8101"),
        *(Rules(models), OwnIdentifiers("did:web:benchmark.example", os.urandom, tuple, has_ledger=False)),
        authorize=rights,
        organizations=OrganizationAliases(store),
    )
    return BusinessApp(context), rights, store


async def pages_per_s(app: BusinessApp, target: str, caller: bytes, offsets: range, round_s: float) -> float:
    """Pages a second."""
    path, _, query = target.partition("?")
    responses = app.caches[0]
    assert isinstance(responses, Cache)
    count, started_s = 0, time.perf_counter()
    while True:
        for offset in offsets:
            scope = {
                "type": "http",
                "method": "GET",
                "path": path,
                "raw_path": path.encode(),
                "query_string": f"{query}&offset={offset}".encode(),
                "headers": [(b"authorization", caller)],
            }
            responses.clear()
            response = await app.answer(scope, _stays)
            assert response is not None
            assert response.status in {200, 206}, response.body
            count += 1
        if time.perf_counter() - started_s >= round_s:
            return count / (time.perf_counter() - started_s)


async def _stays() -> dict[str, Any]:
    """The client neither sends anything nor leaves."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The tables."""
    tables: list[Table] = []
    for count in sorted({min(plan.stored), max(plan.stored)}):
        app, rights, store = await marketplace(folder / f"rights-{count}.db", count)
        rows: list[Row] = []
        for name, target in KINDS.items():
            rates: dict[bytes, list[float]] = {caller: [] for caller in CALLERS}
            for number in range(plan.rounds):
                for caller in CALLERS:
                    offsets = range(number, number + min(PAGES, max(1, count // ORGANIZATIONS - 20)))
                    rates[caller].append(await pages_per_s(app, target, caller, offsets, plan.round_s / 3))
            free, bound = median(rates[b"operator"]), median(rates[b"organisation"])
            ratio = median(
                one / other for one, other in zip(rates[b"organisation"], rates[b"operator"], strict=True)
            )
            rows.append(
                Row(
                    name,
                    (
                        Figure("ratio", ratio, "ratio"),
                        Figure("restricted", bound, "per second"),
                        Figure("unrestricted", free, "per second"),
                    ),
                )
            )
        tables.append(Table(f"Lists of an organisation, {count:,} of each type stored", tuple(rows)))
        if count == max(plan.stored):
            tables.append(_decisions(rights))
        await store.close()
    return tables


def _decisions(rights: AccessRights) -> Table:
    models = load()
    target = access_target(*models.served("ProductOffering"))
    body = msgspec.json.decode(stored(7, "ProductOffering").body)
    facts = EntityFacts(body, True)
    caller, rows = CALLERS[b"organisation"], []
    for action in (Action.CHANGE, Action.CREATE, Action.READ):
        rule = rights(caller, action, target).rule
        assert rule is not None
        times: list[float] = []
        for _ in range(DECISIONS):
            started_s = time.process_time()
            rule.refusal(facts, frozenset())
            times.append(time.process_time() - started_s)
        times.sort()
        figures = (
            Figure("median", times[len(times) // 2], "seconds"),
            Figure("p99", times[len(times) * 99 // 100], "seconds"),
        )
        rows.append(Row(str(action), figures))
    return Table("Decisions about one entity: CPU", tuple(rows))
