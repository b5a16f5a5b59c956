"""A league of real processes with a member that lies: refused with a reason, nothing stored, nobody harmed.

One league serves all tests of this file. After each of them the honest members must be ready, with the
processes that they had before, and share a fresh offering.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import pytest_asyncio

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code
from hansa.core.events import (
    CREATE,
    EntityVersion,
    encode_event,
    event_name,
    identified,
)
from hansa.core.identifiers import entity_key
from hansa.pubsub.ledger.rules import NUMBERED_CODES
from hansa.pubsub.ledger.rules.events import encode_events
from hansa.pubsub.ledger_records import EventFilter
from tests.league.harness import OFFERINGS, League, RunningMember, league, wait_until
from tests.league.hostile_member import TYPE, HostileMember, offering
from tests.league.hostile_scene import (
    INDIVIDUALS,
    PATIENCE_S,
    SETTINGS,
    Scene,
    ahead,
    at_another_time,
    by_a_stranger,
    deep,
    deep_header,
    exchanged,
    forged,
    impersonating,
    out_of_order,
    own,
    shortened,
    too_large,
    twice_in_one,
)

pytestmark = [pytest.mark.league, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """The league, with the fourth member's place taken by the test."""
    folder = tmp_path_factory.mktemp("hostile") / "league"
    async with league(folder, 4, dict(SETTINGS), is_started=False) as made:
        honest = League(made.members[:3])
        await honest.start()
        async with HostileMember(made[3], made[1]) as hostile:
            yield Scene(honest, hostile, await hostile.bus.members())


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nobody_is_harmed(scene: Scene) -> AsyncIterator[None]:
    """What must hold after every test."""
    before = await scene.pids()
    yield
    scene.hostile.is_endless = scene.hostile.is_silent = False
    made = [
        await member.create_offering(name=f"fresh, from {member.name}") for member in scene.honest.members
    ]
    for created in made:
        await scene.honest.wait_until_visible(f"{OFFERINGS}/{created}")
    await scene.all_hold("all are ready", lambda member: member.is_ready())
    assert await scene.pids() == before


# -- what the ledger refuses --------------------------------------------------------------------------------------


REFUSED: dict[str, tuple[Callable[[Scene], bytes], Code]] = {
    "a forged signature": (forged, Code.EVENT_SIGNATURE_INVALID),
    "in the name of another": (impersonating, Code.EVENT_SIGNATURE_INVALID),
    "another event than was signed": (exchanged, Code.TRANSACTION_MALFORMED),
    "a part of what was signed": (shortened, Code.TRANSACTION_MALFORMED),
    "of a stranger": (by_a_stranger, Code.EVENT_ISSUER_UNKNOWN),
    "out of order": (out_of_order, Code.EVENT_VERSION_BROKEN),
    "ahead of nothing": (ahead, Code.EVENT_VERSION_BROKEN),
    "of tomorrow": (lambda scene: at_another_time(scene, 1.0), Code.EVENT_TIME_WRONG),
    "of last week": (lambda scene: at_another_time(scene, -7.0), Code.EVENT_TIME_WRONG),
    "twice in one batch": (twice_in_one, Code.EVENT_DUPLICATE),
    "too large": (too_large, Code.EVENT_TOO_LARGE),
    "no signature at all": (
        lambda scene: encode_events("not.a.batch", [encode_event(own(scene))]),
        Code.TRANSACTION_MALFORMED,
    ),
}


@pytest.mark.parametrize(("build", "code"), REFUSED.values(), ids=list(REFUSED))
async def test_a_batch_that_breaks_a_rule_is_refused_with_its_reason(
    scene: Scene, build: Callable[[Scene], bytes], code: Code
) -> None:
    position = await scene.position()
    answer = await scene.hostile.submit(build(scene))
    assert NUMBERED_CODES[answer["code"]] is code, answer
    assert answer["log"].endswith(".")
    assert await scene.position() == position
    await scene.nobody_has("urn:x:1")
    await scene.nobody_has("urn:x:forged")


@pytest.mark.parametrize(
    "transaction",
    [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"kind":"events","events":[]}', b'{"kind":"burn"}'],
    ids=["nothing", "half an object", "no text", "deep nesting", "no batch", "another kind"],
)
async def test_bytes_that_are_no_transaction_are_refused(scene: Scene, transaction: bytes) -> None:
    position = await scene.position()
    answer = await scene.hostile.submit(transaction)
    assert NUMBERED_CODES[answer["code"]] is Code.TRANSACTION_MALFORMED, answer
    assert await scene.position() == position


async def test_a_transaction_of_ten_megabytes_is_refused(scene: Scene) -> None:
    position = await scene.position()
    for size_bytes in (300_000, 10_485_760):
        answer = await scene.hostile.submit(b'{"kind":"events","batch":"' + b"x" * size_bytes)
        assert "too large" in answer["error"]["data"], answer["error"]
    assert await scene.position() == position


