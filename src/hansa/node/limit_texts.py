"""What each limit of `hansa.core.limits` means, for docs/settings.md. A test finds a limit without its text."""

from __future__ import annotations

from typing import Final

LIMIT_TEXTS: Final[dict[str, str]] = {
    "body_size_max_bytes": "Size of a request's body.",
    "body_depth_max": "Nesting of objects and arrays in a body.",
    "list_limit_default": "Entities on a page of a list when the request does not say.",
    "list_limit_max": "Entities on a page of a list at most.",
    "query_length_max_chars": "Length of a query string.",
    "filter_count_max": "Filters in one list request.",
    "requests_in_flight_max": "Requests served at a time; further ones are answered with 429.",
    "writes_waiting_max": "Store transactions that wait for their commit; further ones are answered with 429.",
    "identifier_length_max_chars": "Length of an entity's identifier.",
    "subscriptions_max": "Hub registrations.",
    "notification_timeout_s": "How long a listener may take for one notification.",
    "notification_attempts_max": "Failed attempts at one notification after which the log calls its listener dead; attempts go on.",
    "notification_backoff_max_s": "Longest pause between two attempts at a notification.",
    "notifications_in_flight_max": "Notifications being delivered at a time.",
    "events_page_max": "Events on a page of `/league/v1/events`, and in one step of a follower.",
    "claims_page_max": "Entity keys asked of the ledger at a time.",
    "publish_timeout_s": "How long a publisher waits for its batch to be committed before it submits it again.",
    "publish_in_flight_max": "Batches of this member that are submitted and not committed yet.",
    "publish_tick_s": "During a burst, batches with room left are submitted at multiples of this time, at all members alike.",
    "publish_backoff_max_s": "Longest pause between two attempts to publish.",
    "entity_size_max_bytes": "Size of an entity that is taken from another member.",
    "retrieval_entities_max": "Entities asked of another member in one request.",
    "retrieval_size_max_bytes": "Size of another member's answer.",
    "retrieval_timeout_s": "How long another member's whole answer may take.",
    "retrieval_parallel_per_origin_max": "Requests to one member at a time.",
    "retrieval_backoff_min_s": "First pause after a retrieval that failed; it doubles.",
    "retrieval_backoff_max_s": "Longest pause between two attempts at a retrieval.",
    "retrieval_attempts_max": "Attempts at a retrieval before it counts as failed.",
    "retrievals_pending_max": "Retrievals from one member that wait; at the limit its further events are put off until half of them are done.",
    "evidence_rows_max": "Records of what others sent that did not hold; the oldest are dropped.",
    "streams_max": "Open event streams.",
    "request_age_max_s": "How old a signed request of another member may be, and how far its clock may be off.",
    "clock_skew_max_s": "By how much this machine's clock may differ from the other members' before the start is refused.",
    "disk_free_min_bytes": "Free disk space below which the start is refused and writes are answered with 503.",
    "stop_timeout_s": "How long requests and child processes may take to end when the marketplace stops.",
    "restart_backoff_max_s": "Longest pause before a crashed child process or task is started again.",
}
