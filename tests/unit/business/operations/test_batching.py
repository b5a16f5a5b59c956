"""Requests that come together: in which order their stages are, and what one of them does to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hansa.business.operations.batching import BatchItem, BatchPipeline, StageOutcome
from hansa.core.batching import BATCH_SIZE_MAX
from hansa.core.errors import Code, Refused


class Named(BatchItem):
    """A request with a name."""

    def __init__(self, name: str) -> None:
        self.name = name


class Log:
    """Two stages that note who was in them; some requests fail in the first one."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.pipeline = BatchPipeline((self.first, self.last))

    async def first(self, item: Named) -> StageOutcome:
        self.seen.append(f"first {item.name}")
        if item.name in self.failing:
            raise self.failing[item.name]
        return StageOutcome.CONTINUE

    async def last(self, item: Named) -> StageOutcome:
        self.seen.append(f"last {item.name}")
        item.done.set_result(None)
        return StageOutcome.DONE


async def together(log: Log, *names: str) -> list[StageOutcome | BaseException]:
    """Take some that come in one turn of the loop; what each fails with."""
    return await asyncio.gather(*(log.pipeline.run(Named(name)) for name in names), return_exceptions=True)


async def test_all_are_through_a_stage_before_one_is_in_the_next() -> None:
    log = Log()
    assert await together(log, "a", "b") == [StageOutcome.DONE, StageOutcome.DONE]
    assert log.seen == ["first a", "first b", "last a", "last b"]


async def test_those_that_come_in_the_next_turn_come_along() -> None:
    log = Log()
    loop = asyncio.get_running_loop()
    later: list[asyncio.Task[StageOutcome]] = []
    loop.call_soon(lambda: later.append(loop.create_task(log.pipeline.run(Named("c")))))
    await together(log, "a", "b")
    await asyncio.gather(*later)
    assert log.seen == ["first a", "first b", "first c", "last a", "last b", "last c"]


async def test_one_alone_waits_for_nobody() -> None:
    log = Log()
    turns: list[int] = []

    def turn(number: int) -> None:
        turns.append(number)
        if not log.seen:
            asyncio.get_running_loop().call_soon(turn, number + 1)

    task = asyncio.create_task(log.pipeline.run(Named("a")))
    await asyncio.sleep(0)
    turn(1)
    await task
    assert len(turns) <= 2
    assert log.seen == ["first a", "last a"]


async def test_no_more_than_enough_go_together() -> None:
    log = Log()
    await together(log, *(f"{number:02}" for number in range(BATCH_SIZE_MAX + 2)))
    assert log.seen[BATCH_SIZE_MAX - 1 : BATCH_SIZE_MAX + 1] == [f"first {BATCH_SIZE_MAX - 1}", "last 00"]
    assert log.seen[-4:] == [
        f"first {BATCH_SIZE_MAX}",
        f"first {BATCH_SIZE_MAX + 1}",
        f"last {BATCH_SIZE_MAX}",
        f"last {BATCH_SIZE_MAX + 1}",
    ]


@pytest.mark.parametrize("failure", [Refused(Code.INVALID, "no"), ZeroDivisionError("a mistake of ours")])
async def test_one_that_fails_leaves_with_its_error_and_alone(failure: Exception) -> None:
    log = Log()
    log.failing["b"] = failure
    assert await together(log, "a", "b", "c") == [StageOutcome.DONE, failure, StageOutcome.DONE]
    assert log.seen == ["first a", "first b", "first c", "last a", "last c"]


async def test_a_mistake_after_the_end_is_recorded_and_touches_nobody() -> None:
    log = Log()
    recorded: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: recorded.append(context["exception"]))
    mistake = ZeroDivisionError("a mistake of ours")

    async def end_and_fail(item: Named) -> StageOutcome:
        if item.name == "a":
            item.done.set_result(None)
            raise mistake
        return StageOutcome.CONTINUE

    log.pipeline = BatchPipeline((log.first, end_and_fail, log.last))
    assert await together(log, "a", "b") == [StageOutcome.DONE, StageOutcome.DONE]
    assert recorded == [mistake]
    assert log.seen == ["first a", "first b", "last b"]


async def test_one_that_is_cancelled_is_left_out() -> None:
    log = Log()
    tasks = [asyncio.create_task(log.pipeline.run(Named(name))) for name in "ab"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert isinstance((await asyncio.gather(*tasks, return_exceptions=True))[0], asyncio.CancelledError)
    assert log.seen == ["first b", "last b"]


@pytest.mark.parametrize("step", ["first", "last"])
async def test_nothing_else_happens_between_two_stages(step: str) -> None:
    log = Log()
    loop = asyncio.get_running_loop()
    stage: Callable[[Named], Awaitable[StageOutcome]] = getattr(log, step)

    async def schedule_something_else(item: Named) -> StageOutcome:
        outcome = await stage(item)
        loop.call_soon(log.seen.append, "something else")
        return outcome

    setattr(log, step, schedule_something_else)
    log.pipeline = BatchPipeline((log.first, log.last))
    await together(log, "a", "b")
    assert "something else" not in log.seen[:4]


async def test_one_that_leaves_for_the_slow_path_passes_no_further_stage() -> None:
    log = Log()

    async def divide(item: Named) -> StageOutcome:
        return StageOutcome.SLOW_PATH if item.name == "a" else StageOutcome.CONTINUE

    log.pipeline = BatchPipeline((log.first, divide, log.last))
    assert await together(log, "a", "b") == [StageOutcome.SLOW_PATH, StageOutcome.DONE]
    assert log.seen == ["first a", "first b", "last b"]


async def test_those_that_arrive_while_a_stage_waits_form_the_next_batch() -> None:
    log = Log()
    gate = asyncio.Event()

    async def wait(_: Named) -> StageOutcome:
        await gate.wait()
        return StageOutcome.CONTINUE

    log.pipeline = BatchPipeline((log.first, wait, log.last))
    early = asyncio.create_task(together(log, "a", "b"))
    for _ in range(4):
        await asyncio.sleep(0)
    late = asyncio.create_task(together(log, "c"))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(early, late)
    assert log.seen == ["first a", "first b", "last a", "last b", "first c", "last c"]


async def test_nobody_waits_for_a_pipeline_that_is_cancelled() -> None:
    log = Log()

    async def cancel(_: Named) -> StageOutcome:
        raise asyncio.CancelledError

    log.pipeline = BatchPipeline((log.first, cancel, log.last))
    outcomes = await together(log, "a", "b")
    assert [type(one) for one in outcomes] == [asyncio.CancelledError, asyncio.CancelledError]
    log.pipeline = BatchPipeline((log.first, log.last))
    assert await together(log, "c") == [StageOutcome.DONE]
