"""Logins with mdocs: what wallets are asked for, and what of their answers is accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from hansa.core.errors import Code
from hansa.identity.presentations import PresentationQuery, read_accepted_type
from tests.support.credentials import HOLDER, THIEF
from tests.support.mdocs import DOCTYPE, mdoc_for
from tests.support.wallets import ACCEPTED, Scene, answer_form, presented, response_code

TYPE = f"mso_mdoc:{DOCTYPE}"
OTHER_TYPE = "mso_mdoc:org.example.employee.1"


def test_wallets_are_asked_for_one_type_of_mdocs_a_query() -> None:
    query = PresentationQuery(map(read_accepted_type, (*ACCEPTED, TYPE, OTHER_TYPE)))
    by_id = {one["id"]: one for one in query.dcql()["credentials"]}
    assert list(by_id) == ["sd_jwt", "jwt_vc", "mdoc", "mdoc_2"]
    assert by_id["mdoc"] == {
        "id": "mdoc",
        "format": "mso_mdoc",
        "meta": {"doctype_value": DOCTYPE},
        "claims": [{"path": [DOCTYPE, "mandate"]}],
    }
    assert query.dcql()["credential_sets"] == [{"options": [["sd_jwt"], ["jwt_vc"], ["mdoc"], ["mdoc_2"]]}]
    assert query.formats() == ("dc+sd-jwt", "jwt_vc_json", "mso_mdoc")


@pytest.mark.parametrize("mode", ["direct_post.jwt", "direct_post"])
async def test_somebody_logs_in_with_an_mdoc_in_either_mode(mode: str) -> None:
    scene = Scene(accepted=(*ACCEPTED, TYPE), mode=mode)
    begun = scene.begin()
    request = scene.request(begun.same_device)
    metadata = request["client_metadata"]["vp_formats_supported"]["mso_mdoc"]
    assert {-7, -9} <= set(metadata["deviceauth_alg_values"])
    body = answer_form(request, {"mdoc": [mdoc_for(request)]})
    code = response_code(await scene.logins.respond(begun.same_device, body))
    principal = scene.logins.return_from_wallet(begun.id, begun.secret, code).principal
    assert (principal.name, principal.organization) == ("Ana Prueba", "VATES-12345678")


async def test_a_presentation_for_another_request_or_by_another_device_logs_nobody_in() -> None:
    scene = Scene(accepted=(TYPE,))
    other = scene.request(scene.begin().same_device)
    forged: tuple[Callable[[dict[str, Any]], str], ...] = (
        lambda _: mdoc_for(other),
        lambda request: mdoc_for(request, THIEF),
        lambda request: mdoc_for(request | {"client_metadata": other["client_metadata"]}),
        lambda request: mdoc_for(request | {"response_uri": other["response_uri"]}),
    )
    for text in forged:
        name = scene.begin().same_device
        request = scene.request(name)
        assert await scene.refused(name, {"mdoc": [text(request)]}) is Code.PRESENTATION_UNBOUND


async def test_an_mdoc_of_a_type_that_was_not_asked_for_logs_nobody_in() -> None:
    scene = Scene(accepted=(OTHER_TYPE,))
    name = scene.begin().same_device
    request = scene.request(name)
    assert await scene.refused(name, {"mdoc": [mdoc_for(request)]}) is Code.CREDENTIAL_NOT_REQUESTED


async def test_a_presentation_in_another_format_than_that_of_its_query_is_refused() -> None:
    scene = Scene(accepted=(*ACCEPTED, TYPE))
    for query, text in (("mdoc", presented), ("sd_jwt", mdoc_for), ("jwt_vc", mdoc_for)):
        name = scene.begin().same_device
        request = scene.request(name)
        assert await scene.refused(name, {query: [text(request)]}) is Code.CREDENTIAL_MALFORMED


async def test_an_mdoc_in_the_clear_is_refused_where_answers_are_encrypted() -> None:
    scene = Scene(accepted=(TYPE,))
    name = scene.begin().same_device
    request = scene.request(name)
    body = urlencode({"vp_token": json.dumps({"mdoc": [mdoc_for(request)]}), "state": request["state"]})
    with pytest.raises(Exception, match="cannot be read"):
        await scene.logins.respond(name, body.encode())


async def test_the_same_presentation_in_two_logins_is_refused() -> None:
    scene = Scene(accepted=(TYPE,))
    first = scene.begin().same_device
    text = mdoc_for(scene.request(first), HOLDER)
    await scene.answer(first, {"mdoc": [text]})
    second = scene.begin().same_device
    assert await scene.refused(second, {"mdoc": [text]}) is Code.PRESENTATION_UNBOUND
