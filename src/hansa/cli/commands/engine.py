"""`hansa engine repair`, `observe` and `sign`: the engine of a stopped marketplace."""

from __future__ import annotations

from typing import Annotated

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import AsJson, Folder, Yes, check_folder, confirm

REPAIR_RISK = """\
The engine's write-ahead log holds what it had received and voted for in the block that was being decided.
Without it the engine begins that block anew; its memory of what it signed stays, so it does not vote twice.
If this is done at members with more than a third of the voting power at once, the league may decide that block
differently than some of them had seen. Repair one member at a time, and wait until it is ready.
"""
REBUILD_RISK = """\
The ledger's state is built anew from the engine's blocks, all of them: a marketplace that began with a snapshot
has them fetched instead (--refetch-blocks). Until that is done this marketplace is not ready.
"""
FETCH_RISK = """\
All blocks are fetched again from the other members. Until that is done this marketplace is not ready, and its
copy of the ledger does not help others.
"""
SIGN_RISK = """\
This validator will sign without having observed. If another copy of it has signed anything that is not on this
ledger, or still runs, the two contradict each other. That is proof of misbehaviour, and the league takes the
validator's voting power away for good.
Right only when the league cannot make a block without this validator, so that observing would never end, and
every other copy is gone for good.
"""


@command("Get the engine over what stops it.", "hansa engine repair market --yes")
def repair(
    folder: Folder,
    rebuild_ledger: Annotated[
        bool,
        typer.Option("--rebuild-ledger", help="Have the ledger's state rebuilt from the engine's blocks."),
    ] = False,
    refetch_blocks: Annotated[
        bool,
        typer.Option("--refetch-blocks", help="Have all blocks fetched again from the other members."),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Get the engine of a stopped marketplace over what stops it: a block or a log that it cannot get past.

    Moves the engine's write-ahead log aside (`ledger/aside` in the folder). Nothing is deleted; keys, and the
    memory of what was signed, are not touched. The risk is explained, and has to be confirmed.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.node.validator.repair import repair_engine

    output = Output(as_json=as_json)
    risk = REPAIR_RISK + REBUILD_RISK * rebuild_ledger + FETCH_RISK * refetch_blocks
    check_folder(folder)
    confirm(risk, is_confirmed=yes)
    moves = repair_engine(folder, CLOCK, rebuilds_ledger=rebuild_ledger, fetches_blocks=refetch_blocks)
    if as_json:
        output.document({"moved": moves})
        return
    for move in moves:
        output.data(f"moved {folder / move.path} to {folder / move.to}")
    if not moves:
        output.data("Nothing was in the way: there is no write-ahead log.")
    output.message(f"Start it: hansa serve {folder}. When all is well for some days, remove what was moved.")


@command("Have the validator observe before it signs.", "hansa engine observe market")
def observe(folder: Folder, as_json: AsJson = False) -> None:
    """Have the validator of a stopped marketplace observe from the next start on, until it cannot sign twice.

    For a folder that was copied, or put back by other means than `hansa restore`. After another engine was
    seen signing with the same key: stop that one for good first; this one then observes anew.
    """
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output
    from hansa.node.validator.decisions import observe as observe_folder

    output = Output(as_json=as_json)
    observing = observe_folder(folder, CLOCK)
    if as_json:
        output.document({"is_observing": True, "reason": observing.reason, "since": observing.since})
    else:
        output.message(f"The validator of {folder} observes from its next start on: hansa serve {folder}")


AWAY_RISK = """\
Validators that were away while it observed count as such that have no vote of this one. If one of them has, and
comes back, that is proof of misbehaviour as well.
"""


@command("Have a validator that observes sign at once.", "hansa engine sign market --yes")
def sign(
    folder: Folder,
    without_away: Annotated[
        bool,
        typer.Option(
            "--without-away",
            help="Vote in the round that is being decided, whatever validators that are away have.",
        ),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have a validator that observes sign from the next start of its stopped marketplace on.

    For a league that cannot make a block without this validator: there observing never ends. The risk is
    explained, and has to be confirmed.
    """
    from hansa.cli.output import Output
    from hansa.node.validator.decisions import sign as sign_in_folder

    output = Output(as_json=as_json)
    check_folder(folder)
    confirm(SIGN_RISK + AWAY_RISK * without_away, is_confirmed=yes)
    signed = sign_in_folder(folder, without_away=without_away)
    if as_json:
        output.document({"is_observing": False, "signs_after": signed})
    else:
        output.message(
            f"The validator of {folder} signs after height {signed.height - 1}: hansa serve {folder}"
        )


ENGINE = CommandGroup("engine", "The engine of a stopped marketplace.", (repair, observe, sign))
