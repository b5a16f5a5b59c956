"""A member that lost its store gets its confidential entities back from those to whom it sent them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from hansa.core.clock import rfc3339
from hansa.core.confidential.agreement import AgreementKey
from hansa.core.confidential.sealing import EventContext, Notice, content_of, opened, sender_of
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.limits import Limits
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.replication.confidential.return_exchange import (
    LOST_PATH,
    ReturnLine,
    encode_return_line,
    read_return_lines,
)
from hansa.replication.continuity.restored_store import note_restored
from hansa.store import Entity, EntityDraft
from hansa.store.tables import audit
from hansa.store.tables.confidential import announced, received
from tests.support.confidential import entity_of, events_of, put, replica, settle
from tests.support.league import League, Marketplace, draft
from tests.support.league_parts import LEAGUE
from tests.support.network import Fault
from tests.support.sealed_restoration import NAMES, ask, lose, parties, returned


@pytest.fixture
async def league() -> AsyncIterator[League]:
    async with League(NAMES) as league:
        league.start()
        yield league


def draft_of(entity: Entity) -> EntityDraft:
    """What a backup has of an entity."""
    return EntityDraft(
        entity.id, entity.type, entity.body, entity.hashlink, entity.public, nonce=entity.nonce
    )


def answering(change: Callable[[ReturnLine], ReturnLine]) -> Fault:
    """A member that answers something else about what was sealed for it."""

    def fault(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if not request.url.endswith(LOST_PATH) or answer.status != 200:
            return answer
        positions = msgspec.json.decode(request.body)["positions"]
        lines = [change(one) for one in read_return_lines(answer.body, positions)]
        return msgspec.structs.replace(answer, body=b"".join(map(encode_return_line, lines)))

    return fault


async def test_what_was_sealed_comes_back_byte_for_byte_and_goes_on(league: League) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    orders = [await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=n) for n in range(5)]
    chosen = await put(lubeck, "ProductOffering", "Launched", visibleTo=[riga.did])
    deleted = await put(lubeck, "Quote", relatedParty=parties(bergen, riga))
    await settle(league)
    await put(lubeck, "ProductOrder", entity_id=orders[1], relatedParty=parties(bergen, lubeck), n=10)
    await lubeck.delete(deleted)
    await settle(league)
    before = {each: await entity_of(lubeck, each) for each in (*orders, chosen)}
    await lose(lubeck)
    part = await returned(lubeck)
    assert (part.restored, part.present, part.withdrawn) == (6, 0, 0)
    assert [one.wrong for one in part.sources] == [0, 0, 0]
    for each, entity in before.items():
        again = await entity_of(lubeck, each)
        assert (again.body, again.nonce, again.origin, again.public) == (
            entity.body,
            entity.nonce,
            None,
            False,
        )
    assert await replica(lubeck, deleted) is None
    await settle(league)
    await put(lubeck, "ProductOrder", entity_id=orders[0], relatedParty=parties(bergen, lubeck), n=99)
    await lubeck.delete(orders[2])
    await settle(league)
    assert (await replica(bergen, orders[0]) or {})["n"] == 99
    assert await replica(bergen, orders[2]) is None
    assert (await replica(bergen, orders[1]) or {})["n"] == 10
    assert await replica(riga, chosen) is not None
    assert await bruges.store.sql.fetch("SELECT id FROM entity") == []
    again_part = await returned(lubeck)
    assert (again_part.restored, again_part.present) == (0, 0), "a second time there is nothing to do"


async def test_a_member_that_is_no_recipient_learns_nothing_and_gets_nothing(league: League) -> None:
    lubeck, bergen, riga, bruges = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), description="forklifts")
    await settle(league)
    (position,) = [one.position for one in await events_of(league)]
    body = msgspec.json.encode({"positions": [position, position + 1, 10**9]})
    for caller in (riga, bruges):
        answer = await ask(caller, bergen, body)
        assert {one.status for one in read_return_lines(answer.body, [position, position + 1, 10**9])} == {
            "unknown"
        }
    await lose(lubeck)
    seen: list[bytes] = []

    def overhear(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        seen.extend((request.body, answer.body))
        return answer

    league.network.tampering[riga.endpoint] = overhear
    assert (await returned(lubeck)).restored == 1
    requested = b"".join(seen)
    assert b'"unknown"' in requested
    assert b'"opened"' not in requested
    assert order.encode() not in requested
    records = [
        one for one in await audit.page(bergen.store, 0, 100) if b'"authority":"origin"' in one.content
    ]
    assert len(records) == 1
    assert lubeck.did.encode() in records[0].content
    assert order.encode() not in records[0].content


async def test_whoever_has_stolen_the_signing_key_alone_reads_nothing(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), description="forklifts")
    await settle(league)
    (event,) = await events_of(league)
    answer = await ask(lubeck, bergen, msgspec.json.encode({"positions": [event.position]}))
    (line,) = read_return_lines(answer.body, [event.position])
    assert line.sealed is not None
    assert line.part is not None
    assert b"forklifts" not in line.part
    context = EventContext(LEAGUE, bergen.did, event.event.entity.key)
    secrets, sender = lubeck.confidential.secrets, sender_of(line.sealed)
    for key, is_read in ((AgreementKey.generate(), False), (lubeck.agreement_keys[0], True)):
        secret = secrets.of_recipient(key, bergen.did, lubeck.did, sender)
        assert secret is not None
        read = opened(line.sealed, [secret], context)
        assert (read is not None) == is_read
        if read is not None:
            assert b"forklifts" in content_of(line.part, read.content_key, context)


def shifted(line: ReturnLine) -> ReturnLine:
    """The part is damaged."""
    return line if line.part is None else msgspec.structs.replace(line, part=line.part[:-1] + b"\0")


def foreign(line: ReturnLine) -> ReturnLine:
    """What is sealed is for nobody."""
    return line if line.sealed is None else msgspec.structs.replace(line, sealed="A" * 536)


def empty(line: ReturnLine) -> ReturnLine:
    return line if line.part is None else msgspec.structs.replace(line, part=b"")


LIES = {"shifted": shifted, "foreign": foreign, "empty": empty}


@pytest.mark.parametrize("lie", LIES)
async def test_a_recipient_that_sends_something_else_is_noticed_and_the_other_one_serves(
    league: League, lie: str
) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, riga), n=7)
    await settle(league)
    await lose(lubeck)
    league.network.faults[bergen.endpoint] = answering(LIES[lie])
    part = await returned(lubeck)
    assert part.restored == 1
    assert {one.did: one.wrong for one in part.sources}[bergen.did] == 1
    assert {one.did: one.wrong for one in part.sources}[riga.did] == 0
    assert (await replica(lubeck, order) or {})["n"] == 7
    (figures,) = lubeck.confidential.restoration._parts.ranking.figures((bergen.did,))
    assert figures.wrong == 1, "it is requested last from now on, and not for a while"


async def test_the_bytes_of_another_event_are_not_taken_for_those_of_this_one(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipient that seals the right content key with other bytes, or with the key of another event."""
    lubeck, bergen, *_ = league.marketplaces
    first = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=1)
    second = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=2)
    await settle(league)
    bodies = [(await entity_of(bergen, each)).body for each in (first, second)]
    await lose(lubeck)
    returns = bergen.confidential.returns
    honest = returns._body

    async def swapped(committed: CommittedEvent, notice: Notice) -> bytes:
        body = await honest(committed, notice)
        return bodies[1 - bodies.index(body)]

    monkeypatch.setattr(returns, "_body", swapped)
    part = await returned(lubeck)
    assert (part.restored, part.unopened) == (0, 2)
    assert {one.did: one.wrong for one in part.sources}[bergen.did] == 2
    changes: tuple[Callable[[bytes], bytes], ...] = (
        lambda body: body.replace(b'"n":', b'"m":'),
        lambda body: body + b" ",
        lambda body: body[:-1],
    )
    for change in changes:

        async def altered(
            committed: CommittedEvent, notice: Notice, change: Callable[[bytes], bytes] = change
        ) -> bytes:
            return change(await honest(committed, notice))

        monkeypatch.setattr(returns, "_body", altered)
        assert (await returned(lubeck)).restored == 0
    monkeypatch.setattr(returns, "_body", honest)
    await league.run(4000.0, 100.0)  # until those that sent wrong bytes are requested again
    assert (await returned(lubeck)).restored == 2


