"""Limits on everything that grows. One immutable object, handed down by `hansa.node`; units stand last."""

from __future__ import annotations

from typing import Final

import msgspec

_SHARE_BYTES: Final = 8_388_608


class CacheSizes(msgspec.Struct, frozen=True):
    """What each cache of the catalogue may hold, in bytes."""

    pages: int
    """Pages of the database, of the connection that writes."""
    entities: int
    """Entities that were read one by one."""
    rows: int
    """What lists show of entities."""
    number_sets: int
    """Which entities match indexed conditions."""
    page_numbers: int
    """Which entities the pages of lists have."""
    responses: int
    """Responses to lists."""
    compressed: int
    """Compressed bodies, with the plain ones."""

    @classmethod
    def of(cls, total_bytes: int) -> CacheSizes:
        """The shares of a total: 8, 4, 2, 8, 1, 2 and 2 of 27."""
        assert total_bytes > 0, "a cache has room"
        share = max(1, total_bytes // 27)
        return cls(
            pages=8 * share,
            entities=4 * share,
            rows=2 * share,
            number_sets=8 * share,
            page_numbers=share,
            responses=2 * share,
            compressed=2 * share,
        )


class Limits(msgspec.Struct, frozen=True):
    """The bounds within which a member works. Defaults suit a marketplace on one machine."""

    # Requests to the API.
    body_size_max_bytes: int = 1_048_576
    body_depth_max: int = 64
    body_nodes_max: int = 20_000
    array_length_max_items: int = 10_000
    string_length_max_chars: int = 262_144
    list_limit_default: int = 100
    list_limit_max: int = 1000
    answer_size_max_bytes: int = 4_194_304
    query_length_max_chars: int = 8192
    query_parts_max: int = 256
    filter_count_max: int = 32
    pattern_length_max_chars: int = 512
    path_nodes_max: int = 100_000
    answer_path_nodes_max: int = 50_000
    event_path_nodes_max: int = 1000
    search_timeout_s: float = 2.0
    expansion_depth_max: int = 3
    requests_in_flight_max: int = 512
    writes_waiting_max: int = 2048
    identifier_length_max_chars: int = 256
    references_max: int = 5000
    sub_resources_deleted_max: int = 10_000
    expanded_entities_max: int = 500
    collection_patch_entities_max: int = 500
    patch_operations_max: int = 1000
    patch_steps_max: int = 100_000
    task_targets_max: int = 1000
    # Connections, and what a caller may have of this process.
    connections_max: int = 4096
    connections_per_address_max: int = 1024
    head_timeout_s: float = 15.0
    upload_grace_s: float = 30.0
    upload_rate_min_bytes_per_s: float = 2048.0
    upload_timeout_s: float = 3600.0
    uploads_max_bytes: int = 134_217_728
    send_grace_s: float = 15.0
    send_rate_min_bytes_per_s: float = 8192.0
    unsent_max_bytes: int = 67_108_864
    requests_per_caller_max: int = 256
    streams_per_caller_max: int = 64
    work_share_per_address: float = 0.25
    work_burst_address_s: float = 30.0
    work_share_per_subject: float = 0.5
    work_burst_subject_s: float = 60.0
    strangers_work_share: float = 0.75
    # Import and export jobs.
    job_content_max_bytes: int = 67_108_864
    job_files_max: int = 100
    jobs_unfinished_max: int = 50
    job_batch_max_entities: int = 50
    job_errors_max: int = 100
    job_fetch_timeout_s: float = 120.0
    # Hub.
    subscriptions_max: int = 20_000
    subscriptions_per_subject_max: int = 1000
    webhook_secret_overlap_s: float = 86_400.0
    notification_timeout_s: float = 10.0
    notification_attempts_max: int = 8
    notification_backoff_max_s: float = 300.0
    notifications_in_flight_max: int = 64
    refusals_in_row_max: int = 10
    listener_dead_after_s: float = 86_400.0
    dead_letters_max: int = 1000
    # Events and the ledger.
    event_size_max_bytes: int = 4096
    events_per_transaction_max: int = 100
    transaction_size_max_bytes: int = 262_144
    events_page_max: int = 500
    claims_page_max: int = 1000
    ledger_reads_waiting_max: int = 64
    ledger_read_timeout_s: float = 2.0
    ledger_read_share: float = 0.1
    light_blocks_max: int = 2_000_000
    publish_timeout_s: float = 60.0
    publish_in_flight_max: int = 4
    publish_tick_s: float = 0.25
    publish_backoff_max_s: float = 10.0
    announced_retained_s: float = 300.0
    announced_retained_max: int = 50_000
    announced_retained_max_bytes: int = 268_435_456
    engine_stall_s: float = 20.0
    observe_blocks_min: int = 12
    observe_min_s: float = 30.0
    # Retrieval.
    entity_size_max_bytes: int = 1_048_576
    retrieval_entities_max: int = 200
    retrieval_size_max_bytes: int = 16_777_216
    retrieval_timeout_s: float = 20.0
    retrieval_parallel_per_origin_max: int = 2
    retrieval_backoff_min_s: float = 0.2
    retrieval_backoff_max_s: float = 60.0
    retrieval_backoff_limit_s: float = 3600.0
    retrieval_retries_per_s: float = 10.0
    origin_entities_max: int = 2_000_000
    origin_size_max_bytes: int = 34_359_738_368
    origin_day_max_bytes: int = 17_179_869_184
    origin_verification_per_day_max_s: float = 21_600.0
    evidence_rows_max: int = 10_000
    confidential_entities_per_origin_max: int = 100_000
    confidential_per_origin_max_bytes: int = 1_073_741_824
    closure_wait_max_s: float = 86_400.0
    streams_max: int = 256
    # Writes that are repeated, and writes that are forwarded.
    idempotency_lifetime_s: float = 86_400.0
    idempotency_keys_per_caller_max: int = 10_000
    idempotency_per_caller_max_bytes: int = 33_554_432
    idempotency_keys_max: int = 200_000
    idempotency_max_bytes: int = 536_870_912
    forward_timeout_s: float = 10.0
    forwards_in_flight_max: int = 64
    forwards_per_origin_max: int = 16
    forwards_per_caller_max: int = 8
    forward_position_wait_s: float = 2.0
    delegations_per_member_max: int = 20_000
    queued_writes_max: int = 2000
    queued_writes_per_caller_max: int = 200
    queued_writes_max_bytes: int = 134_217_728
    queued_write_lifetime_s: float = 86_400.0
    queued_write_backoff_max_s: float = 60.0
    position_wait_s: float = 5.0
    position_waiters_max: int = 256
    # The audit log.
    audit_anchor_interval_s: float = 3600.0
    audit_notes_interval_s: float = 5.0
    audit_retention_s: float = 31_536_000.0
    audit_records_max: int = 10_000_000
    # The log of decisions about access.
    decision_log_max_bytes: int = 4_194_304
    decision_log_allowed_every: int = 0
    # Trust between members.
    request_age_max_s: float = 120.0
    clock_skew_max_s: float = 300.0
    # Trust in clients.
    token_lifetime_max_s: float = 7_776_000.0
    sessions_max: int = 50_000
    sessions_per_subject_max: int = 10
    session_idle_s: float = 3600.0
    session_lifetime_s: float = 43_200.0
    # What people write on pages.
    form_drafts_max: int = 20_000
    form_drafts_per_person_max: int = 50
    form_draft_max_bytes: int = 262_144
    form_draft_lifetime_s: float = 7_776_000.0
    import_files_max: int = 100
    import_file_max_bytes: int = 4_194_304
    import_rows_max: int = 2000
    import_file_lifetime_s: float = 86_400.0
    # Logins with wallets.
    logins_max: int = 10_000
    logins_per_address_max: int = 200
    logins_max_bytes: int = 134_217_728
    login_lifetime_s: float = 300.0
    access_token_lifetime_s: float = 900.0
    refresh_token_lifetime_s: float = 1_209_600.0
    token_families_max: int = 100_000
    token_families_per_subject_max: int = 20
    login_requests_per_address_per_s: float = 20.0
    token_requests_per_client_per_s: float = 100.0
    wrong_client_secrets_per_s: float = 0.1
    # The machine.
    cache_max_bytes: int = 27 * _SHARE_BYTES
    disk_free_min_bytes: int = 67_108_864
    stop_timeout_s: float = 10.0
    restart_backoff_max_s: float = 15.0

    @property
    def caches(self) -> CacheSizes:
        """How the caches of the catalogue share `cache_max_bytes`."""
        return CacheSizes.of(self.cache_max_bytes)
