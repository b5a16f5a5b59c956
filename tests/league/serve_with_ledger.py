"""`hansa serve` with another ledger application: `python -m tests.league.serve_with_ledger MODE FOLDER`.

`MODE` is one of `tests.league.hostile_ledger`. All else is the product's.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from hansa.cli import main
from hansa.node import children


def replace_ledger(mode: str) -> None:
    """Have the supervisor start the changed application."""
    right = children._application_spec

    def changed(*arguments: Any) -> Any:
        spec = right(*arguments)
        interpreter, flag, _, *options = spec.argv
        argv = (interpreter, flag, "tests.league.hostile_ledger", mode, *options)
        return msgspec.structs.replace(spec, argv=argv)

    children._application_spec = changed  # type: ignore[assignment]


if __name__ == "__main__":
    _, ledger_mode, folder = sys.argv
    replace_ledger(ledger_mode)
    sys.argv = ["hansa", "serve", folder]
    main()