async def test_what_a_recipient_withholds_is_counted(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck))
    await settle(league)
    (event,) = await events_of(league)
    await lose(lubeck)
    league.network.faults[bergen.endpoint] = answering(lambda one: ReturnLine(one.position, "unknown"))
    part = await returned(lubeck)
    assert (part.restored, part.unopened, part.unopened_to) == (0, 1, event.position)
    assert await replica(lubeck, order) is None
    del league.network.faults[bergen.endpoint]
    assert (await returned(lubeck)).restored == 1


def retain(monkeypatch: pytest.MonkeyPatch, recipient: Marketplace, old: bytes, before: int) -> None:
    """Have a recipient send an old version of its only entity for each event before a position."""
    returns = recipient.confidential.returns
    honest = returns._body

    async def body(committed: CommittedEvent, notice: Notice) -> bytes:
        return old if committed.position < before else await honest(committed, notice)

    monkeypatch.setattr(returns, "_body", body)


async def test_an_old_version_does_not_stand_against_a_newer_one_of_another_recipient(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, riga), n=1)
    await settle(league)
    old = (await entity_of(bergen, order)).body
    await put(lubeck, "ProductOrder", entity_id=order, relatedParty=parties(bergen, riga), n=2)
    await settle(league)
    last = (await events_of(league))[-1].position
    await lose(lubeck)
    retain(monkeypatch, bergen, old, last)
    league.network.faults[bergen.endpoint] = answering(
        lambda one: ReturnLine(one.position, "unknown") if one.position == last else one
    )
    part = await returned(lubeck)
    assert part.unopened == 0, "riga has opened the newest"
    assert (await replica(lubeck, order) or {})["n"] == 2
    await settle(league)
    assert (await replica(bergen, order) or {})["n"] == 2
    await lose(lubeck)
    league.network.down.add(riga.endpoint)
    newest = (await events_of(league))[-1].position
    league.network.faults[bergen.endpoint] = answering(
        lambda one: ReturnLine(one.position, "unknown") if one.position >= last else one
    )
    part = await returned(lubeck)
    assert (await replica(lubeck, order) or {})["n"] == 1, "nobody else can be requested"
    assert part.unopened_to == newest, "and it is said that something followed"
    assert {one.did: one.problem for one in part.sources}[riga.did] is not None


