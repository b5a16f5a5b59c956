"""`hansa replication`: the state at a marketplace of what other members have on the ledger.

`hansa policy`: the conditions by which it publishes and takes in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import DEFAULT_URL, AsJson, Folder, Token, Url, at_least

States = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="Only this state: pending, deferred, skipped, rejected, deleted or stored; may be repeated.",
    ),
]
OriginOption = Annotated[
    str | None, typer.Option("--origin", metavar="MEMBER", help="Only of this member, by name or DID.")
]


@command(
    "List what is not stored here, and why.",
    "hansa replication list http://localhost:8101 --state rejected --token $(cat market/token)",
    name="list",
)
def list_(
    url: Url = DEFAULT_URL,
    state: States = None,
    origin: OriginOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Maximum number of lines.")] = 100,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the entities of other members whose newest version is not stored here, in ledger order.

    A line has the origin, the state, the entity (its ledger key, while no version of it is here), the
    version, the failures, the next attempt, and the last failure with its reason.
    docs/operators/operate.md explains the states. Needs the operator's token.
    """
    from hansa.cli.catalogue.replication import run_list
    from hansa.cli.output import Output

    at_least(limit, 1, "--limit")
    run_list(url, token, state or [], origin, limit, Output(as_json=as_json))


@command(
    "Show the state of one entity, and why it is in it.",
    "hansa replication why urn:ngsi-ld:product-offering:vm-small --token $(cat market/token)",
)
def why(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="Its identifier, or its ledger key.")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show the state of one entity of another member, and why it is in it. Needs the operator's token."""
    from hansa.cli.catalogue.replication import run_why
    from hansa.cli.output import Output

    run_why(url, token, entity, Output(as_json=as_json))


@command(
    "Have entities requested again at once.",
    "hansa replication retry --origin riga --state rejected --token $(cat market/token)",
)
def retry(
    url: Url = DEFAULT_URL,
    state: States = None,
    origin: OriginOption = None,
    entity: Annotated[
        str | None,
        typer.Option("--entity", metavar="ENTITY", help="Only this one: identifier or ledger key."),
    ] = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Have entities that failed, are deferred, skipped or rejected requested again at once.

    Members to which requests fail are tried again at once, too. Needs the operator's token.
    """
    from hansa.cli.catalogue.replication import run_retry
    from hansa.cli.output import Output

    run_retry(url, token, state or [], origin, entity, Output(as_json=as_json))


@command(
    "List own entities that the ledger has and the store has lost.",
    "hansa replication lost http://localhost:8101 --token $(cat market/token)",
)
def lost(url: Url = DEFAULT_URL, token: Token = None, as_json: AsJson = False) -> None:
    """List this marketplace's own entities that the ledger has and its store has lost, by their keys.

    The other members have them: docs/operators/recover.md says how to get them back. Needs the operator's
    token.
    """
    from hansa.cli.catalogue.replication import run_lost
    from hansa.cli.output import Output

    run_lost(url, token, Output(as_json=as_json))


@command(
    "Show the other members, as sources and as followers.",
    "hansa peers http://localhost:8101 --token $(cat market/token)",
)
def peers(
    url: Url = DEFAULT_URL,
    retry_now: Annotated[
        str | None,
        typer.Option(
            "--retry-now", metavar="MEMBER", help="Request what waits for this member now, by name or DID."
        ),
    ] = None,
    pause: Annotated[
        str | None,
        typer.Option("--pause", metavar="MEMBER", help="Request nothing of this member until it is resumed."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="MEMBER", help="Request again what waits of a paused member."),
    ] = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show how the other members do: what of theirs is here, how fast and honest they are, how far they are.

    A line has how many of a member's entities are here, how many wait, since when and why requests to it
    fail; how long its answers take, which share of what was requested of it last it had, for how many
    versions it sent wrong bytes, and what speaks against it; and how many of this marketplace's entities
    it has, as it says itself.

    Of a paused member nothing is requested, neither its own entities nor those of others, and it is sent
    nothing: what it announces waits, and writes to its entities are refused. That outlasts a restart.

    docs/operators/operate.md explains them. Needs the operator's token.
    """
    from hansa.cli.catalogue.peers import PeerActions, run_peers
    from hansa.cli.output import Output

    run_peers(url, token, PeerActions(retry_now, pause, resume), Output(as_json=as_json))


@command(
    "Compare the store with the ledger, and repair it.",
    "hansa resync http://localhost:8101 --token $(cat market/token)",
)
def resync(
    url: Url = DEFAULT_URL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what differs.")] = False,
    place: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PLACE", help="Where an interrupted comparison said that it continues."
        ),
    ] = None,
    token: Token = None,
    as_json: AsJson = False,
) -> int:
    """Compare the store of a marketplace with the ledger, key by key, and repair what differs.

    Replicas that are missing, altered or not on the ledger are retrieved again or removed; own entities that
    differ from what was announced are announced anew; own entities that the store has lost are taken from
    the other members, verified by their hashes, and created again. What is as it should be is left alone, so
    the command can be repeated at any time. Exit status 1 when something differs that was not repaired.
    Needs the operator's token.
    """
    from hansa.cli.catalogue.resync import run_resync
    from hansa.cli.local import CLOCK
    from hansa.cli.output import Output

    return run_resync(url, token, place, Output(as_json=as_json), CLOCK, is_repair=not dry_run)


@command("Check the policies of a marketplace.", "hansa policy check market")
def check(folder: Folder, as_json: AsJson = False) -> None:
    """Check the files of policies of a marketplace: publish.cedar, consume.cedar and those in access/.

    Says how many policies each has; exit status 3, with the place and the reason, when one is not valid. A
    running marketplace adopts changes of the files by itself. docs/operators/distribution.md explains them.
    """
    from hansa.cli.catalogue.policies import run_check
    from hansa.cli.output import Output

    run_check(folder, Output(as_json=as_json))


@command(
    "Try what the policies decide about an entity, and why.",
    "hansa policy test market --entity offering.json --explain",
    name="test",
)
def decide(
    folder: Folder,
    entity: Annotated[Path, typer.Option("--entity", metavar="FILE", help="The entity: JSON with @type.")],
    origin: Annotated[
        Path | None,
        typer.Option(
            "--as",
            metavar="FILE",
            help="Card (member.json) of the member whose entity it is [default: this marketplace]; "
            "of access, the caller [default: a stranger].",
        ),
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option(
            "--action",
            metavar="ACTION",
            help="publish, retrieve or store, or of access: read, create, change or delete; may be repeated. "
            "[default: publish; with --as, retrieve and store]",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show each policy, and whether it applies.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Try what the policies of a marketplace decide about an entity, and which condition it does not meet.

    The actions read, create, change and delete are decided by the access policies, for the caller in the file
    of --as: {"organization": "VATES-12345678", "powers": [{"domain": "DOME", "function": "ProductOffering",
    "actions": ["Create"]}], "roles": [], "isMachine": false}. docs/operators/access.md explains them.

    Nothing is published or stored, and the marketplace need not run. Exit status 1 when an action is refused.
    """
    from hansa.cli.catalogue.policies import run_test
    from hansa.cli.output import Output

    return run_test(folder, entity, origin, action or [], Output(as_json=as_json), is_explained=explain)


policy = CommandGroup(
    "policy", "The conditions by which it publishes and takes in: check, test.", (check, decide)
)

replication = CommandGroup(
    "replication",
    "The states here of what is on the ledger: list, why, retry, lost.",
    (list_, why, retry, lost),
)
