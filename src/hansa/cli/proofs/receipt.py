"""`hansa receipt`: fetches the proof of an event, and writes it to a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

from hansa.cli.client import PatientClient, refusal
from hansa.cli.output import Output
from hansa.cli.proofs.keys import history_path
from hansa.core.events import ENTITIES_PATH
from hansa.core.files import write_file


def run_receipt(
    url: str,
    name: str,
    file: Path | None,
    output: Output,
    *,
    is_latest: bool = False,
    is_absent: bool = False,
    is_history: bool = False,
    is_member: bool = False,
    known_height: int = 0,
) -> None:
    """Fetch a receipt and write it, byte for byte, to a file or to stdout.

    Raises:
        HansaError: there is none, or the marketplace does not answer.
    """
    parameters = [
        *([("latest", "true")] if is_latest else ()),
        *([("absent", "true")] if is_absent else ()),
        *([("from", str(known_height))] if known_height else ()),
    ]
    path = f"{ENTITIES_PATH}/{quote(name, safe='')}/{'history' if is_history else 'receipt'}"
    if is_member:
        path = history_path(name)
    raw = asyncio.run(_fetch(url, path, parameters))
    if file is None:
        output.data(raw.decode())
        return
    write_file(file, raw)
    if output.as_json:
        output.document({"file": str(file), "size_bytes": len(raw)})
    else:
        output.message(
            f"{file}: {len(raw)} bytes. Check it anywhere: hansa verify {file} --genesis genesis.json"
        )


async def _fetch(url: str, path: str, parameters: list[tuple[str, str]]) -> bytes:
    async with PatientClient(url) as client:
        response = await client.request("GET", path, parameters=parameters)
        if response.status != 200:
            raise refusal(response, client.url)
        return response.body
