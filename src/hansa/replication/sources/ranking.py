"""How members did as sources of entities, and what follows: who is requested first, and whom to leave alone.

Of each member it is remembered how long its last answers took, which share of what was requested it had, and
how often it sent bytes that are not what was requested. The best source has sent no wrong bytes, has most of
what it is asked for, and is fast, in this order. Sources are left alone for a while:

    after a failure        for `PAUSE_MIN_S`, which doubles up to `PAUSE_MAX_S`
    after wrong bytes      for `WRONG_PAUSE_MIN_S`, which doubles up to `WRONG_PAUSE_MAX_S`; and it is the
                           last one from then on, also after a restart, by the evidence in the store

A sign of life (an answer, or a request that it signed) ends the first pause, not the second. That a member
has not what was requested, or that its answer is larger than this marketplace takes, is no fault of its.

What the operator has paused (`hansa peers --pause`) is not requested at all.

A slow first request is hedged: after `hedge_after_s`, the 95th percentile of the answers of that source,
another source is requested the same, for at most one request in ten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hansa.core.backoff import Backoff
from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy

PAUSE_MIN_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
WRONG_PAUSE_MIN_S: Final = 60.0
WRONG_PAUSE_MAX_S: Final = 3600.0
LATENCIES_MAX: Final = 128
LATENCIES_MIN: Final = 20
"""Answers before there is a percentile of them."""
HEDGE_MIN_S: Final = 0.05
"""An answer that takes less is never slow."""
HEDGED_SHARE: Final = 0.1
WEIGHT: Final = 0.25
"""Of the last answer in the share of what a source had."""


class SourceFigures(msgspec.Struct, frozen=True):
    """What a member did as a source since the start."""

    did: str
    answers: int
    """Since this marketplace started."""
    failures: int
    """Requests without a valid answer, since then."""
    entities: int
    """That it sent, and that held."""
    wrong: int
    """Versions for which it sent other bytes, ever."""
    share: float
    """Of what was requested of it last that it had; 0 to 1."""
    latency_p50_s: float | None
    """Half of its last answers took no longer; null before there are enough."""
    latency_p95_s: float | None
    """95 of a hundred took no longer."""
    paused_s: float
    """For how long nothing more will be requested of it; 0 for a ready one."""


class _Source:
    """One member."""

    def __init__(self, entropy: Entropy) -> None:
        self.latencies_s: deque[float] = deque(maxlen=LATENCIES_MAX)
        self.failed = Backoff(PAUSE_MIN_S, PAUSE_MAX_S, entropy)
        self.lied = Backoff(WRONG_PAUSE_MIN_S, WRONG_PAUSE_MAX_S, entropy)
        self.failed_until_s = 0.0
        self.lied_until_s = 0.0
        self.answers = self.failures = self.entities = self.wrong = 0
        self.share = 0.5

    def latency_s(self, percent: int) -> float | None:
        """A percentile of the latencies; None before there are enough."""
        if len(self.latencies_s) < LATENCIES_MIN:
            return None
        return sorted(self.latencies_s)[len(self.latencies_s) * percent // 100]

    def rank(self, did: str) -> tuple[bool, float, float, str]:
        """The best source has the smallest."""
        latency_s = sum(self.latencies_s) / len(self.latencies_s) if self.latencies_s else 1.0
        return self.wrong > 0, -round(self.share, 1), latency_s, did


class SourceRanking:
    """Remembers how members did as sources. One for a store; its memory is bounded by the members.

    Args:
        clock: For pauses.
        entropy: For pauses.
    """

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._sources: dict[str, _Source] = {}
        self._paused: frozenset[str] = frozenset()
        self._requests = 0
        self._hedges = 0

    @property
    def hedges(self) -> int:
        """Requests that were sent beside slow ones since the start."""
        return self._hedges

    # -- what happened ---------------------------------------------------------------------------------------

    def answered(self, did: str, latency_s: float, requested: int, received: int) -> None:
        """A member answered; so much of what was requested it had, and it held."""
        assert 0 <= received <= requested, "nobody has more than was requested"
        source = self._of(did)
        source.answers += 1
        source.entities += received
        source.latencies_s.append(latency_s)
        source.share += WEIGHT * (received / requested - source.share) if requested else 0.0
        self.is_alive(did)

    def failed(self, did: str) -> None:
        """A request to a member failed."""
        source = self._of(did)
        source.failures += 1
        source.share -= WEIGHT * source.share
        source.failed_until_s = self._clock.monotonic() + source.failed.next_s()

    def sent_wrong(self, did: str, count: int) -> None:
        """A member sent other bytes than those of so many versions that were requested of it."""
        assert count > 0, "one at least"
        source = self._of(did)
        source.wrong += count
        source.lied_until_s = self._clock.monotonic() + source.lied.next_s()

    def remember_wrong(self, counts: Iterable[tuple[str, int]]) -> None:
        """What the store knows of wrong bytes that members sent before this process began."""
        for did, count in counts:
            self._of(did).wrong = max(self._of(did).wrong, count)

    def set_paused(self, dids: frozenset[str]) -> None:
        """The operator has paused these members, and no others."""
        self._paused = dids

    def is_alive(self, did: str) -> None:
        """A member gave a sign of life."""
        source = self._sources.get(did)
        if source is not None:
            source.failed.reset()
            source.failed_until_s = 0.0

    # -- what follows ----------------------------------------------------------------------------------------

    def ready(self, dids: Iterable[str]) -> list[str]:
        """Those of some members that may be requested now, the best first."""
        now_s = self._clock.monotonic()
        ready = [did for did in dids if did not in self._paused and self._paused_s(self._of(did), now_s) <= 0]
        return sorted(ready, key=lambda did: self._of(did).rank(did))

    def is_rich(self, did: str) -> bool:
        """Whether a member had most of what was requested of it last."""
        return self._of(did).share > 0.5

    def hedge_after_s(self, did: str) -> float | None:
        """How long to wait for a member's answer before another one is requested the same; None: for ever."""
        self._requests += 1
        p95_s = self._of(did).latency_s(95)
        if p95_s is None or self._hedges + 1 > HEDGED_SHARE * self._requests:
            return None
        return max(HEDGE_MIN_S, p95_s)

    def hedged(self) -> None:
        """A request was sent beside a slow one."""
        self._hedges += 1

    def figures(self, dids: Sequence[str]) -> tuple[SourceFigures, ...]:
        """How some members did, in their order."""
        now_s = self._clock.monotonic()
        return tuple(self._figures(did, self._of(did), now_s) for did in dids)

    def _figures(self, did: str, source: _Source, now_s: float) -> SourceFigures:
        return SourceFigures(
            *(did, source.answers, source.failures, source.entities, source.wrong, round(source.share, 3)),
            source.latency_s(50),
            source.latency_s(95),
            max(0.0, round(self._paused_s(source, now_s), 3)),
        )

    @staticmethod
    def _paused_s(source: _Source, now_s: float) -> float:
        return max(source.failed_until_s, source.lied_until_s) - now_s

    def _of(self, did: str) -> _Source:
        source = self._sources.get(did)
        if source is None:
            source = self._sources[did] = _Source(self._entropy)
        return source
