"""A store and a ledger that do not belong together are noticed; what one lacks of the other is made up."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Fatal
from hansa.core.keys import SigningKey
from hansa.node.folder import GENESIS, LEDGER, MEMBER_KEY, init_member, load_genesis
from hansa.node.settings.loading import load_settings
from hansa.node.wiring import assemble
from hansa.pubsub.ledger.reading import RegistryState
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.continuity.binding import bind_store, is_continued
from hansa.store import Entity
from hansa.store.tables import facts, heads, origins, publications
from tests.support.league import TYPES, League, Marketplace

CLOCK = SystemClock()
NAMES = ("lubeck", "bergen")


async def test_a_store_of_another_marketplace_or_ledger_is_refused() -> None:
    async with League(NAMES) as league:
        lubeck, bergen = league.marketplaces
        await bind_store(lubeck.store, lubeck.did, "hansa-1", "2026-01-01T00:00:00Z")
        await bind_store(lubeck.store, lubeck.did, "hansa-1", "2026-01-01T00:00:00Z")
        for binding in (
            (bergen.did, "hansa-1", "2026-01-01T00:00:00Z"),
            (lubeck.did, "hansa-2", "2026-01-01T00:00:00Z"),
            (lubeck.did, "hansa-1", "2026-02-02T00:00:00Z"),
        ):
            with pytest.raises(Fatal) as refusal:
                await bind_store(lubeck.store, *binding)
            assert refusal.value.code is Code.STORE_FOREIGN
            assert "recover.md" in refusal.value.message


async def test_a_copied_store_is_refused_though_it_was_never_bound() -> None:
    async with League(NAMES) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await lubeck.put("one")
        await league.settle()
        with pytest.raises(Fatal) as refusal:
            await bind_store(bergen.store, lubeck.did, "hansa-1", "2026-01-01T00:00:00Z")
        assert refusal.value.code is Code.STORE_FOREIGN


async def test_a_store_that_has_followed_another_ledger_ends_the_follower() -> None:
    async with League(NAMES) as one, League(NAMES) as other:
        for league in (one, other):
            league.start()
            await league.marketplaces[0].put(f"of-{id(league)}")
            await league.settle()
        store, bus = one.marketplaces[1].store, other.marketplaces[1].bus
        assert await is_continued(store, one.marketplaces[1].bus)
        with pytest.raises(Fatal) as refusal:
            await is_continued(store, bus)
        assert refusal.value.code is Code.STORE_FOREIGN


async def test_a_ledger_that_is_behind_its_store_is_waited_for_and_reported() -> None:
    async with League(NAMES) as one, League(NAMES) as empty:
        one.start()
        await one.marketplaces[0].put("one")
        await one.settle()
        bergen = one.marketplaces[1]
        await bergen.stop()
        bergen.bus = empty.ledger.bus()
        bergen.start()
        await one.run(10)
        assert await bergen.failure() is None
        assert bergen.follower.is_ledger_behind
        await bergen.stop()
        bergen.bus = one.ledger.bus()
        bergen.start()
        await one.settle()
        assert not bergen.follower.is_ledger_behind


async def test_a_start_with_another_genesis_over_an_old_store_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lubeck"
    init_member(folder, "lubeck", "http://127.0.0.1:8101", CLOCK, p2p_port=26_656)
    monkeypatch.chdir(folder)
    settings = load_settings(Path(), {})
    genesis, document = load_genesis(Path())
    key = SigningKey.load(MEMBER_KEY)
    registered = RegistryState(document.app_state.members, document.app_state.params)
    made = await assemble(settings, genesis, registered, key, {}, CLOCK, os.urandom)
    await made.close()
    again = genesis.replace(document.genesis_time.encode(), b"2031-01-01T00:00:00Z")
    assert again != genesis
    GENESIS.write_bytes(again)
    (LEDGER / "config" / "genesis.json").unlink()  # the engine's folder is new
    with pytest.raises(Fatal) as refusal:
        await assemble(settings, again, registered, key, {}, CLOCK, os.urandom)
    assert refusal.value.code is Code.STORE_FOREIGN
    assert refusal.value.exit_status == 17


async def test_an_origin_whose_store_was_lost_learns_what_the_ledger_has_of_it() -> None:
    async with League(NAMES) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        for number in range(5):
            await lubeck.put(str(number), n=number)
        await league.settle()
        await lubeck.delete(lubeck.id("4"))
        await league.settle()
        await lubeck.close()
        await lubeck.open()  # an empty store
        lubeck.start()
        await league.settle()
        assert (await lubeck.view.progress((), None)).gauges.lost == 4
        lost = await publications.lost(lubeck.store, 0, 10)
        keys = {one.key for one in lost}
        assert keys == {lubeck.publisher._announcer.key_of(lubeck.id(str(number))) for number in range(4)}
        for number in range(4):  # as `hansa export` of another member and `hansa import` here
            await lubeck.put(str(number), n=number)
        await league.settle()
        assert (await lubeck.view.progress((), None)).gauges.lost == 0
        assert await lubeck.catalogue() == await bergen.catalogue()


async def test_an_origin_that_was_restored_announces_what_it_has_again(tmp_path: Path) -> None:
    async with League(NAMES, folder=tmp_path) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        for name in ("changed", "deleted later", "the same"):
            await lubeck.put(lubeck.id(name.replace(" ", "-")), n=1)
        await league.settle()
        await lubeck.close()
        assert lubeck.path is not None
        backup = lubeck.path.read_bytes()
        await lubeck.open()
        lubeck.start()
        await lubeck.put("changed", n=2)
        await lubeck.delete(lubeck.id("deleted-later"))
        await lubeck.put("new", n=1)
        await league.settle()
        await lubeck.close()
        lubeck.path.write_bytes(backup)
        await lubeck.open()
        lubeck.start()

        async def is_announced_again() -> bool:
            changed = await bergen.store.entity(lubeck.id("changed"))
            return changed is not None and b'"n":1' in changed.body

        await league.until(is_announced_again, 600.0)
        await league.settle()
        assert await lubeck.catalogue() == {
            lubeck.id(name): each
            for name, each in (
                (one.rsplit(":", 1)[1], value) for one, value in (await lubeck.catalogue()).items()
            )
        }
        assert await bergen.store.entity(lubeck.id("deleted-later")) is not None
        assert (await lubeck.view.progress((), None)).gauges.lost == 1
        assert await bergen.store.entity(lubeck.id("new")) is not None  # the others still have it


async def test_a_store_that_reads_the_ledger_again_changes_nothing_that_it_has() -> None:
    async with League(NAMES) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        for number in range(10):
            await lubeck.put(str(number), n=1)
            await lubeck.put(str(number), n=2)
        await league.settle()
        await lubeck.delete(lubeck.id("3"))
        await lubeck.put("4", n=3)
        await league.settle()
        before = await bergen.catalogue()
        changes = await bergen.store.last_change()
        await bergen.stop()
        async with bergen.store.transaction() as tx:  # as the migration from an earlier release does
            await tx.set_cursor(heads.FOLLOWER_CURSOR, 0)
            await tx.sql.execute("UPDATE origin SET heads = 0")
            await tx.sql.execute("DELETE FROM head WHERE state != 'stored'")
            await tx.sql.execute("DELETE FROM fact")
        bergen.start()
        await league.settle()
        assert await bergen.catalogue() == before
        assert await bergen.store.last_change() == changes
        (origin,) = await origins.origins(bergen.store)
        assert (origin.heads, origin.stored, origin.deleted, origin.unaccounted) == (10, 9, 1, 0)


class WithoutRating:
    """A rule of a later release: the rating is private."""

    def published(self, entity: Entity) -> Entity:
        body = msgspec.json.decode(entity.body)
        if body.pop("rating", None) is None:
            return entity
        part = canonical_json(body)
        return msgspec.structs.replace(entity, body=part, hashlink=hashlink(part))


@pytest.mark.parametrize("is_interrupted", [False, True])
async def test_an_attribute_that_another_release_makes_private_leaves_the_others(
    is_interrupted: bool, tmp_path: Path
) -> None:
    async with League(NAMES, folder=tmp_path) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        names = [f"{number:03}" for number in range(250)]
        await lubeck.put_many(
            [(lubeck.id(name), "Launched", "ProductOffering", {"rating": "AAA"}) for name in names]
        )
        await league.settle()
        assert lubeck.walk.compared <= 250
        await lubeck.stop()
        await lubeck.close()
        await open_with(lubeck, WithoutRating(), "second")
        if is_interrupted:
            await league.run(0.05)
            await lubeck.restart()
        await league.settle()
        await league.until(lambda: is_walked(lubeck))
        await league.settle()
        for name in names:
            entity = await bergen.store.entity(lubeck.id(name))
            assert entity is not None
            assert b"AAA" not in entity.body
        assert await bergen.evidence() == set()
        published = (await bergen.bus.ledger()).position
        await lubeck.restart()  # once is enough
        await league.run(5)
        assert lubeck.walk.compared == 0
        assert (await bergen.bus.ledger()).position == published == 500


async def open_with(member: Marketplace, distribution: WithoutRating, rule: str) -> None:
    member.policy = DistributionPolicy(member.did, TYPES, distribution, rule)
    await member.open()
    member.start()


async def is_walked(member: Marketplace) -> bool:
    return await facts.value(member.store, "publication_rule") == member.policy.publish_rule


async def test_what_another_release_makes_public_or_private_is_published_or_withdrawn(tmp_path: Path) -> None:
    async with League(NAMES, folder=tmp_path) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        draft_id = await lubeck.put("draft", "In test")
        public_id = await lubeck.put("public", "Retired")
        bound_id = await lubeck.put_bound("In test")
        await league.settle()
        assert set(await bergen.catalogue()) == {public_id}
        lubeck.is_public = lambda entity: b"In test" in entity.body
        lubeck.policy = DistributionPolicy(lubeck.did, TYPES, release_rule="second")
        await lubeck.restart()
        await league.until(lambda: is_walked(lubeck))
        await league.settle()
        assert set(await bergen.catalogue()) == {draft_id, bound_id}
        assert await bergen.catalogue() == await lubeck.catalogue()
        private = await lubeck.store.entity(public_id)
        assert private is not None
        assert not private.public
