"""The audit log of a league's members: what happened is in it, and cannot be taken out unnoticed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from hansa.api.audit.log import AUDIT_PATH
from hansa.core.audit import (
    ANCHOR_TYPE,
    AnchorCheck,
    AnchoredLog,
    AnnouncedAnchor,
    AuditRecord,
    anchor_id,
    read_line,
    verified,
)
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.replication.auditing import notes as notes_module
from hansa.replication.auditing.anchoring import Anchoring
from hansa.replication.auditing.losses import record_lost_anchors
from hansa.store.tables import audit, heads
from tests.support.forwarding import ForwardingLeague, ForwardingMember
from tests.support.league import League, Marketplace

READER = "did:web:reader.example"


async def log_of(marketplace: Marketplace) -> list[AuditRecord]:
    """The records of a member, verified."""
    await marketplace.notes.flush()
    records = await audit.page(marketplace.store, 0, 10_000)
    return list(verified(records, await audit.start(marketplace.store)))


async def contents(marketplace: Marketplace, kind: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(one.content) for one in await log_of(marketplace) if one.kind == kind]


def positions_in(records: list[dict[str, Any]]) -> set[int]:
    spans = [span for one in records for span in one["positions"]]
    return {position for first, last in spans for position in range(first, last + 1)}


def anchoring_of(marketplace: Marketplace, interval_s: float = 60.0, **limits: Any) -> Anchoring:
    clock = marketplace.league.clock
    return Anchoring(
        *(marketplace.store, marketplace.did, marketplace.backlog.due.notify, clock),
        Retry("audit", clock, marketplace.entropy, 0.1, 1.0),
        Limits(audit_anchor_interval_s=interval_s, **limits),
    )


async def anchors_of(marketplace: Marketplace, reader: Marketplace) -> list[AnnouncedAnchor]:
    """The anchors of one member, as another one has them on its ledger."""
    key = entity_key(marketplace.did, anchor_id(marketplace.did))
    events = (await reader.bus.search(0)).events
    return [
        AnnouncedAnchor(one.position, one.time, one.event.hashlink)
        for one in events
        if one.event.entity.key == key
    ]


async def compared(marketplace: Marketplace, reader: Marketplace) -> AnchoredLog:
    start = await audit.start(marketplace.store)
    check = AnchorCheck(marketplace.did, await anchors_of(marketplace, reader), start)
    for one in await log_of(marketplace):
        check.see(one)
    return check.report()


async def anchored(league: League, marketplace: Marketplace, name: str) -> None:
    """Have something happen, and its record anchored."""
    await marketplace.put(name)
    await league.settle()
    await league.run(61, step_s=5.0)
    assert await anchoring_of(marketplace).anchor()
    await league.settle()


# -- what is recorded --------------------------------------------------------------------------------------


async def test_what_is_published_received_and_retrieved_is_recorded(league: League) -> None:
    first, second, _ = league.marketplaces
    for n in range(3):
        await first.put(f"offer-{n}")
    await league.settle()
    assert positions_in(await contents(first, "published")) == {1, 2, 3}
    assert positions_in(await contents(second, "received")) == {1, 2, 3}
    assert positions_in(await contents(second, "retrieved")) == {1, 2, 3}
    assert await contents(first, "received") == [], "its own events are those that it published"


async def test_a_batch_of_many_entities_is_one_record_at_each_member(league: League) -> None:
    first, second, _ = league.marketplaces
    await first.put_many([(first.id(f"offer-{n}"), "Launched", "ProductOffering", {}) for n in range(100)])
    await league.settle()
    for marketplace, most in ((first, 4), (second, 12)):
        records = await log_of(marketplace)
        assert len(records) <= most
        assert sum(len(one.content) for one in records) < 2000


async def test_what_is_not_taken_is_recorded_with_its_code(league: League) -> None:
    first, second, _ = league.marketplaces
    first.league.network.faults[first.endpoint] = lambda _, answer: msgspec.structs.replace(
        answer, body=answer.body.replace(b'"name":"x"', b'"name":"y"')
    )
    await first.put("offer", name="x")
    await league.run(3)
    refused = await contents(second, "refused")
    assert any(Code.HASH_MISMATCH in each["codes"] for each in refused if each["member"] == first.did)


async def test_what_was_served_is_recorded_with_who_got_it_and_strangers_together(league: League) -> None:
    first = league.marketplaces[0]
    first.notes.served(READER, [3, 1, 2], 3)
    first.notes.served(READER, [9], 1)
    first.notes.served(None, [], 2)
    first.notes.served(None, [], 0)
    await first.notes.recorded(READER, [4, 5], "recipient")
    assert await contents(first, "served") == [
        {"authority": "recipient", "member": READER, "positions": [[4, 5]]},
        {"authority": "public", "count": 4, "member": READER, "positions": [[1, 3], [9, 9]]},
        {"authority": "public", "count": 2, "positions": []},
    ]


async def test_a_member_that_retrieves_is_named_by_its_origin(league: League) -> None:
    first, second, _ = league.marketplaces
    league.network.faults[second.endpoint] = lambda *_: msgspec.structs.replace(_[1], status=503)
    await first.put("offer")  # its chosen identifier is in no bundle
    await league.settle()
    served = [one for one in await contents(first, "served") if one.get("member") == second.did]
    assert sum(one["count"] for one in served) >= 1
    assert positions_in(served) == {1}


async def test_whatever_is_noted_takes_bounded_room(league: League, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes_module, "READERS_MAX", 5)
    first = league.marketplaces[0]
    for n in range(20):
        first.notes.served(f"did:web:reader-{n}.example", range(0, 20_000, 2), 10_000)
    for n in range(2000):
        first.notes.refused(f"did:web:reader-{n}.example", "write", "forbidden", f"{n:064x}")
        first.notes.forwarded(READER, "0" * 64, "PATCH", "0" * 64, None)
    records = await log_of(first)
    assert len(records) < 6 + 300 + 510
    assert max(len(one.content) for one in records) < 4000
    assert sum(one["count"] for one in await contents(first, "served")) == 200_000
    assert sum(one["count"] for one in await contents(first, "refused")) == 2000
    assert sum(one.get("count", 1) for one in await contents(first, "forwarded")) == 2000


async def test_what_the_store_does_not_take_is_noted_once_more(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = league.marketplaces[0]
    first.notes.served(READER, [1], 1)

    async def fail(*_: object) -> None:
        first.notes.served(READER, [2], 1)
        raise apsw.FullError

    with monkeypatch.context() as patch:
        patch.setattr(audit, "append_all", fail)
        with pytest.raises(apsw.FullError):
            await first.notes.flush()
    assert await contents(first, "served") == [
        {"authority": "public", "count": 2, "member": READER, "positions": [[1, 2]]}
    ]


async def test_a_forwarded_write_is_recorded_at_both_sides_and_names_nobody(tmp_path: Path) -> None:
    async with ForwardingLeague(folder=tmp_path) as league:
        path = await league.shared_offering()
        origin, other = league.members
        await league.done(other.ada.patch(path, {"name": "Renamed"}, headers={"idempotency-key": "k"}))
        await league.done(other.ada.patch(path, {"name": "Renamed"}, headers={"idempotency-key": "k"}))
        await league.done(other.ada.patch(path, {"name": "Else"}, headers={"if-match": '"hl:other"'}))
        (sent,) = await contents(other.marketplace, "forwarded")
        (done,) = await contents(origin.marketplace, "carried-out")
        assert {key: sent[key] for key in ("digest", "subject")} == {
            key: done[key] for key in ("digest", "subject")
        }
        assert (sent["member"], done["member"]) == (origin.did, other.did)
        (refused,) = await contents(origin.marketplace, "refused")
        assert (refused["member"], refused["what"]) == (other.did, "write")
        assert refused["code"] == "precondition-failed"
        (told,) = await contents(other.marketplace, "refused")
        assert (told["member"], told["what"], told["code"]) == (
            *(origin.did, "forwarded", "precondition-failed"),
        )
        for one in (origin, other):
            for record in await log_of(one.marketplace):
                assert b"ada" not in record.content
                assert b"urn:" not in record.content
        await check_export(origin)


async def check_export(member: ForwardingMember) -> None:
    assert (await member.ada.get(AUDIT_PATH)).status == 403
    assert (await member.client.get(AUDIT_PATH)).status == 401
    operator = member.client.with_headers(authorization="Bearer root:operator")
    page = await operator.get(f"{AUDIT_PATH}?limit=1000")
    assert page.headers["x-chain-start"] == f"0 {'0' * 64}"
    assert page.headers["x-chain-member"] == member.did
    assert [read_line(line) for line in page.body.splitlines()] == await log_of(member.marketplace)


# -- what cannot be taken out ------------------------------------------------------------------------------


async def test_a_log_is_anchored_on_the_ledger_and_nobody_takes_the_anchor_for_an_entity(
    league: League,
) -> None:
    first, second, _ = league.marketplaces
    await anchored(league, first, "offer")
    assert not await anchoring_of(first).anchor(), "it is not due"
    page = await second.bus.search(0)
    (event,) = [one.event for one in page.events if one.event.entity.type == ANCHOR_TYPE]
    assert event.entity.key == entity_key(first.did, anchor_id(first.did))
    assert await second.evidence() == set()
    for one in (first, second):
        assert anchor_id(first.did) not in await one.catalogue()
        differences = (await one.resync.compare("ledger", "", is_repair=True)).differences
        assert differences == ()
    report = await compared(first, second)
    assert (report.matched, report.lost, report.last_time) == (1, 0, page.events[-1].time)
    await anchored(league, first, "another")
    assert (await compared(first, second)).matched == 2
    await league.run(61, step_s=5.0)
    assert not await anchoring_of(first).anchor(), "nothing has happened but the anchor itself"


async def test_old_records_are_pruned_once_an_anchor_commits_to_them_and_the_rest_verifies(
    league: League,
) -> None:
    first, second, _ = league.marketplaces
    anchoring = anchoring_of(first, audit_retention_s=30.0)
    await first.put("offer")
    await league.settle()
    await league.run(61, step_s=5.0)
    assert await anchoring.prune() == 0, "no anchor commits to it"
    assert await anchoring.anchor()
    assert await anchoring.prune() == 0, "the anchor is not committed"
    await league.settle()
    assert await anchoring.prune() > 0
    records = await log_of(first)
    assert records[0].seq > 1
    assert records[-1].kind == "pruned"
    assert (await compared(first, second)).matched == 1


async def test_a_log_has_a_bounded_number_of_records_whatever_their_age(league: League) -> None:
    first = league.marketplaces[0]
    for n in range(30):
        await first.notes.recorded(READER, [n], "recipient")
    assert await anchoring_of(first, audit_records_max=10).prune() == 20
    assert len(await log_of(first)) == 11
    assert await anchoring_of(first, audit_records_max=11).prune() == 0


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_record SET content = x'7b7d' WHERE seq = 1",
        "DELETE FROM audit_record WHERE seq = 1",
        "DELETE FROM audit_record",
        "INSERT INTO audit_record SELECT seq + 7, time, kind, content, hash FROM audit_record WHERE seq = 1",
    ],
)
async def test_the_table_refuses_what_is_no_appending(league: League, sql: str) -> None:
    first = league.marketplaces[0]
    await first.put("offer")
    await league.settle()
    with pytest.raises(apsw.ConstraintError, match="audit log"):
        async with first.store.transaction() as tx:
            await tx.sql.execute(sql)
    assert await log_of(first)


@pytest.mark.parametrize("remove", ["seq = 2", "seq >= (SELECT max(seq) FROM audit_record)", "1"])
async def test_whoever_edits_the_file_is_noticed(league: League, remove: str) -> None:
    first, second, _ = league.marketplaces
    await first.notes.recorded(READER, [1], "recipient")
    await first.notes.recorded(READER, [2], "recipient")
    await anchored(league, first, "offer")
    records = await log_of(first)
    cut = records.index(next(one for one in records if one.kind == "anchored"))
    async with first.store.transaction() as tx:
        await tx.sql.execute("DROP TRIGGER audit_record_pruned")
        await tx.sql.execute(f"DELETE FROM audit_record WHERE seq > {cut - 1} OR {remove}")  # noqa: S608 - a test's
    with pytest.raises(Refused, match="does not hold"):
        await compared(first, second)


@pytest.fixture
async def filed(tmp_path: Path) -> Any:
    """A league whose stores are files, running."""
    async with League(["lubeck", "bergen"], folder=tmp_path) as league:
        league.start()
        yield league


async def backed_up(marketplace: Marketplace) -> Path:
    """A copy of a store's file."""
    path = marketplace.path
    assert path is not None
    await marketplace.close()
    copy = path.with_suffix(".backup")
    shutil.copy(path, copy)
    await marketplace.open()
    marketplace.start()
    return copy