async def test_headers_that_exhaust_a_stack_end_no_process(scene: Scene) -> None:
    before = await scene.pids()
    for depth in (900, 1000, 1100, 1250):
        for _ in range(25):
            answer = await scene.hostile.submit(deep(depth)(scene))
            assert NUMBERED_CODES[answer["code"]] is Code.TRANSACTION_MALFORMED, answer
        bearer = {"Authorization": f"Bearer {deep_header(depth)}.e30.{'A' * 86}"}
        refused = await scene.lubeck.request("POST", OFFERINGS, {"name": "x"}, headers=bearer)
        assert refused.status == 401
    created = await scene.lubeck.create_offering(name="all the same")
    await scene.honest.wait_until_visible(f"{OFFERINGS}/{created}")
    assert await scene.pids() == before


async def test_a_batch_that_is_replayed_in_any_form_is_refused_by_its_number(scene: Scene) -> None:
    event = scene.hostile.describe("urn:x:replayed", offering("urn:x:replayed"))
    contents = [encode_event(event)]
    seq = scene.hostile.next_seq()
    jws = scene.hostile.sign(contents, seq=seq)
    assert (await scene.hostile.submit(encode_events(jws, contents)))["code"] == 0

    async def is_committed() -> bool:
        return bool((await scene.hostile.bus.search(0, EventFilter(keys=(event.entity.key,)))).events)

    await wait_until(is_committed, "the batch is on the ledger", PATIENCE_S, scene.honest.members)
    position = await scene.position()
    fresh = [encode_event(scene.hostile.describe("urn:x:fresh", offering("urn:x:fresh")))]
    for number, replayed in (
        (seq, contents),  # signed anew: other bytes, so that it is not the engine's memory that refuses
        (seq, fresh),
        (seq - 1, fresh),
        (1, fresh),
    ):
        again = encode_events(scene.hostile.sign(replayed, seq=number), replayed)
        answer = await scene.hostile.submit(again)
        assert NUMBERED_CODES[answer["code"]] is Code.BATCH_OUTDATED, answer
    answer = await scene.hostile.submit(scene.hostile.transaction(event))
    assert NUMBERED_CODES[answer["code"]] is Code.EVENT_DUPLICATE, answer
    assert await scene.position() == position


async def test_another_members_batch_brings_nothing_back(scene: Scene) -> None:
    created = await scene.lubeck.create_offering(name="first")
    await scene.honest.wait_until_visible(f"{OFFERINGS}/{created}")
    key = entity_key(scene.registered(scene.lubeck).did, created)
    scene.hostile.bodies[key] = (await scene.lubeck.get(f"/league/v1/entities/{created}")).body
    mine = EventFilter(keys=(key,))
    (first,) = (await scene.hostile.bus.search(0, mine, with_proofs=True)).events
    await rename(scene, created, "second")
    position = await scene.position()
    assert first.proof is not None
    answer = await scene.hostile.submit(encode_events(first.proof.jws, [first.content]))
    assert "error" in answer or NUMBERED_CODES[answer["code"]] is Code.BATCH_OUTDATED, answer
    answer = await scene.hostile.submit(scene.hostile.transaction(first.event))
    assert NUMBERED_CODES[answer["code"]] is Code.EVENT_MALFORMED, "the id is that of lubeck's version"
    own = identified(msgspec.structs.replace(first.event, issuer=scene.hostile.did))
    answer = await scene.hostile.submit(scene.hostile.transaction(own))
    assert answer["code"] == 0, (
        "an id and a key are those of their issuer: this one claims nothing of lubeck's"
    )
    await scene.all_accuse(key, Code.KEY_MISMATCH)
    assert await scene.position() == position + 1
    assert await scene.names(created) == ["second"] * 3


async def rename(scene: Scene, created: str, name: str) -> None:
    """Change an offering of lubeck's, and wait until everybody knows."""
    answer = await scene.lubeck.request("PATCH", f"{OFFERINGS}/{created}", {"name": name}, with_token=True)
    assert answer.status == 200

    async def is_renamed(member: RunningMember) -> bool:
        return bool((await member.get(f"{OFFERINGS}/{created}")).json()["name"] == name)

    await scene.all_hold(f"{created} is called {name}", is_renamed)


# -- what the other members refuse --------------------------------------------------------------------------------


