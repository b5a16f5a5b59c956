"""Logins with wallets, on the same device and from another one; and how many there are at a time."""

from __future__ import annotations

from typing import Any

import pytest

from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits
from tests.support.credentials import (
    HOLDER,
    NOW_S,
    bound,
    sd_jwt,
)
from tests.support.wallets import (
    Scene,
    answer_form,
    identity_of,
    presented,
    response_code,
)

Request = dict[str, Any]


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
@pytest.mark.parametrize("format_name", ["sd_jwt", "jwt_vc"])
async def test_a_person_logs_in_on_the_same_device(format_name: str, enc: str) -> None:
    scene = Scene()
    begun = scene.begin("/orders?open=1")
    request = scene.request(begun.same_device)
    body = answer_form(request, presented(request, format_name), enc=enc)
    code = response_code(await scene.logins.respond(begun.same_device, body))
    completed = scene.logins.return_from_wallet(begun.id, begun.secret, code)
    assert completed.return_to == "/orders?open=1"
    assert (completed.principal.organization, completed.principal.name) == ("VATES-12345678", "Ana Prueba")


async def test_a_person_logs_in_without_encryption_where_that_is_set() -> None:
    assert (await Scene(mode="direct_post").logged_in()).name == "Ana Prueba"


@pytest.mark.parametrize("prefix", ["x509_hash", "x509_san_dns", "decentralized_identifier"])
async def test_a_person_logs_in_however_the_verifier_is_known(prefix: Any) -> None:
    assert (await Scene(identity=identity_of(prefix)).logged_in()).name == "Ana Prueba"


async def test_a_person_logs_in_from_another_device_with_the_code_that_it_shows() -> None:
    scene = Scene()
    begun = scene.begin("/x")
    shown = scene.logins.code(begun.id, response_code(await scene.answer(begun.other_device)))
    view = scene.logins.view(begun.id, begun.secret)
    assert shown is not None
    assert view is not None
    assert view.principal == shown.principal, "the person reads who is about to log in"
    assert view.needs_code
    completed = scene.logins.confirm(
        begun.id, begun.secret, view.confirmation, f" {shown.code[:3]} {shown.code[3:]}"
    )
    assert completed.return_to == "/x"


async def test_a_click_is_enough_where_the_operator_says_so() -> None:
    scene = Scene(cross_device="confirm")
    begun = scene.begin()
    assert await scene.answer(begun.other_device) == "", "the wallet is sent nowhere"
    view = scene.logins.view(begun.id, begun.secret)
    assert view is not None
    assert not view.needs_code
    assert scene.logins.confirm(begun.id, begun.secret, view.confirmation, "").principal.name == "Ana Prueba"


async def test_other_devices_cannot_log_in_where_the_operator_says_so() -> None:
    scene = Scene(cross_device="off")
    begun = scene.begin()
    assert scene.logins.links(begun.same_device, begun.other_device).other_device == ""
    with pytest.raises(Refused):
        scene.request(begun.other_device)


async def test_a_login_goes_through_its_states() -> None:
    scene = Scene()
    begun = scene.begin()
    states = []

    def look() -> None:
        view = scene.logins.view(begun.id, begun.secret)
        assert view is not None
        states.append(view.state.value)

    look()
    request = scene.request(begun.same_device)
    look()
    code = response_code(
        await scene.logins.respond(begun.same_device, answer_form(request, presented(request)))
    )
    look()
    scene.logins.return_from_wallet(begun.id, begun.secret, code)
    look()
    assert states == ["waiting", "fetched", "answered", "completed"]


async def test_a_login_that_takes_too_long_is_forgotten() -> None:
    scene = Scene()
    begun = scene.begin()
    await scene.wait(300)
    assert scene.logins.view(begun.id, begun.secret) is None


async def test_whoever_answers_late_has_a_minute_to_confirm() -> None:
    scene = Scene()
    begun = scene.begin()
    await scene.wait(299)
    code = response_code(await scene.answer(begun.same_device))
    await scene.wait(59)
    assert scene.logins.return_from_wallet(begun.id, begun.secret, code).principal.name == "Ana Prueba"


async def test_whoever_does_not_confirm_in_that_time_begins_again() -> None:
    scene = Scene()
    begun = scene.begin()
    code = response_code(await scene.answer(begun.same_device))
    await scene.wait(300)
    with pytest.raises(Refused) as caught:
        scene.logins.return_from_wallet(begun.id, begun.secret, code)
    assert caught.value.code is Code.NOT_FOUND


# Bounds.


def test_one_address_has_so_many_logins_under_way() -> None:
    scene = Scene(limits=Limits(logins_per_address_max=3))
    for _ in range(3):
        scene.begin()
    with pytest.raises(Unavailable) as caught:
        scene.begin()
    assert caught.value.code is Code.OVERLOADED
    scene.begin(address="198.51.100.7")


async def test_logins_that_are_over_leave_room_for_new_ones() -> None:
    scene = Scene(limits=Limits(logins_max=3, logins_per_address_max=3))
    for _ in range(10):
        begun = scene.begin()
        code = response_code(await scene.answer(begun.same_device))
        scene.logins.return_from_wallet(begun.id, begun.secret, code)
    assert len(scene.logins._logins) == 3


@pytest.mark.parametrize(
    "limits", [Limits(logins_max=3, logins_per_address_max=9), Limits(logins_max_bytes=40_000)]
)
async def test_a_flood_of_logins_is_bounded_and_passes(limits: Limits) -> None:
    scene = Scene(limits=limits)
    for number in range(3):
        scene.begin(address=str(number))
    with pytest.raises(Unavailable):
        scene.begin(address="x")
    await scene.wait(301)
    scene.begin(address="x")
    assert len(scene.logins._logins) == 1


async def test_a_flood_of_different_ends_leaves_nothing_behind() -> None:
    scene = Scene()
    for number in range(30):
        begun = scene.begin(address=str(number % 7))
        if number % 3 == 0:
            await scene.answer(begun.same_device)
        if number % 3 == 1:
            await scene.refused(begun.same_device, sd_jwt())
    await scene.wait(301)
    scene.begin()
    logins = scene.logins._logins
    assert (len(logins), len(logins._requests), logins._over, logins._of_address) == (
        1,
        2,
        {},
        {"192.0.2.1": 1},
    )


# Clocks.


@pytest.mark.parametrize("offset_s", [-300, 300])
async def test_a_wallet_whose_clock_is_five_minutes_off_logs_in(offset_s: int) -> None:
    scene = Scene()
    begun = scene.begin()
    request = scene.request(begun.same_device)
    bindings = {"aud": request["client_id"], "nonce": request["nonce"], "iat": NOW_S + offset_s}
    assert await scene.answer(begun.same_device, bound(sd_jwt(), HOLDER, bindings))


async def test_a_wallet_whose_clock_is_further_off_does_not() -> None:
    scene = Scene()
    begun = scene.begin()
    request = scene.request(begun.same_device)
    bindings = {"aud": request["client_id"], "nonce": request["nonce"], "iat": NOW_S + 301}
    assert (
        await scene.refused(begun.same_device, bound(sd_jwt(), HOLDER, bindings)) is Code.PRESENTATION_EXPIRED
    )
