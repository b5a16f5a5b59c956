"""The hub: the delivery of notifications to registered listeners (TMF630 Part 1, chapter 10).

`hansa.business.http.faces.v4.hub` serves the requests at the hubs. A change becomes notifications in these
steps:

1. `dispatcher` follows the feed and sees the row of the change; `feed` reads rows in chunks.
2. `filter_index` finds the groups of listeners that may accept one of its `events`, and `subscription_filter`
   decides.
3. `dispatcher` queues the idle listeners of these groups. Each listener searches from its own place
   (`listeners`); `throttle` bounds the time that this takes while writes wait.
4. `sending` posts an event; `accounting` applies the outcome to the listener, and writes positions and dead
   letters.
"""

from __future__ import annotations

from hansa.business.hub.dispatcher import HubDispatcher

__all__ = ["HubDispatcher"]
