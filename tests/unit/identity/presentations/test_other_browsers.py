"""Everybody who wants to log in by the wallet of somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.core.errors import Code, Refused
from hansa.identity.presentations import LoginState
from tests.support.wallets import (
    Scene,
    response_code,
)

Request = dict[str, Any]


# Other browsers.


async def test_the_way_back_in_another_browser_is_refused_and_ends_the_login() -> None:
    scene = Scene()
    begun, other = scene.begin(), scene.begin()
    code = response_code(await scene.answer(begun.same_device))
    with pytest.raises(Refused, match="another browser"):
        scene.logins.return_from_wallet(begun.id, other.secret, code)
    with pytest.raises(Refused):
        scene.logins.return_from_wallet(begun.id, begun.secret, code)


@pytest.mark.parametrize("code", ["", "x", "A" * 32])
async def test_the_way_back_without_the_code_of_the_wallet_is_refused(code: str) -> None:
    """Whoever relays the link waits in a browser that has the cookie, and never gets the code."""
    scene = Scene()
    begun = scene.begin()
    await scene.answer(begun.same_device)
    with pytest.raises(Refused) as caught:
        scene.logins.return_from_wallet(begun.id, begun.secret, code)
    assert caught.value.code is Code.FORBIDDEN


async def test_a_login_on_the_same_device_cannot_be_confirmed_by_a_click() -> None:
    scene = Scene()
    begun = scene.begin()
    await scene.answer(begun.same_device)
    view = scene.logins.view(begun.id, begun.secret)
    assert view is not None
    assert (view.principal, view.confirmation) == (None, "")
    with pytest.raises(Refused):
        scene.logins.confirm(begun.id, begun.secret, "", "")


async def test_whoever_relays_a_qr_code_does_not_know_the_code_of_the_other_device() -> None:
    scene = Scene()
    begun = scene.begin()
    await scene.answer(begun.other_device)
    view = scene.logins.view(begun.id, begun.secret)
    assert view is not None
    outcomes = []
    for code in ("", "000000x", "999 999 9"):
        with pytest.raises(Refused) as caught:
            scene.logins.confirm(begun.id, begun.secret, view.confirmation, code)
        outcomes.append(caught.value.code)
    assert outcomes == [Code.INVALID, Code.INVALID, Code.FORBIDDEN]
    with pytest.raises(Refused) as caught:
        scene.logins.confirm(begun.id, begun.secret, view.confirmation, "")
    assert caught.value.code is Code.NOT_FOUND, "the login is over after the third"


async def test_the_code_is_shown_to_whoever_comes_from_the_wallet_alone() -> None:
    scene = Scene()
    begun = scene.begin()
    await scene.answer(begun.other_device)
    assert scene.logins.code(begun.id, "") is None
    assert scene.logins.code(begun.id, begun.secret) is None


async def test_a_form_without_its_token_or_of_another_browser_confirms_nothing() -> None:
    scene = Scene(cross_device="confirm")
    begun = scene.begin()
    await scene.answer(begun.other_device)
    view = scene.logins.view(begun.id, begun.secret)
    assert view is not None
    for secret, confirmation in ((begun.secret, ""), (None, view.confirmation), ("x", view.confirmation)):
        with pytest.raises(Refused) as caught:
            scene.logins.confirm(begun.id, secret, confirmation, "")
        assert caught.value.code is Code.FORBIDDEN


async def test_other_browsers_learn_the_state_of_a_login_and_nothing_else() -> None:
    scene = Scene()
    begun = scene.begin()
    before = scene.logins.view(begun.id, None)
    await scene.answer(begun.other_device)
    after = scene.logins.view(begun.id, "x")
    assert before is not None
    assert after is not None
    assert before.links is None
    assert (after.state, after.principal, after.confirmation) == (LoginState.ANSWERED, None, "")


async def test_a_person_can_decline_to_be_logged_in() -> None:
    scene = Scene()
    begun = scene.begin()
    await scene.answer(begun.other_device)
    view = scene.logins.view(begun.id, begun.secret)
    assert view is not None
    scene.logins.cancel(begun.id, begun.secret, view.confirmation)
    with pytest.raises(Refused):
        scene.logins.confirm(begun.id, begun.secret, view.confirmation, "")


def test_what_a_login_hands_out_is_not_in_any_link() -> None:
    scene = Scene()
    begun = scene.begin()
    links = scene.logins.links(begun.same_device, begun.other_device)
    shown = " ".join((*(one.address for one in links.same_device), links.other_device))
    request = scene.request(begun.same_device)
    for secret in (begun.secret, begun.id, request["state"], request["nonce"]):
        assert secret not in shown
