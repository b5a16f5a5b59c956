"""Webhooks for the events of the league: `/league/v1/subscriptions`.

`registrations` serves the requests, `notifier` delivers. Both stand on parts of the hub
(`hansa.business.hub`): its table of registrations, its accounts of what an answer means, its signatures and
its bounds.
"""

from __future__ import annotations

from hansa.api.webhooks.notifier import LedgerNotifier
from hansa.api.webhooks.registrations import SubscriptionsApi, subscription_filter

__all__ = ["LedgerNotifier", "SubscriptionsApi", "subscription_filter"]