async def test_what_was_withdrawn_does_not_come_back_from_who_retains_it(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    lubeck, bergen, *_ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=1)
    await settle(league)
    old = (await entity_of(bergen, order)).body
    await lubeck.delete(order)
    await settle(league)
    last = (await events_of(league))[-1].position
    await lose(lubeck)
    retain(monkeypatch, bergen, old, last)
    part = await returned(lubeck)
    assert (part.unopened, await replica(lubeck, order)) == (0, None)
    assert (part.restored, part.withdrawn) == (0, 1), "it came back, and went again"


async def test_more_recipients_than_slots_are_all_recipients_again() -> None:
    names = [f"member-{n}" for n in range(7)]
    async with League(names, countries=dict.fromkeys(names, "SE")) as league:
        league.start()
        first, *others = league.marketplaces
        offering = await put(first, "ProductOffering", "Launched", visibleTo=["country:SE"])
        await settle(league)
        await lose(first)
        assert (await returned(first)).restored == 1
        known = (await announced.states(first.store, [offering]))[offering]
        assert known.members == {one.did for one in others}
        await settle(league)
        await put(first, "ProductOffering", "Launched", entity_id=offering, visibleTo=["country:SE"], n=2)
        await settle(league)
        for market in others:
            assert (await replica(market, offering) or {})["n"] == 2


async def test_a_recipient_that_had_not_retrieved_it_yet_gets_the_bytes_after_all(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    await riga.stop()
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, riga), n=3)
    await settle(league, lubeck, bergen)
    await lubeck.close()
    await lubeck.open()
    lubeck.start()
    riga.start()
    await league.run(20)
    assert await replica(riga, order) is None, "the bytes that were encrypted for it are lost"
    assert (await returned(lubeck)).restored == 1
    await settle(league)
    assert (await replica(riga, order) or {})["n"] == 3


async def test_what_reached_nobody_is_withdrawn_from_who_waits_for_it(league: League) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    await bergen.stop()
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen), n=3)
    other = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, riga), n=4)
    await settle(league, lubeck, riga)
    await lubeck.close()
    await lubeck.open()
    lubeck.start()
    bergen.start()
    await league.run(20)
    part = await returned(lubeck)
    assert (part.restored, part.missing) == (1, 1)
    assert await lubeck.confidential.restoration.withdraw() == 1
    assert await lubeck.confidential.restoration.withdraw() == 0
    await settle(league)
    assert await replica(bergen, order) is None
    assert (await replica(bergen, other) or {})["n"] == 4
    assert await received.pending_issuers(bergen.store) == {}
    part = await returned(lubeck)
    assert (part.restored, part.missing) == (0, 0)


