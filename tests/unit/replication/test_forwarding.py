"""Writes to replicas: carried out by the origin, once, for whoever its rules let write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hansa.core.access import Caller
from hansa.core.errors import Code, Unavailable
from hansa.core.forwarding import DELEGATION_HEADER, WRITES_PATH, Actor, OriginAnswer
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.store import Store
from hansa.store.tables.writes import queued_writes
from hansa.store.tables.writes.queued_writes import QueuedRow
from tests.support.asgi import Response
from tests.support.forwarding import OFFERINGS, ForwardingLeague, send, write_to
from tests.support.network import changed, oversize, replaced, status

KEYED = {"idempotency-key": "order-1"}
RENAMED = {"name": "Renamed"}
ASYNC = {"prefer": "respond-async"}


@pytest.fixture
async def league() -> AsyncIterator[ForwardingLeague]:
    async with ForwardingLeague() as league:
        yield league


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json()["code"]


# -- what it is for ----------------------------------------------------------------------------------------


async def test_a_write_to_a_replica_is_carried_out_by_its_origin_and_comes_back(
    league: ForwardingLeague,
) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    answer = await league.done(other.ada.patch(path, RENAMED))
    assert answer.status == 200, answer.body
    assert answer.json()["name"] == "Renamed"
    assert answer.json()["href"] == other.marketplace.endpoint + path
    assert await origin.name_of(path) == "Renamed"
    assert answer.headers["etag"] == (await origin.ada.get(path)).headers["etag"]
    waited = await league.done(other.client.get(f"{path}?min-position={answer.headers['hansa-position']}"))
    assert waited.json()["name"] == "Renamed"
    assert waited.headers["etag"] == answer.headers["etag"]


async def test_a_deletion_is_forwarded_and_its_position_named(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    answer = await league.done(other.ada.delete(path))
    assert answer.status == 204
    assert (await origin.ada.get(path)).status == 404
    waited = await league.done(other.client.get(f"{path}?min-position={answer.headers['hansa-position']}"))
    assert waited.status == 404


async def test_a_stale_write_is_refused_by_the_origin(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    stale = {"if-match": (await other.ada.get(path)).headers["etag"]}
    assert (await origin.ada.patch(path, {"name": "First"})).status == 200
    assert code_of(await league.done(other.ada.patch(path, RENAMED, headers=stale))) == (
        412,
        "precondition-failed",
    )
    await league.league.settle()
    fresh = {"if-match": (await other.ada.get(path)).headers["etag"]}
    assert (await league.done(other.ada.patch(path, RENAMED, headers=fresh))).status == 200


async def test_whoever_may_not_write_here_has_nothing_forwarded(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    reader = league.members[1].client.with_headers(authorization="Bearer eve:reader")
    assert code_of(await reader.patch(path, RENAMED)) == (403, "forbidden")
    assert (await league.members[1].client.patch(path, RENAMED)).status == 401
    assert league.writes() == []


async def test_the_origin_learns_a_pseudonym_that_is_another_one_at_every_origin(
    league: ForwardingLeague,
) -> None:
    path = await league.shared_offering()
    await league.done(league.members[1].ada.patch(path, RENAMED))
    (request,) = league.writes()
    assert "ada" not in str(request.headers) + request.body.decode()
    pseudonyms = league.members[1].pseudonyms
    names = {pseudonyms.of(one.did, who) for one in league.members for who in ("ada", "ben")}
    assert len(names) == 4


# -- who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rules",
    [
        (),
        ("did:web:another.example * *",),
        ("* Category *",),
        ("* ProductOffering delete",),
        ("* * * operator",),
    ],
)
async def test_without_a_rule_that_lets_it_a_member_forwards_nothing(rules: tuple[str, ...]) -> None:
    async with ForwardingLeague(rules={0: rules}) as league:
        path = await league.shared_offering()
        answer = await league.done(league.members[1].ada.patch(path, RENAMED))
        assert code_of(answer) == (403, "forbidden")
        assert await league.members[0].name_of(path) == "backup"


async def test_a_suspended_member_forwards_nothing(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    registered = league.league.registered
    league.league.registered = (registered[0], _suspended(registered[1]))
    answer = await league.done(league.members[1].ada.patch(path, RENAMED))
    assert code_of(answer) == (403, "forbidden")
    assert await league.members[0].name_of(path) == "backup"


def _suspended(member: Member) -> Member:
    return msgspec.structs.replace(member, status="suspended")


async def test_no_drafts_and_no_plain_creates_are_reached_through_another_member(
    league: ForwardingLeague,
) -> None:
    origin, other = league.members
    draft_id = await origin.marketplace.put("draft", "In design", name="draft")
    patch = write_to(f"{OFFERINGS}/{draft_id}", draft_id)
    assert code_of(await send(league, other, patch)) == (404, "not-found")
    create = msgspec.structs.replace(patch, method="POST", path=OFFERINGS, entity=None)
    assert code_of(await send(league, other, create)) == (400, "invalid")


# -- deceit -------------------------------------------------------------------------------------------------


async def test_a_delegation_is_used_once_also_after_a_restart(tmp_path: Path) -> None:
    async with ForwardingLeague(folder=tmp_path) as league:
        path = await league.shared_offering()
        entity_id = path.rpartition("/")[2]
        origin, other = league.members
        write = write_to(path, entity_id)
        delegation = other.delegations.delegation(
            origin.did, "0" * 64, Actor(frozenset({"provider"})), write, msgspec.json.encode(write)
        )
        assert (await send(league, other, write, delegation=delegation)).status == 200
        assert code_of(await send(league, other, write, delegation=delegation)) == (401, "unauthenticated")
        await origin.marketplace.close()
        await origin.marketplace.open()
        origin.open()
        origin.marketplace.start()
        assert code_of(await send(league, other, write, delegation=delegation)) == (401, "unauthenticated")


async def test_a_delegation_holds_for_one_origin_one_sender_one_body_and_a_short_time() -> None:
    async with ForwardingLeague(3) as league:
        path = await league.shared_offering()
        entity_id = path.rpartition("/")[2]
        origin, other, third = league.members
        write = write_to(path, entity_id)
        body = msgspec.json.encode(write)
        refused = (401, "unauthenticated")
        assert code_of(await send(league, other, write, audience=third)) == refused
        stolen = other.delegations.delegation(
            origin.did, "0" * 64, Actor(frozenset({"provider"})), write, body
        )
        assert code_of(await send(league, third, write, delegation=stolen)) == refused
        altered = body.replace(b'"k"', b'"j"')
        assert altered != body
        assert code_of(await send(league, other, write, body=altered)) == refused
        for changed_write in (
            msgspec.structs.replace(write, method="PUT"),
            msgspec.structs.replace(write, path=f"{path}x"),
        ):
            said = other.delegations.delegation(
                origin.did, "0" * 64, Actor(frozenset({"provider"})), changed_write, body
            )
            assert code_of(await send(league, other, write, delegation=said)) == refused
        old = other.delegations.delegation(origin.did, "0" * 64, Actor(frozenset({"provider"})), write, body)
        await league.league.run(league.league.limits.request_age_max_s + 1, step_s=10.0)
        assert code_of(await send(league, other, write, delegation=old)) == refused
        for garbage in ("", "a.b.c", old[:-2], "e30.e30.e30", "x" * 9000):
            assert code_of(await send(league, other, write, delegation=garbage)) == refused
        assert await origin.name_of(path) == "backup"


async def test_what_a_write_says_of_itself_has_to_agree(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    entity_id = path.rpartition("/")[2]
    right = write_to(path, entity_id)
    for wrong in (
        msgspec.structs.replace(right, path=f"{OFFERINGS}/urn:other"),
        msgspec.structs.replace(right, collection="Category"),
        msgspec.structs.replace(right, api="TMF000"),
        msgspec.structs.replace(right, entity=None),
        msgspec.structs.replace(right, parent="urn:parent"),
        msgspec.structs.replace(right, form="text/html"),
        msgspec.structs.replace(right, content=b"{"),
        msgspec.structs.replace(right, key=""),
        msgspec.structs.replace(right, key="k" * 300),
        msgspec.structs.replace(right, unmodified_since="yesterday"),
    ):
        answer = await send(league, league.members[1], wrong)
        assert answer.status in {400, 404, 415}, (wrong, answer.body)
    assert await league.members[0].name_of(path) == "backup"


async def test_a_write_is_never_forwarded_twice() -> None:
    async with ForwardingLeague(3) as league:
        path = await league.shared_offering()
        first, second, third = league.members
        write = write_to(path, path.rpartition("/")[2])
        url = second.marketplace.endpoint + WRITES_PATH
        body = msgspec.json.encode(write)
        headers = {
            "content-type": "application/json",
            DELEGATION_HEADER: third.delegations.delegation(
                second.did, "0" * 64, Actor(frozenset({"provider"})), write, body
            ),
            **third.signer.headers(second.did, "POST", url, body),
        }
        answer = await league.done(second.client.post(WRITES_PATH, body=body, headers=headers))
        assert code_of(answer) == (409, "read-only-replica")
        assert league.writes(0) == []
        assert await first.name_of(path) == "backup"


# -- repeating ----------------------------------------------------------------------------------------------


async def test_a_lost_answer_does_not_write_twice(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    endpoint = origin.marketplace.endpoint
    network = league.league.network

    def lost(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if request.url.endswith(WRITES_PATH):
            raise Unavailable(Code.RETRIEVAL_TIMEOUT, "The answer was lost.")
        return answer

    note = {"note": "once"}
    patch = [{"op": "add", "path": "/place/-", "value": {"id": "p", "@referredType": "Place"}}]
    headers = {**KEYED, "content-type": "application/json-patch+json"}
    assert (await origin.ada.patch(path, {"place": []})).status in {200, 400}, note
    network.faults[endpoint] = lost
    failed = await league.done(other.ada.patch(path, patch, headers=headers))
    assert failed.status == 503
    assert int(failed.headers["retry-after"]) >= 1
    del network.faults[endpoint]
    again = await league.done(other.ada.patch(path, patch, headers=headers))
    assert again.status == 200, again.body
    assert len((await origin.ada.get(path)).json()["place"]) == 1
    twice = await league.done(other.ada.patch(path, patch, headers=headers))
    assert twice.status == 200
    assert len(twice.json()["place"]) == 1


async def test_another_request_under_the_same_key_is_refused(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    other = league.members[1]
    assert (await league.done(other.ada.patch(path, RENAMED, headers=KEYED))).status == 200
    answer = await league.done(other.ada.patch(path, {"name": "Else"}, headers=KEYED))
    assert code_of(answer) == (422, "idempotency-key-reused")
    assert (await league.done(other.ben.patch(path, {"name": "Else"}, headers=KEYED))).status == 200


# -- origins that do not answer as they should --------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        status(200),
        status(301, {"location": "http://169.254.169.254/"}),
        status(404),
        status(500),
        status(418),
        changed(lambda _: b""),
        changed(lambda _: b"[" * 10_000),
        changed(lambda body: body.replace(b'"hashlink":"hl:', b'"hashlink":"xx:')),
        changed(lambda _: msgspec.json.encode(OriginAnswer("urn:other", "hl:z", b"{}", "now"))),
        replaced(b'"modified":"', b'"modified":"our words'),
        changed(lambda body: body[:-1] + b',"position":-1}'),
        changed(lambda body: body[:-1] + b',"position":1180591620717411303424}'),
        changed(lambda body: body[:-1] + b',"note":"our words"}'),
        oversize(3_000_000),
    ],
)
async def test_whatever_the_origin_answers_the_client_gets_words_of_ours(
    league: ForwardingLeague, fault: object
) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    league.league.network.faults[origin.marketplace.endpoint] = fault  # type: ignore[assignment]
    answer = await league.done(other.ada.patch(path, RENAMED))
    assert code_of(answer) == (503, "unavailable")
    assert "retry-after" in answer.headers
    assert b"our words" not in answer.body


async def test_an_origin_that_never_answers_holds_a_bounded_number_of_writes() -> None:
    limits = Limits(forwards_per_caller_max=2, forwards_per_origin_max=3, forward_timeout_s=5.0)
    async with ForwardingLeague(limits=limits) as league:
        path = await league.shared_offering()
        origin, other = league.members
        league.league.network.delays_s[origin.marketplace.endpoint] = 1e9
        tasks = [asyncio.create_task(other.ada.patch(path, RENAMED)) for _ in range(4)]
        tasks += [asyncio.create_task(other.ben.patch(path, RENAMED)) for _ in range(4)]
        await league.league.until(lambda: all(task.done() for task in tasks), timeout_s=20)
        statuses = sorted(task.result().status for task in tasks)
        assert statuses == [429, 429, 429, 429, 429, 503, 503, 503]


# -- the queue ----------------------------------------------------------------------------------------------


async def test_a_write_waits_for_an_origin_that_is_away_and_its_monitor_tells(tmp_path: Path) -> None:
    async with ForwardingLeague(folder=tmp_path) as league:
        path = await league.shared_offering()
        origin, other = league.members
        league.league.network.down.add(origin.marketplace.endpoint)
        assert (await league.done(other.ada.patch(path, RENAMED))).status == 503
        answer = await league.done(other.ada.patch(path, RENAMED, headers={**ASYNC, **KEYED}))
        assert answer.status == 202
        monitor = answer.headers["location"].removeprefix(other.marketplace.endpoint)
        again = await league.done(other.ada.patch(path, RENAMED, headers={**ASYNC, **KEYED}))
        assert again.headers["location"] == answer.headers["location"]
        assert (await other.ada.get(monitor)).json()["state"] == "InProgress"
        assert (await other.ben.get(monitor)).status == 404
        assert (await other.client.get(monitor)).status == 401
        await other.marketplace.close()
        await other.marketplace.open()
        other.open()
        other.marketplace.start()
        running = asyncio.create_task(other.queue.run())
        await league.league.run(30)
        assert (await other.ada.get(monitor)).json()["response"]["code"] == "unavailable"
        league.league.network.down.clear()

        async def is_completed() -> bool:
            return bool((await other.ada.get(monitor)).json()["state"] == "Completed")

        await league.league.until(is_completed)
        report = (await other.ada.get(monitor)).json()
        assert report["response"]["etag"] == (await origin.ada.get(path)).headers["etag"]
        assert await origin.name_of(path) == "Renamed"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_write_that_waits_is_given_up_and_the_queue_is_bounded() -> None:
    limits = Limits(queued_write_lifetime_s=60.0, queued_writes_per_caller_max=3)
    async with ForwardingLeague(limits=limits) as league:
        path = await league.shared_offering()
        origin, other = league.members
        league.league.network.down.add(origin.marketplace.endpoint)
        answers = [
            await league.done(other.ada.patch(path, {"name": f"n{n}"}, headers=ASYNC)) for n in range(4)
        ]
        assert [answer.status for answer in answers] == [202, 202, 202, 429]
        assert (await league.done(other.ben.patch(path, RENAMED, headers=ASYNC))).status == 202
        running = asyncio.create_task(other.queue.run())
        monitor = answers[0].headers["location"].removeprefix(other.marketplace.endpoint)

        async def is_given_up() -> bool:
            return bool((await other.ada.get(monitor)).json()["state"] == "InError")

        await league.league.until(is_given_up)
        await league.league.run(150)
        assert (await league.done(other.ada.patch(path, RENAMED, headers=ASYNC))).status == 202
        assert (await other.ada.get(monitor)).status == 404
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_idle_queue_sleeps_and_misses_nothing_that_is_added_while_it_looks(
    league: ForwardingLeague, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    looks: list[int] = []
    origins_of, next_of = queued_writes.waiting_origins, queued_writes.next_waiting
    late = write_to(path, path.rpartition("/")[2], "late")
    caller = Caller("ada", frozenset({"provider"}))
    ids: list[str] = []

    async def counted(store: Store) -> tuple[str, ...]:
        looks.append(1)
        return await origins_of(store)

    async def followed_by_a_write(store: Store, did: str) -> QueuedRow | None:
        row = await next_of(store, did)
        if row is None and len(ids) == 1:
            ids.append((await other.queue.add(origin.did, late, caller)).id)
        return row

    monkeypatch.setattr(queued_writes, "waiting_origins", counted)
    monkeypatch.setattr(queued_writes, "next_waiting", followed_by_a_write)
    running = asyncio.create_task(other.queue.run())
    await league.league.run(300, 10.0)
    assert len(looks) == 1, "nothing was added"
    first = write_to(path, path.rpartition("/")[2], "first")
    ids.append((await other.queue.add(origin.did, first, caller)).id)
    await league.league.run(5)
    states = [row.state for each in ids if (row := await other.queue.monitor(each, caller)) is not None]
    assert states == ["done", "done"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# -- reading what was written -------------------------------------------------------------------------------


async def test_a_position_that_does_not_come_is_waited_for_for_a_bounded_time() -> None:
    limits = Limits(position_waiters_max=8)
    async with ForwardingLeague(limits=limits) as league:
        path = await league.shared_offering()
        other = league.members[1]
        tasks = [asyncio.create_task(other.client.get(f"{path}?min-position=999999")) for _ in range(8)]
        await league.league.until(lambda: all(task.done() for task in tasks), timeout_s=10)
        assert sorted(task.result().status for task in tasks) == [429] * 2 + [503] * 6
        for wrong in ("x", "-1", "", "1&min-position=2", "99999999999999999999"):
            assert code_of(await other.client.get(f"{path}?min-position={wrong}")) == (400, "invalid")


async def test_nobody_waits_for_a_position_while_the_marketplace_stops() -> None:
    async with ForwardingLeague() as league:
        path = await league.shared_offering()
        other = league.members[1]
        waiting = asyncio.create_task(other.client.get(f"{path}?min-position=999999"))
        await league.league.run(1)
        assert not waiting.done()
        other.positions.stop()
        await league.league.run(1)
        assert waiting.result().status == 503


async def test_an_entity_that_is_withheld_stops_nobody_who_reads_another() -> None:
    async with ForwardingLeague(3) as league:
        withheld = await league.members[2].offering("withheld")
        league.league.network.down.add(league.members[2].marketplace.endpoint)
        await league.league.run(5)
        path = await league.members[0].offering("good")
        await league.league.run(5)
        other = league.members[1]
        head = league.league.ledger.application.state.head.position
        assert (await league.done(other.client.get(f"{path}?min-position={head}"))).status == 200
        late = await league.done(other.client.get(f"{withheld}?min-position=1"))
        assert late.status in {200, 503}


async def test_what_somebody_queued_who_was_removed_meanwhile_is_never_sent(league: ForwardingLeague) -> None:
    path = await league.shared_offering()
    origin, other = league.members
    callers = {
        "refused": Caller("ada", frozenset({"provider"})),
        "refused too": Caller("ben", frozenset({"provider"}), organization="VATES-1"),
        "done": Caller("cyd", frozenset({"provider"})),
        "let in again": Caller("dan", frozenset({"provider"})),
    }
    ids = {}
    for name, caller in callers.items():
        write = write_to(path, path.rpartition("/")[2], name)
        ids[name] = (await other.queue.add(origin.did, write, caller)).id
    await other.endings.remove("subject", "ada")
    await other.endings.remove("organization", "VATES-1")
    await other.endings.remove("subject", "dan")
    await other.endings.readmit("subject", "dan")
    running = asyncio.create_task(other.queue.run())
    await league.league.run(5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    rows = {name: await other.queue.monitor(ids[name], caller) for name, caller in callers.items()}
    assert {name: (row.state, row.problem) for name, row in rows.items() if row is not None} == {
        "refused": ("refused", "forbidden"),
        "refused too": ("refused", "forbidden"),
        "done": ("done", None),
        "let in again": ("done", None),
    }
    assert len(league.writes()) == 2
