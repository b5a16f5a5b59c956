"""Back-off: how long to wait before the next attempt after failures in a row.

The pause doubles with every failure from a first one up to a longest one. With a source of randomness
("jitter") half of it is drawn, so that members that failed together do not repeat together.

    backoff_s   the pause after a number of failures that somebody else counts, as in a row of the store
    Backoff     counts the failures of one loop
"""

from __future__ import annotations

from typing import Final

from hansa.core.identifiers import Entropy

DOUBLINGS_MAX: Final = 30
"""A pause does not double more often, so that no power overflows."""


def backoff_s(failures: int, min_s: float, max_s: float, entropy: Entropy | None = None) -> float:
    """Pause after failures in a row, in seconds.

    Args:
        failures: How many, 1 and more.
        min_s: Pause after the first failure.
        max_s: Longest pause; also of the first, where that would be longer.
        entropy: Source of the jitter; the pause lies between half of the plain one and all of it. None: no
            jitter.
    """
    assert failures >= 1, "a pause follows a failure"
    assert min(min_s, max_s) >= 0, "a pause has a length"
    full_s = min(max_s, min_s * 2.0 ** min(failures - 1, DOUBLINGS_MAX))
    if entropy is None:
        return full_s
    drawn = int.from_bytes(entropy(4), "big") / 0xFFFF_FFFF
    return full_s * (0.5 + 0.5 * drawn)


class Backoff:
    """The pauses of one loop, which counts its failures in a row.

    Args:
        min_s: Pause after the first failure.
        max_s: Longest pause.
        entropy: Source of the jitter; None: no jitter.
    """

    def __init__(self, min_s: float, max_s: float, entropy: Entropy | None = None) -> None:
        assert min(min_s, max_s) >= 0, "a pause has a length"
        self._min_s = min_s
        self._max_s = max_s
        self._entropy = entropy
        self.failures = 0
        """Failures since the last success."""

    def next_s(self, at_least_s: float = 0.0) -> float:
        """Count a failure; the pause before the next attempt.

        Args:
            at_least_s: What the other side asked for (`Unavailable.retry_after_s`); it counts up to the
                longest pause.
        """
        self.failures += 1
        pause_s = backoff_s(self.failures, self._min_s, self._max_s, self._entropy)
        return max(pause_s, min(at_least_s, self._max_s))

    def reset(self) -> None:
        """Count a success: the next failure is a first one."""
        self.failures = 0