async def test_what_is_here_already_stays_and_everybody_gets_it_anew(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=1)
    await settle(league)
    backup = await entity_of(lubeck, order)
    await put(lubeck, "ProductOrder", entity_id=order, relatedParty=parties(bergen, lubeck), n=2)
    await settle(league)
    await lose(lubeck)
    async with lubeck.store.transaction() as tx:  # as a backup has it that knew nothing of sealing
        await tx.put(draft_of(backup))
    await settle(league)
    part = await returned(lubeck)
    assert part.restored == 0
    await settle(league)
    assert (await replica(lubeck, order) or {})["n"] == 1
    assert (await replica(bergen, order) or {})["n"] == 1


async def restored_from(member: Marketplace, entity: Entity, known: announced.AnnouncedEntity) -> None:
    """Lose the store, and go on with what a backup has of an entity and of its announcement."""
    await member.close()
    await member.open()
    async with member.store.transaction() as tx:
        await tx.put(draft_of(entity))
        await announced.record(tx, known)
    member.start()
    await settle(member.league)


async def test_what_a_backup_has_goes_again_to_who_was_told_of_its_end_since(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=1)
    await settle(league)
    backup, known = await entity_of(lubeck, order), await announced.states(lubeck.store, [order])
    await lubeck.delete(order)
    await settle(league)
    assert await replica(bergen, order) is None
    await restored_from(lubeck, backup, known[order])
    assert (await returned(lubeck)).missing == 0
    await settle(league)
    assert (await replica(bergen, order) or {})["n"] == 1


async def test_who_was_sent_it_before_and_may_not_have_it_any_more_loses_it_after_a_restoration(
    league: League,
) -> None:
    lubeck, bergen, riga, _ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=1)
    await settle(league)
    nonce = (await entity_of(lubeck, order)).nonce
    await lose(lubeck)
    changed = draft(order, None, "ProductOrder", relatedParty=parties(riga, lubeck), n=2)
    async with lubeck.store.transaction() as tx:  # the store knows nothing of what was sealed before
        await tx.put(msgspec.structs.replace(changed, nonce=nonce))
    await settle(league)
    assert (await replica(bergen, order) or {})["n"] == 1
    part = await returned(lubeck)
    assert (part.restored, part.missing) == (0, 0)
    await settle(league)
    assert await replica(bergen, order) is None
    assert (await replica(riga, order) or {})["n"] == 2


async def test_a_restored_backup_takes_the_newer_version_where_the_operator_says_so(league: League) -> None:
    lubeck, bergen, *_ = league.marketplaces
    orders = [await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck), n=1) for _ in range(2)]
    await settle(league)
    backup = [await entity_of(lubeck, each) for each in orders]
    for each in orders:
        await put(lubeck, "ProductOrder", entity_id=each, relatedParty=parties(bergen, lubeck), n=2)
    await settle(league)
    await lubeck.close()
    await lubeck.open()
    async with lubeck.store.transaction() as tx:
        for entity in backup:
            await tx.put(draft_of(entity))
    await league.run(1.0)
    await note_restored(lubeck.store, rfc3339(league.clock.now()))
    await league.run(1.0)
    await put(lubeck, "ProductOrder", entity_id=orders[1], relatedParty=parties(bergen, lubeck), n=3)
    part = await returned(lubeck)
    assert part.restored == 1
    assert part.present == 1
    lubeck.start()
    await settle(league)
    for market in (lubeck, bergen):
        assert [(await replica(market, each) or {})["n"] for each in orders] == [2, 3]


async def test_large_answers_come_in_several() -> None:
    limits = Limits(retrieval_size_max_bytes=4000)
    async with League(["lubeck", "bergen"], limits) as league:
        league.start()
        lubeck, bergen = league.marketplaces
        orders = [await put(lubeck, "Quote", relatedParty=parties(bergen), n=n) for n in range(6)]
        await settle(league)
        await lose(lubeck)
        requested = len(league.network.requests)
        part = await returned(lubeck)
        assert part.restored == len(orders)
        assert len([one for one in league.network.requests[requested:] if one.url.endswith(LOST_PATH)]) > 1
