"""What each path of `/league/v1/subscriptions` does, for its description."""

from __future__ import annotations

from typing import Final

from hansa.api.descriptions.document import Answer, Operation
from hansa.api.webhooks.registrations import (
    SUBSCRIPTIONS_PATH,
    DeadLetterPage,
    NewSubscription,
    ResendRequest,
    SubscriptionPage,
    SubscriptionReport,
    SubscriptionSecret,
    TestOutcome,
)

_ERRORS: Final = (400, 401, 403, 429, 500)
_ONE: Final = f"{SUBSCRIPTIONS_PATH}/{{id}}"
_REPORT: Final = {200: Answer("The registration.", (SubscriptionReport,))}

SUBSCRIPTION_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "createSubscription",
        SUBSCRIPTIONS_PATH,
        "Register a webhook for events of the league",
        "Has committed events posted to an address as CloudEvents 1.0, in the order of the ledger, each at least once, and "
        "signed as Standard Webhooks has it. What the listener refuses becomes a dead letter.",
        {201: Answer("The registration.", (SubscriptionReport,), headers=("Location",))},
        (*_ERRORS, 409, 413, 503),
        method="post",
        access="writer",
        body=NewSubscription,
    ),
    Operation(
        "listSubscriptions",
        SUBSCRIPTIONS_PATH,
        "List webhooks",
        "Returns the registrations of the token's subject; an operator gets all.",
        {200: Answer("A part of them.", (SubscriptionPage,))},
        _ERRORS,
        access="token",
        parameters=("subscriptionState", "offset", "limit"),
    ),
    Operation(
        "retrieveSubscription",
        _ONE,
        "Read a webhook and the state of its delivery",
        "Returns a registration, with what became of its events, some seconds late.",
        _REPORT,
        (*_ERRORS, 404),
        access="token",
        parameters=("subscription",),
    ),
    Operation(
        "deleteSubscription",
        _ONE,
        "End a webhook",
        "Has nothing more sent.",
        {204: Answer("It has ended.", media_types=())},
        (*_ERRORS, 404),
        method="delete",
        access="token",
        parameters=("subscription",),
    ),
    Operation(
        "listDeadLetters",
        f"{_ONE}/dead-letters",
        "List events that the listener refused",
        "Returns them, oldest first.",
        {200: Answer("A part of them.", (DeadLetterPage,))},
        (*_ERRORS, 404),
        access="token",
        parameters=("subscription", "offset", "limit"),
    ),
    Operation(
        "resendDeadLetters",
        f"{_ONE}/resend",
        "Send refused events again",
        "Has one dead letter, or all, sent before anything else.",
        _REPORT,
        (*_ERRORS, 404, 413),
        method="post",
        access="writer",
        parameters=("subscription",),
        body=ResendRequest,
    ),
    Operation(
        "resumeSubscription",
        f"{_ONE}/resume",
        "Resume a paused webhook",
        "Has everything since the pause delivered, in order.",
        _REPORT,
        (*_ERRORS, 404),
        method="post",
        access="writer",
        parameters=("subscription",),
    ),
    Operation(
        "retrieveSubscriptionSecret",
        f"{_ONE}/secret",
        "Read the secret of a webhook",
        "Returns that with which its events are signed.",
        {200: Answer("The secret.", (SubscriptionSecret,))},
        (*_ERRORS, 404),
        access="writer",
        parameters=("subscription",),
    ),
    Operation(
        "exchangeSubscriptionSecret",
        f"{_ONE}/secret",
        "Exchange the secret of a webhook",
        "Makes another one; for a while events are signed with both.",
        {200: Answer("The new secret.", (SubscriptionSecret,))},
        (*_ERRORS, 404),
        method="post",
        access="writer",
        parameters=("subscription",),
    ),
    Operation(
        "testSubscription",
        f"{_ONE}/test",
        "Send a test event",
        "Posts an event of the type `HubTestEvent` at once, and returns what the listener answered.",
        {200: Answer("What became of it.", (TestOutcome,))},
        (*_ERRORS, 404, 503),
        method="post",
        access="writer",
        parameters=("subscription",),
    ),
)
"""Of every path of webhooks."""
