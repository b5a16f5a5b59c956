"""`hansa keys show` and `hansa keys rotate`: the keys of a marketplace."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from hansa.cli.commands import CommandGroup, command
from hansa.cli.options import AsJson, Folder
from hansa.core.errors import Code, Refused

KeyName = Literal["token", "member", "node", "validator"]
BOUND_BY_LEAGUE = {
    "member": "It is registered on the ledger, and every event that was ever published is checked with it.",
    "node": "Its id is registered on the ledger; with another key the other members' engines refuse this one.",
    "validator": "The league's set of validators names it; with another key this validator's votes count for "
    "nothing.",
}


@command("Show a marketplace's keys, without secrets.", "hansa keys show market")
def show(folder: Folder, as_json: AsJson = False) -> None:
    """Show the keys of a marketplace: names, algorithms, thumbprints, node id, validator address; no secrets.

    Changes nothing; can be run while the marketplace runs.
    """
    from hansa.cli.keys.public import facts_of_keys, public_keys
    from hansa.cli.output import Output

    output = Output(as_json=as_json)
    keys = public_keys(folder)
    output.document(keys) if as_json else output.facts(facts_of_keys(keys))


@command("Replace a key.", "hansa keys rotate market --key token")
def rotate(
    folder: Folder,
    key: Annotated[
        KeyName,
        typer.Option("--key", help="token, the key that signs the API's tokens; the others are refused."),
    ] = "token",
    as_json: AsJson = False,
) -> None:
    """Replace the key that signs the tokens of a stopped marketplace's API, or make it where it is missing.

    All tokens issued so far end.

    The operator's token in the folder is issued again. The keys of member, node and validator are what the
    league knows this marketplace by. Replacing them takes a decision of the league, which this release does
    not have yet: exit status 1, and nothing is changed.
    """
    from hansa.cli.output import Output
    from hansa.node.folder import TOKEN, TOKEN_KEY, rotate_token_key
    from hansa.node.settings.loading import load_settings

    output = Output(as_json=as_json)
    load_settings(folder, {})
    if key != "token":
        raise Refused(
            Code.NOT_IMPLEMENTED,
            f"The key of the {key} cannot be replaced by this marketplace alone. {BOUND_BY_LEAGUE[key]} A member "
            "will state a new key on the ledger when the league's decisions are there; until then it stays. If it "
            "leaked: SECURITY.md says what to do.",
        )
    made = rotate_token_key(folder)
    if as_json:
        output.document({"key": key, "kid": made.kid, "algorithm": made.public.algorithm})
    else:
        output.facts({"key": str(folder / TOKEN_KEY), "kid": made.kid, "algorithm": made.public.algorithm})
        output.message(
            f"All tokens issued so far have ended; the operator's in {folder / TOKEN} was issued again, if there "
            "was a valid one. Issue the others again with `hansa token`."
        )


KEYS = CommandGroup("keys", "The keys of a marketplace.", (show, rotate))
