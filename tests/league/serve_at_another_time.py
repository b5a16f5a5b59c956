"""`hansa serve` on a machine whose clock is wrong.

`python -m tests.league.serve_at_another_time SECONDS FOLDER`.

The time of day is shifted for the whole process; its child processes keep the machine's.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from hansa.cli import main
from hansa.core.clock import SystemClock


def shift_clock(seconds: float) -> None:
    """Shift the one source of the time of day: it stands for the machine's clock."""

    right = SystemClock.now

    def now(self: SystemClock) -> datetime:
        return right(self) + timedelta(seconds=seconds)

    SystemClock.now = now  # type: ignore[method-assign]


if __name__ == "__main__":
    _, shift_s, folder = sys.argv
    shift_clock(float(shift_s))
    sys.argv = ["hansa", "serve", folder]
    main()
