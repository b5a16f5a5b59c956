"""Listing, approving and removing organisations that registered."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from hansa.cli.client import Client
from hansa.cli.output import Output
from hansa.core.files import read_file
from hansa.node.folder import TOKEN
from hansa.node.settings.loading import load_settings

ORGANIZATIONS_PATH: Final = "/onboarding/organizations"


def show_organizations(folder: Path, state: str | None, output: Output) -> None:
    """Show those of one state, or all."""
    rows: list[Any] = []
    while True:
        query = f"?offset={len(rows)}" + (f"&state={state}" if state else "")
        page = _request(folder, "GET", f"{ORGANIZATIONS_PATH}{query}")
        rows += page
        if not page:
            break
    if output.as_json:
        output.document(rows)
        return
    names = ("organization", "name", "state", "registrant_name", "registrant_email", "terms", "accepted")
    headings = ("id", "name", "state", "by", "e-mail", "terms", "accepted")
    output.table(headings, [[str(row[name]) for name in names] for row in rows])


def decide(folder: Path, organization: str, action: str, output: Output) -> None:
    """Approve or remove one."""
    path = f"{ORGANIZATIONS_PATH}/{quote(organization, safe='')}/{action}"
    report = _request(folder, "POST", path)
    output.document(report) if output.as_json else output.message(f"{report['name']} is {report['state']}.")


def _request(folder: Path, method: str, path: str) -> Any:
    settings = load_settings(folder, {})
    remedy = f"Make one: hansa token {folder} --subject me --role operator > {folder / TOKEN}"
    token = read_file(folder / TOKEN, remedy).decode("ascii", errors="replace").strip()

    async def request() -> Any:
        async with Client(settings.endpoint, token) as client:
            response = await client.request(method, path)
            if response.status >= 300:
                raise client.refusal(response)
            return response.json()

    return asyncio.run(request())
