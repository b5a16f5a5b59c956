"""What has to hold of confidential entities: those have them for whom they are, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hansa.core.identifiers import entity_key
from hansa.sim.league import SimulatedLeague
from hansa.sim.members.member import STORE_FILES, SimulatedMember
from hansa.sim.oracle import CONDITIONS, Known, audience
from hansa.sim.violation import require
from hansa.sim.workload import SECRET
from hansa.store.tables.confidential import announced, received

_UNDER_WAY: Final = "SELECT entity_id FROM confidential_publication WHERE is_due <> 0"


async def under_way(league: SimulatedLeague, honest: Iterable[str]) -> str | None:
    """What of confidential entities still goes on; None: nothing.

    Args:
        league: All its members run.
        honest: DIDs of the members that have everything that they have ever sealed.
    """
    for member in league.members:
        assert member.process is not None, "all run"
        store = member.process.store
        if count := await announced.waiting_count(store):
            return f"{member.name} has {count} sealed events to submit"
        if rows := await store.sql.fetch(_UNDER_WAY):
            return f"{member.name} has to seal {rows}"
        if pending := set(await received.pending_issuers(store)) & set(honest):
            return f"{member.name} has sealed parts of {pending} to retrieve"
    return None


async def check_confidential(league: SimulatedLeague, known: Sequence[Sequence[Known]]) -> None:
    """Compare the replicas of confidential entities with what their origins have.

    Args:
        league: All its members run, and nothing goes on.
        known: The own entities of each member.

    Raises:
        ViolationError: Something does not hold.
    """
    expected: dict[str, dict[str, Known]] = {member.did: {} for member in league.members}
    for number, of_origin in enumerate(known):
        for one in of_origin:
            for did in audience(one, league.publish[number]) & set(expected):
                expected[did][one.id] = one
    for number, member in enumerate(league.members):
        await _check_replicas(member, expected[member.did], league.consume[number])
        _check_files(league, member)
    _check_ledger(league)


async def _check_replicas(member: SimulatedMember, expected: dict[str, Known], consume: str) -> None:
    """Check the confidential replicas of a member: those that its conditions let in, and no others."""
    assert member.process is not None, "all run"
    rows = await member.process.store.sql.fetch(
        "SELECT id, body FROM entity WHERE origin IS NOT NULL AND public = 0"
    )
    replicas = {str(id): body for id, body in rows}
    for entity_id, one in expected.items():
        is_accepted = one.type == "ProductOrder" or CONDITIONS[consume][1](one.type, one) == "permitted"
        body = replicas.get(entity_id)
        text = f"{member.name} has {body!r} of what is for it alone; {one.origin} has {one.body!r}"
        require(body == (one.body if is_accepted else None), text)
    for entity_id, body in replicas.items():
        require(entity_id in expected, f"{member.name} has {body!r}, which is not for it any more")


def _check_files(league: SimulatedLeague, member: SimulatedMember) -> None:
    """Nothing that is not for a member is anywhere in its store."""
    assert member.process is not None, "all run"
    for name in STORE_FILES:
        path = member.process.folder / name
        for secret in set(SECRET.findall(path.read_bytes() if path.exists() else b"")):
            readers = league.clients.audiences[secret.decode()]
            require(member.name in readers, f"{member.name} has {secret!r}, which is for {sorted(readers)}")


def _check_ledger(league: SimulatedLeague) -> None:
    """Nobody can read on the ledger what is confidential, nor that there is it."""
    content = league.ledger.main.application.state.connection.serialize("main")
    require(SECRET.search(content) is None, "a secret is on the ledger")
    for state in league.clients.all():
        if state.was_public or state.is_unsure:
            continue
        key = entity_key(league.members[state.owner].did, state.id)
        for text in (state.id.encode(), key.encode(), bytes.fromhex(key)):
            require(text not in content, f"{state.id} was never for everyone, and is on the ledger")
