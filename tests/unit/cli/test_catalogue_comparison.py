"""Comparing catalogues."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from hansa.api.catalogue import CatalogueEntry
from hansa.cli.catalogue.comparison import CatalogueComparison, merge, rows_of, show_comparison
from hansa.cli.output import Output


async def listing(entries: Sequence[CatalogueEntry]) -> AsyncIterator[CatalogueEntry]:
    for entry in sorted(entries, key=lambda entry: entry.id):
        yield entry


def entry(number: int, hashlink: str = "hl:zA", origin: str = "did:key:one") -> CatalogueEntry:
    return CatalogueEntry(f"urn:{number:04}", "Category", hashlink, origin)


async def compared(*catalogues: Sequence[CatalogueEntry], differences_max: int = 100) -> CatalogueComparison:
    names = [f"http://m{n}" for n in range(len(catalogues))]
    return await merge([listing(catalogue) for catalogue in catalogues], names, differences_max)


async def test_equal_catalogues_have_no_difference() -> None:
    same = [entry(n) for n in range(50)]
    comparison = await compared(same, same, same)
    assert comparison.count == 0
    assert comparison.entities == [50, 50, 50]


async def test_a_missing_entity_another_content_and_another_origin_are_distinguished() -> None:
    comparison = await compared(
        [entry(1), entry(2), entry(3), entry(4)],
        [entry(2), entry(3, "hl:zB"), entry(4, origin="did:key:two")],
    )
    assert [(d.id, d.kind) for d in comparison.differences] == [
        ("urn:0001", "missing"),
        ("urn:0003", "content"),
        ("urn:0004", "origin"),
    ]
    assert (comparison.missing, comparison.content, comparison.origin) == (1, 1, 1)
    assert rows_of(comparison.differences)[0][3:] == ["hl:zA", "missing"]


async def test_all_differences_are_counted_though_few_are_listed() -> None:
    comparison = await compared([entry(n) for n in range(30)], [], differences_max=5)
    assert comparison.missing == 30
    assert len(comparison.differences) == 5


async def test_an_empty_league_has_no_difference() -> None:
    assert (await compared([], [])).count == 0


CATALOGUES = st.lists(
    st.dictionaries(st.integers(0, 12), st.sampled_from(["hl:zA", "hl:zB"]), max_size=8),
    min_size=2,
    max_size=4,
)


@given(CATALOGUES)
async def test_differences_are_those_identifiers_that_are_not_the_same_everywhere(
    catalogues: list[dict[int, str]],
) -> None:
    comparison = await compared(*([entry(n, h) for n, h in catalogue.items()] for catalogue in catalogues))
    expected = {
        f"urn:{number:04}"
        for number in set().union(*catalogues)
        if len({catalogue.get(number) for catalogue in catalogues}) > 1
    }
    assert {difference.id for difference in comparison.differences} == expected


async def test_a_person_reads_what_is_missing_where(capsys: object) -> None:
    comparison = await compared([entry(1), entry(2)], [entry(1)], differences_max=0)
    show_comparison(comparison, Output())
    text = capsys.readouterr().out  # type: ignore[attr-defined]
    assert "differ in 1 entities (1 missing)" in text
    assert "1 more" in text
    assert "2 at http://m0, 1 at http://m1" in text
