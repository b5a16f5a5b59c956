"""The ledger application with frequent snapshots: `python -m tests.league.frequent_snapshots …`.

`hansa serve` with it: `python -m tests.league.frequent_snapshots serve FOLDER`. A light member begins with
a snapshot then, however few events there are.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from hansa.cli import main as hansa
from hansa.node import children
from hansa.pubsub.ledger.__main__ import main
from hansa.pubsub.ledger.snapshots import taking
from hansa.pubsub.light_member import following

BLOCKS_BETWEEN = 2


def replace_ledger() -> None:
    """Have the supervisor start the application with frequent snapshots."""
    right = children._application_spec

    def changed(*arguments: Any) -> Any:
        spec = right(*arguments)
        interpreter, flag, _, *options = spec.argv
        argv = (interpreter, flag, "tests.league.frequent_snapshots", *options)
        return msgspec.structs.replace(spec, argv=argv)

    children._application_spec = changed  # type: ignore[assignment]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        replace_ledger()
        following.EVENTS_MIN = 2  # type: ignore[attr-defined]
        sys.argv = ["hansa", *sys.argv[1:]]
        hansa()
    taking.BLOCKS_BETWEEN = BLOCKS_BETWEEN  # type: ignore[misc]
    raise SystemExit(main())
