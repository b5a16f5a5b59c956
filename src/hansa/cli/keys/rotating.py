"""`hansa keys rotate D --key member` and `--key agreement`: another key for a marketplace that goes on.

Of the member's key:

    1  the new key is written beside the present one
    2  a statement, signed by the present key and with a proof by the new one, goes to the ledger
    3  the marketplace sees its registration, puts the new key in place, and signs with it

Whatever is interrupted, running it again goes on with the same new key.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from hansa.cli.durations import seconds_of
from hansa.cli.league.own_league import OwnLeague, own_league
from hansa.cli.local import CLOCK
from hansa.cli.output import Output
from hansa.core.clock import epoch_s
from hansa.core.errors import Code, Refused
from hansa.core.governance.possession import prove_possession
from hansa.core.governance.statements import OVERLAP_MAX_S, AgreementSet, KeyRotate
from hansa.core.keys import SigningKey
from hansa.node.folder import (
    adopt_agreement_key,
    adopt_member_key,
    discard_next_key,
    next_agreement_key,
    next_member_key,
)


def rotate_member_key(folder: Path, overlap: str, output: Output) -> None:
    """Replace the key of a member.

    Raises:
        Refused: the code of the rule that it breaks; the new key is discarded.
        Unavailable: The marketplace does not run, or the league does not decide now; to be repeated.
    """
    overlap_s = int(seconds_of(overlap))
    if overlap_s > OVERLAP_MAX_S:
        raise Refused(Code.INVALID, f"--overlap is {OVERLAP_MAX_S // 86_400}d at most.")

    async def run() -> None:
        async with own_league(folder) as mine:
            before, new = mine.key, next_member_key(folder)
            height = await _registered(mine, new, overlap_s)
            me = (await mine.bus.league()).member(mine.did) or mine.me
            adopt_member_key(folder, me)
            facts = {"key": "member", "kid": new.kid, "algorithm": new.public.algorithm, "before": before.kid}
            if output.as_json:
                output.document({**facts, "height": height, "overlap_s": overlap_s})
                return
            output.facts({**facts, "registered": f"in block {height:,}"})
            until = f"for {overlap}" if overlap_s else "no longer"
            output.message(
                f"The key before is valid {until}. The marketplace signs with the new one by itself. Make a new backup: "
                f"hansa backup {folder} FILE"
            )

    asyncio.run(run())


async def _registered(mine: OwnLeague, new: SigningKey, overlap_s: int) -> int:
    """Have the ledger register a key; the height of the block with it."""
    if mine.me.key(new.kid) is not None:
        return mine.state.height  # by an attempt that was interrupted
    proof = prove_possession(new, mine.did, mine.league_id, "signing", epoch_s(CLOCK))
    action, signer = KeyRotate(proof, overlap_s, mine.key.kid), mine.signer
    try:
        governed = await mine.govern("member", lambda seq: signer.state(action, seq=seq))
    except Refused:
        discard_next_key(mine.folder)
        raise
    return governed.height


def rotate_agreement_key(folder: Path, output: Output) -> None:
    """Replace the key for which the others seal events, or register the first one of a folder.

    Raises:
        Refused: the code of the rule that it breaks.
        Unavailable: The marketplace does not run, or the league does not decide now; to be repeated.
    """

    async def run() -> None:
        async with own_league(folder) as mine:
            before, new = mine.me.agreement_key, next_agreement_key(folder)
            height, signer = mine.state.height, mine.signer
            if before != new.public:
                action = AgreementSet(new.public)
                height = (await mine.govern("member", lambda seq: signer.state(action, seq=seq))).height
            me = (await mine.bus.league()).member(mine.did) or mine.me
            adopt_agreement_key(folder, me)
            if output.as_json:
                output.document(
                    {"key": "agreement", "public": new.public, "before": before, "height": height}
                )
                return
            output.facts({"agreement key": new.public, "before": before or "none"})
            output.message(
                "The others seal for this key from now on, and announce anew what is still valid. The marketplace takes it by "
                f"itself, and still opens what was sealed for the key before. Make a new backup: hansa backup {folder} FILE"
            )

    asyncio.run(run())
