"""`hansa keys rotate D --key validator` and `--key node`: other keys for the engine of a marketplace.

A validator's key has its power by a vote of the league, so another one takes a vote too:

    1  the new key is written beside the present one; no engine has it
    2  a proposal, with a proof of possession by the new key, goes to the ledger, and the members vote
    3  when it passes, the key in use loses its power for ever; `hansa serve` stops the engine, puts the new
       key in its place, and starts it (`hansa.node.validator.next_keys`)

The node's key is the member's own affair:

    1  the new key is written beside the present one
    2  a statement registers both, so that the others' engines accept either
    3  `hansa serve` stops the engine, puts the new key in its place, and starts it
    4  a statement registers the new one alone

Whatever is interrupted, running it again goes on with the same new key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hansa.cli.league.governing import checked_lifetime_s, proposed, state_nodes, what_it_needs
from hansa.cli.league.own_league import OwnLeague, own_league
from hansa.cli.local import CLOCK
from hansa.cli.output import Output
from hansa.core.clock import epoch_s
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.governance.changes import ValidatorPower
from hansa.core.governance.possession import prove_possession, validator_key_of, verify_possession
from hansa.core.governance.proposals import read_proposal
from hansa.node.folder import NEXT_NODE_KEY, NODE_KEY, VALIDATOR_KEY
from hansa.node.joining.candidacy import engine_signing_key
from hansa.node.validator.next_keys import next_node_key, next_validator_key
from hansa.pubsub.engine import EngineKey, read_key
from hansa.pubsub.league.reports import ProposalReport, proposal_named
from hansa.pubsub.ledger.commitments.governance import OPEN_PROPOSAL

ADOPTED_WITHIN_S: Final = 120.0
POLL_S: Final = 0.5


def rotate_validator_key(folder: Path, power: int | None, expires: str, note: str, output: Output) -> None:
    """Propose another key for a marketplace's validator.

    Args:
        folder: Of the marketplace; it runs.
        power: That the new key is to have; None: what the present one has.
        expires: How long it can be voted on.
        note: Why, for the other members.
        output: Gets what happens then.

    Raises:
        Refused: the code of the rule that it breaks.
        Unavailable: The marketplace does not run, or the league does not decide now; to be repeated.
    """
    lifetime_s = checked_lifetime_s(expires, note)

    async def run() -> None:
        async with own_league(folder) as mine:
            share = mine.me.power if power is None else power
            if read_key(folder / VALIDATOR_KEY).key_type != "ed25519":
                raise Refused(
                    Code.NOT_IMPLEMENTED, "Only a validator's key of Ed25519 can be replaced by a vote."
                )
            if not share:
                raise Refused(
                    Code.INVALID,
                    "This validator has no voting power now. Say with --power which one its new key is to have.",
                )
            new = next_validator_key(folder)
            report = _open_proposal(mine, new)
            is_repeated = report is not None
            if report is None:
                report = await proposed(mine, _change(mine, new, share), lifetime_s, note)
            if output.as_json:
                output.document({"key": "validator", "address": new.address, "proposal": report})
                return
            output.data(report.hash)
            output.facts({"present key": mine.me.validator_key, "next key": new.public.hex()})
            again = "It was proposed before, and is open. " if is_repeated else ""
            output.message(
                f"{again}Until the league agrees, the present key signs and the next one signs nothing. In the block in which "
                "it agrees, the present key loses its power for ever; then this marketplace stops its engine, puts the next key "
                f"in its place, and starts it, by itself: two keys never sign. {what_it_needs(mine, report)}. Do not copy the "
                f"next key anywhere where an engine runs. Make a new backup when it is done: hansa backup {folder} FILE"
            )

    asyncio.run(run())


def _change(mine: OwnLeague, new: EngineKey, power: int) -> ValidatorPower:
    proof = prove_possession(engine_signing_key(new), mine.did, mine.league_id, "validator", epoch_s(CLOCK))
    return ValidatorPower(mine.did, power, proof)


def _open_proposal(mine: OwnLeague, new: EngineKey) -> ProposalReport | None:
    """The proposal to give the key power that is open already."""
    for name, body in mine.state.records("proposals").items():
        proposal, _ = read_proposal(OPEN_PROPOSAL.read(body).jws)
        for change in proposal.changes:
            if isinstance(change, ValidatorPower) and change.validator and change.did == mine.did:
                key = verify_possession(change.validator, mine.did, mine.league_id, "validator").key
                if validator_key_of(key) == new.public.hex():
                    return proposal_named(mine.state, name)
    return None


def rotate_node_key(folder: Path, output: Output) -> None:
    """Replace the key of a marketplace's engine on the peer-to-peer network.

    Raises:
        Refused: `Code.CONFLICT`, when the marketplace has several engines; the code of a rule that it breaks.
        Unavailable: The marketplace does not run, or does not start its engine again in time; to be repeated.
    """

    async def run() -> None:
        async with own_league(folder) as mine:
            present = read_key(folder / NODE_KEY)
            others = set(mine.me.node_ids) - {present.node_id, next_node_key(folder).node_id}
            if others:
                raise Refused(
                    Code.CONFLICT,
                    f"This marketplace has further engines ({', '.join(sorted(others))}), whose keys are not here. Put "
                    f"another key into the home of one of them, and name all of them: hansa league nodes {folder} KEY…",
                )
            new = next_node_key(folder)
            if new.node_id not in mine.me.node_ids:
                await _state_in_time(mine, [present, new])
            output.message(
                "Both keys are registered. The engine is stopped now, and started with the new one."
            )
            await _until_adopted(folder, new)
            await _state_in_time(mine, [new])
            facts = {"key": "node", "node_id": new.node_id, "before": present.node_id}
            if output.as_json:
                output.document(facts)
                return
            output.facts(facts)
            output.message(
                "Members whose settings name this engine (persistent_peers) have to write the new id there: "
                f"{new.node_id}@HOST:PORT. Until then this engine connects to theirs. Make a new backup: hansa backup "
                f"{folder} FILE"
            )

    asyncio.run(run())


async def _until_adopted(folder: Path, new: EngineKey) -> None:
    deadline_s = CLOCK.monotonic() + ADOPTED_WITHIN_S
    while read_key(folder / NODE_KEY).node_id != new.node_id:
        if CLOCK.monotonic() > deadline_s:
            raise Unavailable(
                Code.UNAVAILABLE,
                f"The marketplace has not taken the new key within {ADOPTED_WITHIN_S:.0f} s; does it run? Run the command "
                f"again; {folder / NEXT_NODE_KEY} stays until then.",
            )
        await CLOCK.sleep(POLL_S)


async def _state_in_time(mine: OwnLeague, keys: Sequence[EngineKey]) -> None:
    """State which keys the engine may have, as soon as it takes statements: it may have just been started."""
    deadline_s = CLOCK.monotonic() + ADOPTED_WITHIN_S
    while True:
        try:
            await state_nodes(mine, keys)
        except Unavailable:
            if CLOCK.monotonic() > deadline_s:
                raise
            await CLOCK.sleep(POLL_S)
        else:
            return
