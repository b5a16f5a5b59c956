"""The clock, the randomness and the environment of this machine; commands pass them on as parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from hansa.core.clock import Clock, SystemClock
from hansa.core.identifiers import Entropy

CLOCK: Final[Clock] = SystemClock()
ENTROPY: Final[Entropy] = os.urandom
ENVIRONMENT: Final[Mapping[str, str]] = os.environ
