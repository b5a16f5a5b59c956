"""The ledger application of a validator whose engine begins after a state that was made without it.

`python -m benchmarks.grown_ledger --state FILE --socket FILE`

It says at first that it has no blocks, so that the engine begins with its genesis, and answers that with the
state that it has.
"""

from __future__ import annotations

import sys
from typing import Any

from hansa.pubsub.ledger import __main__ as ledger_process
from hansa.pubsub.ledger.messages import PACKAGE, Response, message_class
from hansa.pubsub.ledger.methods import AbciMethods


class GrownMethods(AbciMethods):
    """Begins with the state that is there."""

    def answer(self, request: Any) -> Any:
        """The right answer, but for those at the beginning."""
        kind = request.WhichOneof("value")
        if kind == "init_chain":
            state = self._application.state
            begun = message_class(f"{PACKAGE}.ResponseInitChain")(
                app_hash=state.head.app_hash, consensus_params=self._version(state.ruleset)
            )
            return Response(init_chain=begun)
        right = super().answer(request)
        if kind == "info":
            right.info.last_block_height = 0
            right.info.last_block_app_hash = b""
        return right


if __name__ == "__main__":
    ledger_process.AbciMethods = GrownMethods  # type: ignore[attr-defined]
    raise SystemExit(ledger_process.main(sys.argv[1:]))
