"""The ledger application of a member that floods.

`python -m benchmarks.flooding_ledger --state FILE --socket FILE`

It keeps the ledger as everybody does, and takes every transaction of a member, so that its engine hands all
of them on to the others; at a recheck it takes none, so that there is room for the next. What is not a
member's it refuses: a flood of that costs this machine as much, and reaches nobody.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from hansa.pubsub.ledger import __main__ as ledger_process
from hansa.pubsub.ledger.messages import PACKAGE, Response, enum_values, message_class
from hansa.pubsub.ledger.methods import AbciMethods
from hansa.pubsub.ledger.rules.events import ISSUER

_RECHECK: Final = enum_values(f"{PACKAGE}.CheckTxType")["RECHECK"]


class FloodingMethods(AbciMethods):
    """Takes every transaction of a member once."""

    def answer(self, request: Any) -> Any:
        """The right answer, but for that about a transaction."""
        right = super().answer(request)
        if request.WhichOneof("value") == "check_tx":
            is_refused = request.check_tx.type == _RECHECK or right.check_tx.code == ISSUER.number
            code = ISSUER.number if is_refused else 0
            return Response(check_tx=message_class(f"{PACKAGE}.ResponseCheckTx")(code=code))
        return right


if __name__ == "__main__":
    ledger_process.AbciMethods = FloodingMethods  # type: ignore[attr-defined]
    raise SystemExit(ledger_process.main(sys.argv[1:]))