async def restored(marketplace: Marketplace, copy: Path | None) -> None:
    """Stop a member, put another store in place of its own, and start it."""
    path = marketplace.path
    assert path is not None
    await marketplace.close()
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    if copy is not None:
        shutil.copy(copy, path)
    await marketplace.open()
    marketplace.start()


@pytest.mark.parametrize("is_empty", [False, True])
async def test_a_restored_store_says_what_its_log_lost_and_goes_on(filed: League, is_empty: bool) -> None:
    first, second = filed.marketplaces
    await anchored(filed, first, "offer")
    copy = await backed_up(first)
    await filed.settle()
    await anchored(filed, first, "another")
    await anchored(filed, first, "third")
    await restored(first, None if is_empty else copy)
    await filed.settle()
    lost = 3 if is_empty else 2
    await anchored(filed, first, "later")
    assert len(positions_in(await contents(first, "restored"))) == lost
    report = await compared(first, second)
    assert report.lost == lost
    assert report.last_seq > (await log_of(first))[0].seq
    await first.restart()
    await filed.settle()
    assert len(await contents(first, "restored")) == 1


async def test_a_log_that_sees_the_last_anchor_alone_owns_up_to_those_before_it(filed: League) -> None:
    """As where a store is so far behind that the newest event of each key is read."""
    first, second = filed.marketplaces
    await anchored(filed, first, "offer")
    copy = await backed_up(first)
    await filed.settle()
    await anchored(filed, first, "another")
    await anchored(filed, first, "third")
    *_, newest = [one for one in (await second.bus.search(0)).events if one.event.entity.type == ANCHOR_TYPE]
    path = first.path
    assert path is not None
    await first.close()
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    shutil.copy(copy, path)
    await first.open()
    async with first.store.transaction() as tx:
        await record_lost_anchors(tx, [newest])
    assert (await compared(first, second)).lost == 2


async def test_an_operator_who_retries_everything_retries_no_anchor(league: League) -> None:
    first, second = league.marketplaces[:2]
    await anchored(league, first, "offer")
    async with second.store.transaction() as tx:
        assert await heads.retry(tx, heads.RETRYABLE, 100) == 0
    head = await heads.of_key(second.store, first.did, entity_key(first.did, anchor_id(first.did)))
    assert head is not None
    assert head.state == "skipped"
    await league.settle()


async def test_a_walk_over_heads_knows_anchors_as_skipped(league: League) -> None:
    first, second, _ = league.marketplaces
    await anchored(league, first, "offer")
    head = await heads.of_key(second.store, first.did, entity_key(first.did, anchor_id(first.did)))
    assert head is not None
    assert (head.state, head.problem) == ("skipped", None)