async def test_wrong_bytes_are_refused_until_the_right_ones_come(scene: Scene) -> None:
    right, wrong = offering("urn:x:bytes", name="Edge"), offering("urn:x:bytes", name="Evil")
    key = entity_key(scene.hostile.did, "urn:x:bytes")
    scene.hostile.bodies[key] = wrong
    await scene.hostile.announce("urn:x:bytes", right)
    await scene.all_accuse(key, Code.HASH_MISMATCH)
    await scene.nobody_has("urn:x:bytes")
    scene.hostile.bodies[key] = right
    await scene.honest.wait_until_visible(f"{OFFERINGS}/urn:x:bytes")
    assert await scene.names("urn:x:bytes") == ["Edge"] * 3


async def test_an_event_for_somebody_elses_key_is_refused_and_blocks_nothing(scene: Scene) -> None:
    created = await scene.lubeck.create_offering(name="first")
    await scene.honest.wait_until_visible(f"{OFFERINGS}/{created}")
    key = entity_key(scene.registered(scene.lubeck).did, created)
    body = (await scene.lubeck.get(f"/league/v1/entities/{created}")).body
    scene.hostile.bodies[key] = body
    await scene.hostile.announce(created, body, entity=EntityVersion(key, TYPE, 1))
    await scene.all_accuse(key, Code.KEY_MISMATCH)
    await rename(scene, created, "second")


async def test_a_key_that_was_seen_early_cannot_be_taken_from_its_owner(scene: Scene) -> None:
    body = offering("urn:x:coveted", name="stolen")
    key = entity_key(scene.registered(scene.lubeck).did, "urn:x:coveted")
    scene.hostile.bodies[key] = body
    await scene.hostile.announce("urn:x:coveted", body, entity=EntityVersion(key, TYPE, 1))
    await scene.all_accuse(key, Code.KEY_MISMATCH)
    await scene.nobody_has("urn:x:coveted")
    await scene.lubeck.create_offering(id="urn:x:coveted", name="rightful")
    await scene.honest.wait_until_visible(f"{OFFERINGS}/urn:x:coveted")
    assert await scene.names("urn:x:coveted") == ["rightful"] * 3


async def test_an_identifier_that_another_member_owns_cannot_be_claimed(scene: Scene) -> None:
    created = await scene.lubeck.create_offering(name="rightful")
    await scene.honest.wait_until_visible(f"{OFFERINGS}/{created}")
    key, body = entity_key(scene.hostile.did, created), offering(created, name="stolen")
    scene.hostile.bodies[key] = body
    await scene.hostile.announce(created, body)
    await scene.all_accuse(key, Code.IDENTIFIER_STOLEN)
    assert await scene.names(created) == ["rightful"] * 3
    assert (await scene.lubeck.status())["conflicts"] == 0


async def test_the_earlier_claim_wins_everywhere_and_the_later_one_is_reported(scene: Scene) -> None:
    key, body = entity_key(scene.hostile.did, "urn:x:both"), offering("urn:x:both", name="earlier")
    await scene.hostile.announce("urn:x:both", body)
    await scene.all_accuse(key, Code.RETRIEVAL_MISSING)
    await scene.lubeck.create_offering(id="urn:x:both", name="later")

    async def is_reported() -> bool:
        return bool((await scene.lubeck.status())["conflicts"] == 1)

    await wait_until(is_reported, "lubeck knows of the conflict", PATIENCE_S, [scene.lubeck])
    scene.hostile.bodies[key] = body

    async def has_earlier(member: RunningMember) -> bool:
        answer = await member.get(f"{OFFERINGS}/urn:x:both")
        if member is scene.lubeck:  # its own entity was never public
            return answer.status == 404
        return answer.status == 200 and answer.json()["name"] == "earlier"

    await scene.all_hold("the earlier claim has won", has_earlier)


async def test_an_event_of_a_private_type_is_refused_without_asking_for_the_person(scene: Scene) -> None:
    body = canonical_json({"@type": "Individual", "id": "urn:x:person", "givenName": "Anna"})
    key = entity_key(scene.hostile.did, "urn:x:person")
    scene.hostile.bodies[key] = body
    await scene.hostile.announce(
        "urn:x:person",
        body,
        type=event_name("Individual", CREATE),
        entity=EntityVersion(key, "Individual", 1),
    )
    await scene.all_accuse(key, Code.ENTITY_INVALID)
    assert key not in scene.hostile.requested_keys
    for member in scene.honest.members:
        assert (await member.get(f"{INDIVIDUALS}/urn:x:person", with_token=True)).status == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"null", Code.ENTITY_INVALID),
        (b'{"@type": "ProductOffering"}', Code.ENTITY_INVALID),
        (b"[" * 70 + b"]" * 70, Code.ENTITY_INVALID),
        (b'{"@type":"Category","id":"urn:x:odd"}', Code.KEY_MISMATCH),
    ],
    ids=["null", "not canonical", "an array", "another entity"],
)
async def test_bytes_that_are_no_entity_are_refused_though_their_hash_is_right(
    scene: Scene, body: bytes, code: Code
) -> None:
    entity_id = f"urn:x:{hashlink(body)}"
    key = entity_key(scene.hostile.did, entity_id)
    scene.hostile.bodies[key] = body
    await scene.hostile.announce(entity_id, body)
    await scene.all_accuse(key, code)
    for member in scene.honest.members:
        assert (await member.get(f"/league/v1/entities/{entity_id}")).status == 404


