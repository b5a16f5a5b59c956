"""TM Forum's conformance kits against a bare business application, on an empty store and on a full one.

Some kits only read, and check what they find: records of the types that they read are created first, from the
models. `make kits` prints the table.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest

from hansa.business.models import load
from tests.conformance.contradictions import (
    CONTRADICTIONS,
    GUIDELINE,
    NOT_SAID,
    excused,
    excused_once_corrected,
)
from tests.conformance.official import document, said_by_document
from tests.support.examples import full_body

CHECKOUT: Final = Path(__file__).resolve().parents[2]
TOKEN: Final = "operator"
KITS_TIMEOUT_S: Final = 900
PROCESSES: Final = 2
READ_BY_KITS: Final = ("Product", "Service", "PartyPrivacyProfileSpecification", "GeographicAddress")
MODELS: Final = load()


@contextmanager
def serving(store: Path, files: list[Path]) -> Iterator[str]:
    """Origin of an application in a process of its own, on a store that holds what the files say."""
    command = [sys.executable, "-m", "tests.support.serve_business", str(store), *map(str, files)]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/src"},
    )
    try:
        assert process.stdout is not None
        origin = process.stdout.readline().strip()
        assert origin.startswith("http://"), f"the server ended with status {process.wait()}"
        yield origin
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def runner(shared: Path) -> Path:
    """The program that runs kits; it gets newman from the package registry when it needs to."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("the kits need Node.js: install node and npm")
    return shared / "tmf" / "run_kits.py"


def create_records(origin: str) -> None:
    """Two whole records of each type that kits read without creating any."""
    for collection in READ_BY_KITS:
        api, resource = MODELS.served(collection)
        for number in (1, 2):
            request = Request(  # noqa: S310 - the application that this test started
                f"{origin}{api.base_path}{resource.path}",
                json.dumps(full_body(api, resource, number)).encode(),
                {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
            )
            with urlopen(request) as answer:  # noqa: S310
                assert answer.status == 201


def run(runner: Path, kits: Path, origin: str, folder: Path) -> list[dict[str, Any]]:
    """What the runner says of every kit. Kits of one API run one after the other, others beside them."""
    apis = sorted(found.name for found in kits.glob("TMF*"))
    reports = [folder / f"{number}.json" for number in range(PROCESSES)]
    command = [sys.executable, str(runner), "--origin", origin, "--token", TOKEN]
    command += ["--kits", str(kits), "--json"]
    runs = [
        subprocess.Popen([*command, str(report), *apis[number::PROCESSES]], stdout=subprocess.DEVNULL)
        for number, report in enumerate(reports)
    ]
    for one in runs:
        one.wait(KITS_TIMEOUT_S)
    results = [result for report in reports for result in json.loads(report.read_text())]
    return sorted(results, key=lambda result: str(result["kit"]))


def failing(result: dict[str, Any], known: frozenset[str]) -> set[str]:
    """Names of the requests that failed, as they are known.

    The runner writes each failure as `name: message`.
    """
    found = set()
    for failure in result["failures"]:
        names = [name for name in known if failure.startswith(f"{name}: ")]
        found.add(max(names, key=len, default=failure))
    return found


def table(results: list[dict[str, Any]], content: str) -> str:
    """The outcome of every kit in a line."""
    lines = [f"\nKits on the store {content!r}"]
    for result in results:
        count = len(excused(result["kit"]))
        outcome = f"{count} requests contradict its document or build on one that does" if count else "passes"
        lines.append(
            f"  {result['kit']:52} {result['requests']:>4} requests {result['assertions']:>5} assertions  {outcome}"
        )
    for kit, found in CONTRADICTIONS.items():
        lines += [
            f"  {kit}: {one.attribute}, in {', '.join(one.requests)}\n    against: {one.document}"
            for one in found.contradictions
        ]
    return "\n".join(lines) + "\n"


@pytest.mark.kits
@pytest.mark.timeout(KITS_TIMEOUT_S + 60)
@pytest.mark.parametrize("content", ["empty", "landscape"])
def test_every_kit_passes_where_it_does_not_contradict_its_document(
    runner: Path, shared: Path, tmp_path: Path, content: str
) -> None:
    files = sorted((shared / "data" / "landscape").glob("*.jsonl")) if content == "landscape" else []
    with serving(tmp_path / "store.db", files) as origin:
        create_records(origin)
        results = run(runner, runner.parent / "kits", origin, tmp_path)
    assert not [result for result in results if "error" in result]
    sys.stdout.write(table(results, content))
    assert len(results) == len(list((shared / "tmf" / "kits").glob("TMF*/*/collection.json")))
    assert {r["kit"]: failing(r, excused(r["kit"])) for r in results} == {
        r["kit"]: set(excused(r["kit"])) for r in results
    }
    assert {result["kit"] for result in results} >= CONTRADICTIONS.keys()


@pytest.mark.kits
@pytest.mark.timeout(KITS_TIMEOUT_S + 60)
def test_what_needs_what_a_contradicting_request_should_create_passes_once_that_is_corrected(
    runner: Path, tmp_path: Path
) -> None:
    kits = tmp_path / "kits"
    corrected = [kit for kit, found in CONTRADICTIONS.items() if found.correction]
    assert corrected == [kit for kit, found in CONTRADICTIONS.items() if found.left_without]
    for kit in corrected:
        place = shutil.copytree(runner.parent / "kits" / kit, kits / kit) / "collection.json"
        text = place.read_text(encoding="utf-8-sig")
        for pattern, right in CONTRADICTIONS[kit].correction:
            text, changes = re.subn(pattern, right, text)
            assert changes
        place.write_text(text)
    with serving(tmp_path / "store.db", []) as origin:
        results = run(runner, kits, origin, tmp_path)
    for result in results:
        known = excused_once_corrected(result["kit"])
        assert failing(result, known) == set(known), result["kit"]
    assert [result["kit"] for result in results] == corrected


@pytest.mark.parametrize("kit", CONTRADICTIONS)
def test_what_a_kit_contradicts_is_what_its_document_says(shared: Path, kit: str) -> None:
    api = next(api for api in MODELS.apis if api.id == kit.partition("/")[0])
    said = set(said_by_document(document(shared, api.id), api))
    for one in CONTRADICTIONS[kit].contradictions:
        if one.document.startswith(NOT_SAID):
            assert not [told for told in said if told.startswith(one.document.removeprefix(NOT_SAID))]
        elif not one.document.startswith(GUIDELINE):
            assert one.document in said


def test_the_page_on_conformance_lists_what_kits_contradict() -> None:
    page = (CHECKOUT / "docs" / "conformance.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| TMF")]
    assert rows == [
        f"| {kit} | {len(one.requests)} | `{one.attribute}` | {one.document.replace(' | ', ', ')} |"
        for kit, found in CONTRADICTIONS.items()
        for one in found.contradictions
    ]
    assert f"the other {len(CONTRADICTIONS)} " in page
