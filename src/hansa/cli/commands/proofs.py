"""`hansa receipt`, `verify` and `audit`: proofs that hold without the marketplace that gave them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import DEFAULT_URL, AsJson, Token, Url


@command(
    "Fetch the proof of an entity's last event.",
    "hansa receipt http://localhost:8101 urn:ngsi-ld:product-offering:4711 -o offering.receipt",
)
def receipt(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the marketplace.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Identifier or ledger key of an entity, id of an event, or DID with --member."
        ),
    ],
    file: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to; default: stdout.")
    ] = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="Prove too that there is no later version.")
    ] = False,
    absent: Annotated[
        bool,
        typer.Option("--absent", help="Prove what the ledger has of a ledger key, or that it has nothing."),
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="Prove all versions of the entity.")] = False,
    member: Annotated[
        bool, typer.Option("--member", help="Prove which keys and endpoints a member has and had, and when.")
    ] = False,
    from_height: Annotated[
        int,
        typer.Option("--from", metavar="HEIGHT", help="Lead there from this block, not from the genesis."),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Fetch the receipt of an entity's last event, or of an event.

    Whoever has the league's genesis can verify it with `hansa verify`, offline and years later.
    """
    from hansa.cli.output import Output
    from hansa.cli.proofs.receipt import run_receipt

    run_receipt(
        *(url, name, file, Output(as_json=as_json)),
        is_latest=latest,
        is_absent=absent,
        is_history=history,
        is_member=member,
        known_height=from_height,
    )


@command("Verify a receipt offline.", "hansa verify offering.receipt --genesis genesis.json")
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The receipt.")],
    genesis: Annotated[Path, typer.Option("--genesis", metavar="FILE", help="The genesis of the league.")],
    trusted: Annotated[
        str | None,
        typer.Option(
            "--trusted",
            metavar="HEIGHT:HASH",
            help="A block that you know by other means, instead of the genesis.",
        ),
    ] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="ID", help="Identifier or key that it has to be about.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a receipt with the league's genesis and nothing else, and say what it proves.

    Exit status 20 when it does not hold, with the reason.
    """
    from hansa.cli.output import Output
    from hansa.cli.proofs.verify import run_verify

    run_verify(file, genesis, trusted, entity, Output(as_json=as_json))


@command(
    "Audit the ledger of a marketplace.",
    "hansa audit ledger http://localhost:8101 http://localhost:8102 --genesis genesis.json",
)
def ledger(
    urls: Annotated[
        list[str],
        typer.Argument(metavar="URL…", help="The marketplace; others after it are compared with it."),
    ],
    genesis: Annotated[Path, typer.Option("--genesis", metavar="FILE", help="The genesis of the league.")],
    from_genesis: Annotated[
        bool, typer.Option("--from-genesis", help="Begin with the genesis, whatever is remembered.")
    ] = False,
    signatures: Annotated[
        bool,
        typer.Option(
            "--signatures",
            help="Read every event, too, and verify that its issuer signed it, with a key that was valid then.",
        ),
    ] = False,
    remember: Annotated[
        Path | None,
        typer.Option(
            "--remember", metavar="FILE", help="Go on from what this file remembers, and update it."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole ledger: that nothing was removed, reordered or rewritten.

    Compares the hashes of all events with every state that the validators have signed, and the last block
    with what other marketplaces have. The word `ledger` may be left out. Of some events, or with
    --signatures of all, the content is compared with its hash, and the issuer's signature verified with the
    key that was valid at the position. Exit status 20 when it does not pass, or one has another block.
    """
    from hansa.cli.output import Output
    from hansa.cli.proofs.audit import run_audit

    run_audit(
        *(urls, genesis, remember, Output(as_json=as_json)),
        from_genesis=from_genesis,
        with_signatures=signatures,
    )


@command(
    "Write the audit log of a marketplace to a file.",
    "hansa audit export http://localhost:8101 -o audit.jsonl --token $(cat market/token)",
)
def export(
    url: Url = DEFAULT_URL,
    file: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to; default: stdout.")
    ] = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Write what a marketplace published, received, stored, served, refused and forwarded to a file.

    It names positions of the ledger, members and pseudonyms, and no person. Needs the operator's token.
    """
    from hansa.cli.output import Output
    from hansa.cli.proofs.audit_log import run_export

    run_export(url, token, file, Output(as_json=as_json))


@command(
    "Verify an audit log.",
    "hansa audit verify audit.jsonl --ledger http://localhost:8102",
    name="verify",
)
def verify_log(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `hansa audit export` wrote.")],
    url: Annotated[
        str | None,
        typer.Option(
            "--ledger",
            metavar="URL",
            help="Another marketplace of the league; its ledger has the anchors.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until",
            metavar="TIME",
            formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"],
            help="When the log was exported: later anchors are left out.",
        ),
    ] = None,
    accept_losses: Annotated[
        bool,
        typer.Option(
            "--accept-losses",
            help="Pass what the log says of itself was lost when a backup was restored.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify that the records of an audit log are those that were written, in their order, none left out.

    The file alone shows that its chain holds. With --ledger it is compared with its anchors on the ledger of
    another marketplace, which nobody can change: then it is not written anew, and not cut off before the last
    anchor. Exit status 20 when it does not hold, with what does not.
    """
    from hansa.cli.output import Output
    from hansa.cli.proofs.audit_log import run_verify

    moment = until.replace(tzinfo=UTC) if until is not None and until.tzinfo is None else until
    run_verify(file, url, moment, Output(as_json=as_json), accept_losses=accept_losses)


AUDIT = CommandGroup(
    "audit", "Audit the ledger, or a marketplace's log.", (ledger, export, verify_log), default="ledger"
)
