"""A member whose store was lost takes its own entities back from the league, whoever lies or is away."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hansa.cli.catalogue import restoring
from hansa.cli.catalogue.restoring import RestoreReport, restore_lost
from hansa.cli.output import Output
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import rfc3339
from hansa.core.errors import Code
from hansa.core.events import ENTITIES_PATH
from hansa.core.http import HttpRequest, HttpResponse
from hansa.replication.announced.bundles import BUNDLE_TYPE, BundledPart, packed, unpacked
from hansa.replication.continuity import restoration
from hansa.replication.continuity.restoration import RestoredPart
from hansa.replication.continuity.restored_store import note_restored
from hansa.store import Entity
from hansa.store.tables import publications
from tests.support.in_process import InProcessClient
from tests.support.league import League, Marketplace
from tests.support.network import Fault
from tests.unit.replication.test_auditing import anchored, anchors_of

NAMES = ("lubeck", "bergen", "riga")


async def lose(member: Marketplace) -> None:
    """Lose the store, and read the ledger with an empty one."""
    await member.close()
    await member.open()
    member.start()
    await member.league.settle(member)


async def restored(member: Marketplace) -> list[RestoredPart]:
    """All parts of a restoration."""
    parts: list[RestoredPart] = []
    after: int | None = 0
    while after is not None:
        parts.append(await member.restoration.restore(after))
        after = parts[-1].next_after
    return parts


async def entity_of(member: Marketplace, entity_id: str) -> Entity:
    entity = await member.store.entity(entity_id)
    assert entity is not None
    return entity


async def lost_count(member: Marketplace) -> int:
    return (await member.view.progress((), None)).gauges.lost


async def position_of(member: Marketplace) -> int:
    return (await member.bus.ledger()).position


async def test_what_was_public_comes_back_byte_for_byte_and_nothing_is_announced_again(
    league: League,
) -> None:
    lubeck, bergen, riga = league.marketplaces
    for n in range(12):
        await lubeck.put(str(n), n=n)
        await lubeck.put(str(n), n=n + 1)
    bound = [await lubeck.put_bound(n=n) for n in range(3)]
    draft = await lubeck.put("draft", "In design")
    await lubeck.delete(lubeck.id("3"))
    await riga.put("of-riga")
    await league.settle()
    before = await lubeck.catalogue()
    await lose(lubeck)
    position = await position_of(bergen)
    (part,) = await restored(lubeck)
    assert (part.lost, part.restored, part.rewritten, part.ended, part.missing) == (14, 14, 0, 0, ())
    await league.settle()
    assert await lubeck.catalogue() == before == await bergen.catalogue()
    assert await position_of(bergen) == position
    assert await lost_count(lubeck) == 0
    assert await lubeck.store.entity(draft) is None
    assert await lubeck.store.entity(lubeck.id("3")) is None
    restored_entity = await entity_of(lubeck, bound[0])
    assert restored_entity.origin is None
    assert restored_entity.nonce is not None
    await lubeck.put_many([(bound[0], "Launched", "ProductOffering", {"n": 99})])
    await lubeck.put("1", n=99)
    await league.settle()
    assert await lubeck.catalogue() == await riga.catalogue()
    assert b"99" in (await entity_of(riga, bound[0])).body
    assert await restored(lubeck) == [RestoredPart(0, 0, 0, 0, (), (), None)]


def in_bundles(*, swap: bool = False, body: bytes | None = None) -> Fault:
    """A member that signs bundles of other bytes: altered, older, or those of other entities."""

    def fault(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if request.headers.get("accept") != BUNDLE_TYPE or not answer.body:
            return answer
        parts = unpacked(answer.body)
        bodies = [bytes(one.entity) for one in parts]
        if swap:
            bodies = [*bodies[1:], bodies[0]]
        else:
            bodies = [body if body is not None else one.replace(b'"n":', b'"m":') for one in bodies]
        wrong = [
            BundledPart(one.key, one.hashlink, msgspec.Raw(each))
            for one, each in zip(parts, bodies, strict=True)
        ]
        bundle = packed(wrong)
        assert bundle is not None
        return msgspec.structs.replace(answer, body=bundle)

    return fault


LIES = {
    "altered": in_bundles(),
    "foreign": in_bundles(swap=True),
    "older": in_bundles(body=canonical_json({"@type": "ProductOffering", "id": "urn:x:1", "n": 0})),
    "none": in_bundles(body=b"not json"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_member_that_serves_other_bytes_is_accused_and_the_others_are_taken(
    league: League, lie: str
) -> None:
    lubeck, bergen, riga = league.marketplaces
    for n in range(6):
        await lubeck.put(str(n), n=n)
    await league.settle()
    before = await lubeck.catalogue()
    await lose(lubeck)
    league.network.faults[bergen.endpoint] = LIES[lie]
    for _ in range(2):  # whoever is requested first
        await restored(lubeck)
    await league.settle(lubeck)
    assert await lubeck.catalogue() == before
    evidence = await lubeck.evidence()
    assert evidence <= {(bergen.did, str(Code.SOURCE_WRONG_BYTES))}
    figures = lubeck.restoration._parts.ranking.figures((bergen.did, riga.did))
    assert figures[1].wrong == 0
    if figures[0].answers:
        assert evidence, "what it signed is evidence"


async def test_only_liars_leave_everything_lost_and_nothing_of_theirs_here(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    for n in range(4):
        await lubeck.put(str(n), n=n)
    await league.settle()
    await lose(lubeck)
    for one in (bergen, riga):
        league.network.faults[one.endpoint] = LIES["altered"]
    (part,) = await restored(lubeck)
    assert (part.restored, len(part.missing)) == (0, 4)
    assert {one.did: one.wrong for one in part.sources} == {bergen.did: 4, riga.did: 4}
    assert await lubeck.catalogue() == {}
    league.network.faults.clear()
    await league.run(120)  # wrong bytes are followed by a pause
    assert sum(one.restored for one in await restored(lubeck)) == 4


async def test_members_that_answer_nothing_hold_up_no_more_than_their_time(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    for n in range(4):
        await lubeck.put(str(n), n=n)
    await league.settle()
    await lose(lubeck)
    league.network.down.add(bergen.endpoint)
    (part,) = await restored(lubeck)
    assert part.restored == 4
    await lose(lubeck)
    league.network.down.add(riga.endpoint)
    (part,) = await restored(lubeck)
    assert (part.restored, len(part.missing)) == (0, 4)
    assert {one.problem for one in part.sources} == {str(Code.RETRIEVAL_UNREACHABLE)}
    (part,) = await restored(lubeck)
    assert {one.problem for one in part.sources} == {restoration.PAUSED}
    league.network.down.clear()
    await league.run(5)
    (part,) = await restored(lubeck)
    assert part.restored == 4


async def test_a_restoration_is_interrupted_and_continued(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration, "BATCH_MAX", 5)
    lubeck, bergen, _ = league.marketplaces
    for n in range(13):
        await lubeck.put(f"{n:02}", n=n)
    await league.settle()
    await lose(lubeck)
    first = await lubeck.restoration.restore(0)
    assert (first.restored, first.next_after is not None) == (5, True)
    await lubeck.restart()
    assert await lost_count(lubeck) == 8
    parts = await restored(lubeck)
    assert [one.restored for one in parts] == [5, 3]
    await league.settle()
    assert await lubeck.catalogue() == await bergen.catalogue()


async def test_what_was_written_again_meanwhile_stays(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    for n in range(5):
        await lubeck.put(str(n), n=n)
    await league.settle()
    await lubeck.close()
    await lubeck.open()
    lubeck.start()
    await lubeck.put("0", n=100)
    await lubeck.put("1", "In design", n=101)
    await league.settle(lubeck)
    parts = await restored(lubeck)
    assert sum(one.restored for one in parts) == 3
    await league.settle()
    for member in (bergen, riga):
        catalogue = await member.catalogue()
        assert set(catalogue) == {lubeck.id(str(n)) for n in (0, 2, 3, 4)}
        assert b"100" in (await entity_of(member, lubeck.id("0"))).body
    assert b"101" in (await entity_of(lubeck, lubeck.id("1"))).body
    assert await lost_count(lubeck) == 0


@pytest.mark.parametrize("is_followed", [False, True])
@pytest.mark.parametrize("type_name", ["ProductOffering", "ProductOrder"])
async def test_a_lost_identifier_that_is_created_anew_as_a_draft_is_withdrawn(
    league: League, type_name: str, *, is_followed: bool
) -> None:
    lubeck, bergen, riga = league.marketplaces
    entity_id = await lubeck.put("one", n=1)
    await league.settle()
    await lubeck.close()
    await lubeck.open()
    if is_followed:
        lubeck.start()
        await league.settle(lubeck)
        assert await lost_count(lubeck) == 1
    await lubeck.put(entity_id, "In design", type_name, n=2)
    if not is_followed:
        lubeck.start()
    await league.settle()
    assert await bergen.catalogue() == await riga.catalogue() == {}
    assert await lost_count(lubeck) == 0
    await lubeck.put(entity_id, "Launched", n=3)
    await league.settle()
    assert set(await bergen.catalogue()) == {entity_id}


async def test_what_the_ledger_has_deleted_meanwhile_is_lost_no_more(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    entity_id = await lubeck.put("one", n=1)
    await league.settle()
    replica = await entity_of(bergen, entity_id)
    await lubeck.delete(entity_id)
    await league.settle()
    await lose(lubeck)
    assert await lost_count(lubeck) == 0
    async with lubeck.store.transaction() as tx:  # as a page that is not followed yet leaves it
        key = lubeck.publisher._announcer.key_of(entity_id)
        row = publications.LostEntity(key, replica.type, 1, replica.hashlink, 1, "2026-01-01T00:00:00.000Z")
        await publications.record_lost(tx, row, is_deleted=False)
    (part,) = await restored(lubeck)
    assert (part.lost, part.ended, part.restored) == (1, 1, 0)
    assert await lost_count(lubeck) == 0
    assert await lubeck.catalogue() == {}


async def test_what_nobody_has_is_listed_and_withdrawn_on_request() -> None:
    async with League(NAMES, has_pushes=False) as league:
        lubeck, bergen, riga = league.marketplaces
        league.start()
        ids = [await lubeck.put(str(n), n=1) for n in range(3)]
        await league.settle()
        league.network.down.add(lubeck.endpoint)
        await lubeck.put("0", n=2)
        await league.settle(lubeck)
        league.network.down.clear()
        await lose(lubeck)
        (part,) = await restored(lubeck)
        assert (part.restored, len(part.missing)) == (2, 1)
        assert part.missing[0].version == 2
        assert ids[0] in await bergen.catalogue()
        assert await lubeck.restoration.withdraw([one.key for one in part.missing]) == 1
        assert await lubeck.restoration.withdraw([one.key for one in part.missing]) == 0
        await league.settle()
        assert set(await bergen.catalogue()) == set(await riga.catalogue()) == {ids[1], ids[2]}
        assert await lost_count(lubeck) == 0
        await lubeck.put("0", n=3)
        await league.settle()
        assert await lubeck.catalogue() == await bergen.catalogue()
        assert set(await bergen.catalogue()) == set(ids)


async def backed_up(lubeck: Marketplace) -> bytes:
    await lubeck.close()
    assert lubeck.path is not None
    backup = lubeck.path.read_bytes()
    await lubeck.open()
    lubeck.start()
    return backup


async def restore_backup(lubeck: Marketplace, backup: bytes) -> None:
    await lubeck.close()
    await lubeck.league.run(1)
    assert lubeck.path is not None
    lubeck.path.write_bytes(backup)
    await lubeck.open()
    await note_restored(lubeck.store, rfc3339(lubeck.league.clock.now()))
    lubeck.start()


async def test_a_backup_takes_newer_versions_from_the_league_when_it_is_to(tmp_path: Path) -> None:
    async with League(NAMES, folder=tmp_path) as league:
        lubeck, bergen, riga = league.marketplaces
        league.start()
        for name in ("changed", "deleted", "same", "edited", "unannounced"):
            await lubeck.put(name, n=1)
        await league.settle()
        await lubeck.stop()
        await lubeck.put("unannounced", n=2)
        backup = await backed_up(lubeck)
        await league.settle()
        await lubeck.put("changed", n=3)
        await lubeck.put("edited", n=3)
        await lubeck.put("unannounced", n=3)
        await lubeck.put("new", n=3)
        await lubeck.delete(lubeck.id("deleted"))
        await league.settle()
        before = await bergen.catalogue()
        await restore_backup(lubeck, backup)
        await lubeck.put("edited", n=4)
        await league.settle()
        assert {key: one for key, one in (await bergen.catalogue()).items() if "edited" not in key} == {
            key: one for key, one in before.items() if "edited" not in key
        }
        assert await lost_count(lubeck) == 3
        assert await lubeck.store.entity(lubeck.id("deleted")) is None
        (part,) = await restored(lubeck)
        assert (part.restored, part.rewritten, part.missing) == (3, 0, ())
        await league.settle()
        assert await lubeck.catalogue() == await bergen.catalogue() == await riga.catalogue()
        for name, n in (("changed", 3), ("edited", 4), ("unannounced", 3), ("new", 3), ("same", 1)):
            assert b'"n":%d' % n in (await entity_of(riga, lubeck.id(name))).body
        await lubeck.put("changed", n=5)
        await league.settle()
        assert b'"n":5' in (await entity_of(bergen, lubeck.id("changed"))).body


async def test_an_anchor_of_the_audit_log_is_nothing_that_a_backup_can_lack(tmp_path: Path) -> None:
    async with League(NAMES, folder=tmp_path) as league:
        lubeck = league.marketplaces[0]
        league.start()
        await anchored(league, lubeck, "offer")
        backup = await backed_up(lubeck)
        await league.settle()
        await anchored(league, lubeck, "another")
        await restore_backup(lubeck, backup)
        await league.settle()
        assert await lost_count(lubeck) == 1, "the offering, and not the anchor"
        (part,) = await restored(lubeck)
        assert (part.restored, part.missing) == (1, ())
        assert await lost_count(lubeck) == 0
        await anchored(league, lubeck, "third")
        assert len(await anchors_of(lubeck, league.marketplaces[1])) >= 3, "anchoring goes on"


async def test_a_change_after_the_restore_is_not_overwritten(tmp_path: Path) -> None:
    async with League(NAMES, folder=tmp_path) as league:
        lubeck, bergen, _ = league.marketplaces
        league.start()
        await lubeck.put("one", n=1)
        await league.settle()
        backup = await backed_up(lubeck)
        await lubeck.put("one", n=2)
        await league.settle()
        await restore_backup(lubeck, backup)
        await league.settle()
        assert await lost_count(lubeck) == 1
        await lubeck.put("one", n=3)
        await restored(lubeck)
        await league.settle()
        assert b'"n":3' in (await entity_of(bergen, lubeck.id("one"))).body
        assert await lubeck.catalogue() == await bergen.catalogue()
        assert await lost_count(lubeck) == 0


async def test_what_nobody_has_in_the_newer_version_is_announced_as_it_is_here(tmp_path: Path) -> None:
    async with League(NAMES, folder=tmp_path, has_pushes=False) as league:
        lubeck, bergen, riga = league.marketplaces
        league.start()
        await lubeck.put("one", n=1)
        await league.settle()
        backup = await backed_up(lubeck)
        league.network.down.add(lubeck.endpoint)
        await lubeck.put("one", n=2)
        await league.settle(lubeck)
        league.network.down.clear()
        await restore_backup(lubeck, backup)
        await league.settle(lubeck)
        (part,) = await restored(lubeck)
        assert len(part.missing) == 1
        assert part.missing[0].entity_id == lubeck.id("one")
        await lubeck.restoration.withdraw([part.missing[0].key])
        await league.settle()
        assert await lubeck.catalogue() == await bergen.catalogue() == await riga.catalogue()
        assert b'"n":1' in (await entity_of(bergen, lubeck.id("one"))).body


async def test_the_command_goes_through_all_parts_and_names_what_is_missing(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoration, "BATCH_MAX", 4)
    lubeck, bergen, riga = league.marketplaces
    for n in range(10):
        await lubeck.put(f"{n:02}", n=n)
    await league.settle()
    for member in (bergen, riga):
        async with member.store.transaction() as tx:
            await tx.delete(lubeck.id("07"))
    await lose(lubeck)

    class Operator(InProcessClient):
        """Answers what the node itself does."""

        async def get(self, path: str, parameters: object = ()) -> object:
            del parameters
            if path == "/league/v1/members":
                return [{"did": one.did, "name": one.name} for one in league.marketplaces]
            assert path == "/league/v1/status"
            return {"lost": await lost_count(lubeck), "position": 10, "followed_to": 10, "catching_up": False}

    monkeypatch.setattr(restoring, "RETRY_S", 0.0)
    client = Operator(league.network.applications[lubeck.endpoint], "otto:operator")
    report = RestoreReport("http://x")
    await restore_lost(client, report, Output(as_json=True), league.clock)
    assert (report.lost, report.restored, report.missing) == (10, 9, 1)
    assert {one.name for one in report.sources} == {"bergen", "riga"}
    assert [one.key for one in report.missing_entities] == [
        lubeck.publisher._announcer.key_of(lubeck.id("07"))
    ]
    signed = [one for one in league.network.requests if one.url.endswith(ENTITIES_PATH)]
    assert all(one.headers for one in signed)
    entity = await entity_of(lubeck, lubeck.id("00"))
    assert hashlink(entity.body) == entity.hashlink
