"""`hansa serve` with an engine whose clock is wrong (`tests.league.engine_clock`).

`python -m tests.league.serve_with_engine_clock SECONDS ENGINE_SECONDS BINARY FOLDER`: how far the clocks of
the marketplace and of its engine are off, and the engine's binary.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hansa.cli import main
from hansa.node.folder import LEDGER
from hansa.pubsub.engine import node
from tests.league.engine_clock import set_engine_clock
from tests.league.serve_at_another_time import shift_clock

if __name__ == "__main__":
    _, shift_s, engine_shift_s, binary, folder = sys.argv
    shift_clock(float(shift_s))
    set_engine_clock(Path(folder) / LEDGER, float(engine_shift_s))
    node.engine_binary = lambda: Path(binary)  # type: ignore[assignment, attr-defined, misc]
    sys.argv = ["hansa", "serve", folder]
    main()
