"""`python -m tests.league.next_release FOLDER`: `hansa serve` of a release that knows one more set of rules.

These rules differ from the newest ones in their name and number alone, so that a league can go on by them.
Its ledger application is `python -m tests.league.next_release --ledger …`. All else is the product's.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, Final, cast

import msgspec

from hansa.cli import main
from hansa.node import children
from hansa.pubsub.ledger import __main__ as ledger_process
from hansa.pubsub.ledger.commitments.app_hash import SECTIONS
from hansa.pubsub.ledger.rules.rulesets import NEWEST, RULESETS

NEXT: Final = "hansa-ledger/5"


def add_rules() -> None:
    """Have this process know the next rules."""
    cast("MutableMapping[str, Any]", SECTIONS)[NEXT] = SECTIONS[NEWEST.name]
    following = msgspec.structs.replace(NEWEST, name=NEXT, app_version=NEWEST.app_version + 1)
    cast("MutableMapping[str, Any]", RULESETS)[NEXT] = following


def replace_ledger() -> None:
    """Have the supervisor start the ledger application of this release."""
    right = children._application_spec

    def changed(*arguments: Any) -> Any:
        spec = right(*arguments)
        interpreter, flag, _, *options = spec.argv
        return msgspec.structs.replace(
            spec, argv=(interpreter, flag, "tests.league.next_release", "--ledger", *options)
        )

    children._application_spec = changed  # type: ignore[assignment]


if __name__ == "__main__":
    add_rules()
    if sys.argv[1] == "--ledger":
        raise SystemExit(ledger_process.main(sys.argv[2:]))
    replace_ledger()
    sys.argv = ["hansa", "serve", sys.argv[1]]
    main()