@pytest.mark.parametrize("body", [b'{"a":NaN}', b"[" * 100_000], ids=["no JSON", "deep nesting"])
async def test_an_answer_that_cannot_be_read_is_refused_until_a_better_one_comes(
    scene: Scene, body: bytes
) -> None:
    right = offering(f"urn:x:{hashlink(body)}")
    key = entity_key(scene.hostile.did, f"urn:x:{hashlink(body)}")
    scene.hostile.bodies[key] = body
    await scene.hostile.announce(f"urn:x:{hashlink(body)}", right)
    await scene.all_accuse(key, Code.HASH_MISMATCH)
    scene.hostile.bodies[key] = right
    await scene.honest.wait_until_visible(f"{OFFERINGS}/urn:x:{hashlink(body)}")


@pytest.mark.parametrize(
    ("fault", "code"),
    [("is_endless", Code.RETRIEVAL_TOO_LARGE), ("is_silent", Code.RETRIEVAL_TIMEOUT)],
)
async def test_an_origin_that_never_ends_delays_its_own_entities_alone(
    scene: Scene, fault: str, code: Code
) -> None:
    entity_id = f"urn:x:{fault}"
    body = offering(entity_id)
    scene.hostile.bodies[entity_key(scene.hostile.did, entity_id)] = body
    setattr(scene.hostile, fault, True)
    await scene.hostile.announce(entity_id, body)

    await scene.all_name_the_problem(code)
    for member in scene.honest.members:
        assert (await member.get(f"/league/v1/entities/{entity_id}")).status == 404
    created = await scene.lubeck.create_offering(name="meanwhile")
    await scene.honest.wait_until_visible(f"{OFFERINGS}/{created}", timeout_s=10)
    setattr(scene.hostile, fault, False)
    await scene.honest.wait_until_visible(f"{OFFERINGS}/{entity_id}")


def lies(scene: Scene) -> dict[str, tuple[tuple[int, dict[str, str], bytes], Code]]:
    """Answers of an origin, or of something on the way to it, and what the others make of them."""
    deep = b'{"key":"%s","status":"found","entity":%s%s}\n' % (b"a" * 64, b"[" * 50_000, b"]" * 50_000)
    private = f"http://127.0.0.1:{scene.lubeck.port}/league/v1/entities"
    return {
        "404": ((404, {}, b"not here"), Code.RETRIEVAL_ANSWER_INVALID),
        "401": ((401, {"WWW-Authenticate": "Bearer"}, b"{}"), Code.RETRIEVAL_ANSWER_INVALID),
        "500": ((500, {}, b"oops"), Code.RETRIEVAL_UNREACHABLE),
        "redirect": ((307, {"Location": private}, b""), Code.RETRIEVAL_ANSWER_INVALID),
        "redirect-to-metadata": (
            (302, {"Location": "http://169.254.169.254/latest/meta-data"}, b""),
            Code.RETRIEVAL_ANSWER_INVALID,
        ),
        "page": (
            (200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"),
            Code.RETRIEVAL_ANSWER_INVALID,
        ),
        "deep": ((200, {}, deep), Code.RETRIEVAL_ANSWER_INVALID),
        "oversized": ((200, {}, b" " * 5_000_000), Code.RETRIEVAL_TOO_LARGE),
    }


async def test_whatever_an_origin_answers_the_others_go_on_and_say_why(scene: Scene) -> None:
    for name, (answer, code) in lies(scene).items():
        entity_id = f"urn:x:lie-{name}"
        body = offering(entity_id)
        key = entity_key(scene.hostile.did, entity_id)
        scene.hostile.bodies[key] = body
        scene.hostile.instead = answer
        await scene.hostile.announce(entity_id, body)
        await scene.all_name_the_problem(code)
        await scene.nobody_has(entity_id)
        for member in scene.honest.members:
            (head,) = (await member.get(f"/league/v1/replicas/{key}", with_token=True)).json()
            assert head["state"] == "pending", name
            figures = (await member.get("/metrics", with_token=True)).body.decode()
            assert "hansa_replicas{" in figures
        created = await scene.lubeck.create_offering(name=f"beside {name}")
        await scene.honest.wait_until_visible(f"{OFFERINGS}/{created}", timeout_s=20)
        scene.hostile.instead = None
        await scene.honest.wait_until_visible(f"{OFFERINGS}/{entity_id}", timeout_s=60)
