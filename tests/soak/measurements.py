"""What is measured while a soak runs, and what must hold of it."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

MEBIBYTE: Final = 1_048_576
GROWTH_MAX_RATIO: Final = 1.15
GROWTH_MAX_BYTES: Final = 48 * MEBIBYTE
"""Memory may grow by the greater of the two from the second third of a process's time to the last. In the
first third caches fill."""
LATENCY_P99_MAX_S: Final = 2.0
OTHERS_MAX: Final = 0.1
"""Share of the machine's processors that others take: with more, latencies say nothing of the product."""
LOG_MAX_BYTES_PER_HOUR: Final = 200 * MEBIBYTE
"""Of one member. The log of an attacked member holds a line for what was refused, not for each time."""
ROWS_MIN: Final = 18
"""Samples of a process that make a row of the table."""
STEADY_MIN: Final = 200
"""Samples, some four minutes, of a process whose growth is judged: a younger one is filling its caches, and
which attack it meets first decides how far its thirds differ."""
PEAK_MAX_BYTES: Final = 384 * MEBIBYTE
"""Resident memory of any process at any time, however young."""


class ProcessRow(msgspec.Struct, frozen=True):
    """A process: its resident memory, medians over the thirds of its time, and the processor time it took."""

    member: str
    role: str
    samples: int
    first_bytes: int
    second_bytes: int
    last_bytes: int
    peak_bytes: int
    cpu_s: float

    @property
    def is_flat(self) -> bool:
        """Whether it grew no more than it may; of a young process nothing is said."""
        if self.samples < STEADY_MIN:
            return True
        allowed = max(self.second_bytes * GROWTH_MAX_RATIO, self.second_bytes + GROWTH_MAX_BYTES)
        return self.last_bytes <= allowed


class Processes:
    """Samples of processes."""

    def __init__(self) -> None:
        self._sizes: dict[tuple[str, str, int], list[int]] = {}
        self._cpu_s: dict[tuple[str, str, int], float] = {}

    def sample(self, member: str, role: str, pid: int) -> None:
        """Add a sample; a process that has ended adds none."""
        size, name = resident_bytes(pid), (member, role, pid)
        if size:
            self._sizes.setdefault(name, []).append(size)
            self._cpu_s[name] = cpu_s(pid) or self._cpu_s.get(name, 0.0)

    def rows(self) -> Iterator[ProcessRow]:
        """The processes that lived long enough."""
        for name, sizes in sorted(self._sizes.items()):
            third = len(sizes) // 3
            if len(sizes) >= ROWS_MIN:
                parts = (sizes[:third], sizes[third:-third], sizes[-third:])
                first, second, last = (int(statistics.median(part)) for part in parts)
                used_s = round(self._cpu_s[name], 1)
                yield ProcessRow(*name[:2], len(sizes), first, second, last, max(sizes), used_s)


class OthersWork:
    """How much of the processors is taken by processes that are not descended from this one, or by other
    machines on the same hardware."""

    def __init__(self) -> None:
        self._began = processors_s()
        self._own_s = {pid: cpu_s(pid) for pid in descendants(os.getpid())}
        self._used_s = 0.0

    def sample(self) -> None:
        """Add what own processes have used since the last sample; a new one is counted from its beginning."""
        now_s = {pid: cpu_s(pid) for pid in descendants(os.getpid())}
        self._used_s += sum(used_s - self._own_s.get(pid, 0.0) for pid, used_s in now_s.items() if used_s)
        self._own_s = now_s

    @property
    def share(self) -> float:
        """Of all processors, from the beginning until now."""
        total_s, busy_s = (now - before for now, before in zip(processors_s(), self._began, strict=True))
        return max(0.0, busy_s - self._used_s) / total_s if total_s else 0.0


class HashWatch:
    """Application hashes by height, as members report them."""

    def __init__(self) -> None:
        self._hashes: dict[int, dict[str, str]] = {}

    def note(self, member: str, height: int, app_hash: str) -> None:
        """A member's report."""
        self._hashes.setdefault(height, {})[member] = app_hash

    @property
    def compared(self) -> int:
        """Heights that two members or more reported."""
        return sum(len(hashes) > 1 for hashes in self._hashes.values())

    def differences(self) -> list[int]:
        """Heights whose hashes differ."""
        return [height for height, hashes in self._hashes.items() if len(set(hashes.values())) > 1]


class LogRow(msgspec.Struct, frozen=True):
    """The log of a member."""

    member: str
    size_bytes: int
    lines: int
    tracebacks: int


class SoakReport(msgspec.Struct, frozen=True):
    """The figures of a soak."""

    seed: int
    duration_s: float
    pythons: tuple[str, ...]
    acts: tuple[str, ...]
    attacks: dict[str, int]
    """Answers to what the attackers submitted."""
    acknowledged: int
    unanswered: int
    """Creates without an answer, as while a process is down; nothing is promised of them."""
    latencies_s: tuple[float, float, float]
    """From sending a create to its commit, while one of the four is hostile and the others run: median, 99 in
    100, greatest."""
    judged: int
    """How many creates that are."""
    latest: tuple[tuple[float, float], ...]
    """Of the slowest of them: seconds since the beginning at which it was sent, and how long it took."""
    delayed_s: tuple[float, float, float]
    """The same while an honest member is killed, stopped or restored beside the hostile one: two of four
    validators are faulty then, and consensus promises that nothing wrong is committed, but not when."""
    missing: tuple[str, ...]
    """Acknowledged entities that some member does not have."""
    differences: int
    """Of `hansa diff`."""
    hashes_compared: int
    hash_differences: tuple[int, ...]
    guilty: str
    """The member whose validator signs twice."""
    convicted: tuple[str, ...]
    """Members whose voting power became zero."""
    blocks: int
    positions: int
    processes: tuple[ProcessRow, ...]
    logs: tuple[LogRow, ...]
    disk_bytes_per_hour: dict[str, int]
    lag_s: tuple[float, float, float]
    """By how much sleeping took too long: the machine's share in the latencies."""
    others: float
    """Share of the machine's processors that processes took which are not the soak's."""
    stalls_s: float
    """Longest time without a new block, while honest events waited."""

    @property
    def is_unhurried(self) -> bool:
        """Whether the machine had time for the league, so that latencies say something of the product."""
        return self.others <= OTHERS_MAX

    def failures(self) -> Iterator[str]:
        """What does not hold."""
        p99_s = self.latencies_s[1]
        if self.is_unhurried and not p99_s <= LATENCY_P99_MAX_S:
            yield f"99 of 100 honest events commit within {p99_s:.2f} s; {LATENCY_P99_MAX_S:g} s are allowed"
        if self.convicted != (self.guilty,):
            yield f"convicted: {', '.join(self.convicted) or 'nobody'} instead of {self.guilty}"
        if self.missing:
            yield f"{len(self.missing)} acknowledged entities are missing, such as {self.missing[0]}"
        if self.differences:
            yield f"hansa diff finds {self.differences} differences"
        if self.hash_differences:
            yield f"application hashes differ at {len(self.hash_differences)} heights"
        yield from (
            f"{row.member}'s {row.role} grew from {row.second_bytes:,} to {row.last_bytes:,} bytes"
            for row in self.processes
            if not row.is_flat
        )
        yield from (
            f"{row.member}'s {row.role} had {row.peak_bytes:,} bytes"
            for row in self.processes
            if row.peak_bytes > PEAK_MAX_BYTES
        )
        for log in self.logs:
            if log.tracebacks:
                yield f"{log.member}'s log has {log.tracebacks} tracebacks"
            if log.size_bytes * 3600 / self.duration_s > LOG_MAX_BYTES_PER_HOUR:
                yield f"{log.member}'s log has {log.size_bytes:,} bytes after {self.duration_s:.0f} s"

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"Soak with seed {self.seed}: {self.duration_s:.0f} s, Python {', '.join(self.pythons)}"
        yield f"  acts: {'; '.join(self.acts)}"
        yield f"  {self.blocks:,} blocks, {self.positions:,} events; {self.stalls_s:.1f} s longest without a block"
        yield (
            f"  honest creates: {self.acknowledged:,} acknowledged, {self.unanswered:,} without an answer, "
            f"{len(self.missing)} missing"
        )
        for name, (p50_s, p99_s, most_s) in (
            ("committed after", self.latencies_s),
            ("committed after, while a second validator was missing:", self.delayed_s),
            ("sleeping took too long by", self.lag_s),
        ):
            yield f"  {name} p50 {p50_s:.3f} s, p99 {p99_s:.3f} s, longest {most_s:.3f} s"
        judged = (
            f"judged ({self.judged:,})" if self.is_unhurried else "not judged: the machine has other work"
        )
        yield f"  {self.others:.0%} of the processors were taken by others; latencies are {judged}"
        yield f"  hansa diff: {self.differences} differences; {self.hashes_compared} heights compared by hash"
        yield f"  convicted: {', '.join(self.convicted) or 'nobody'}"
        yield from table(
            ("process", "samples", "first third", "second", "last", "peak", "processor"),
            [
                (
                    f"{row.member} {row.role}",
                    str(row.samples),
                    *(
                        f"{size / MEBIBYTE:.1f} MiB"
                        for size in (row.first_bytes, row.second_bytes, row.last_bytes, row.peak_bytes)
                    ),
                    f"{row.cpu_s:.1f} s",
                )
                for row in self.processes
            ],
        )
        yield from table(
            ("member", "log", "lines", "tracebacks", "disk an hour"),
            [
                (
                    log.member,
                    f"{log.size_bytes / 1000:,.0f} kB",
                    str(log.lines),
                    str(log.tracebacks),
                    f"{self.disk_bytes_per_hour.get(log.member, 0) / 1_000_000:,.0f} MB",
                )
                for log in self.logs
            ],
        )
        yield from table(("attack: answer", "times"), [(name, f"{n:,}") for name, n in self.attacks.items()])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns of text, the first one to the left and the others to the right."""
    grid = [head, *rows]
    widths = [max(len(line[column]) for line in grid) for column in range(len(head))]
    for line in grid:
        cells = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        yield "    " + "  ".join([line[0].ljust(widths[0]), *cells])


def quantiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, the value that 99 of 100 do not exceed, and the greatest; NaN without values."""
    if not values:
        return math.nan, math.nan, math.nan
    ordered = sorted(values)
    p50, p99 = (ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.99))
    return p50, p99, ordered[-1]


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((one for one in status.splitlines() if one.startswith("VmRSS:")), "VmRSS: 0 kB")
    return int(line.split()[1]) * 1024


def cpu_s(pid: int) -> float:
    """Processor time that a process has used so far; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processors_s() -> tuple[float, float]:
    """Time of all processors so far: in all, and busy, here or on behalf of other machines."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    total, idle = sum(ticks), ticks[3] + ticks[4]
    tick_s = os.sysconf("SC_CLK_TCK")
    return total / tick_s, (total - idle) / tick_s


def descendants(pid: int) -> set[int]:
    """A process and all that are descended from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
        children.setdefault(parent, []).append(int(folder.name))
    reached, ahead = set[int](), [pid]
    while ahead:
        one = ahead.pop()
        reached.add(one)
        ahead += children.get(one, ())
    return reached


def folder_bytes(folder: Path) -> int:
    """Sizes of all files below a folder."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue  # it was removed meanwhile
    return total


def log_row(member: str, file: Path) -> LogRow:
    """The figures of a log."""
    text = file.read_text(errors="replace")
    return LogRow(member, len(text.encode()), text.count("\n"), text.count("Traceback (most recent"))
