"""The one error tree and the closed list of codes.

    HansaError                  every operating error; carries a `Code`
    ├── Refused                 the request or message is wrong and stays wrong: do not repeat it
    ├── Unavailable             it may work later: repeat with back-off (`retry_after_s`)
    └── Fatal                   the process cannot go on; its exit status says why

Programmer errors are assertions and are not part of the tree.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class Code(StrEnum):
    """Everything that can be wrong, as it appears in HTTP bodies, logs, evidence and `--json` output."""

    # A request to the API.
    MALFORMED = "malformed"
    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NOT_ACCEPTABLE = "not-acceptable"
    CONFLICT = "conflict"
    READ_ONLY_REPLICA = "read-only-replica"
    IDENTIFIER_RESERVED = "identifier-reserved"
    TRANSITION_REFUSED = "transition-refused"
    REFERENCE_WRONG_TYPE = "reference-wrong-type"
    REFERENCE_UNRESOLVED = "reference-unresolved"
    STILL_REFERENCED = "still-referenced"
    PRECONDITION_FAILED = "precondition-failed"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    TOO_LARGE = "too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    RANGE_NOT_SATISFIABLE = "range-not-satisfiable"
    OVERLOADED = "overloaded"
    SEARCH_TOO_SLOW = "search-too-slow"
    UNAVAILABLE = "unavailable"
    URI_TOO_LONG = "uri-too-long"
    NOT_IMPLEMENTED = "not-implemented"
    INTERNAL = "internal"
    # A lifecycle event or a ledger transaction.
    EVENT_MALFORMED = "event-malformed"
    EVENT_TOO_LARGE = "event-too-large"
    EVENT_ISSUER_UNKNOWN = "event-issuer-unknown"
    EVENT_SIGNATURE_INVALID = "event-signature-invalid"
    EVENT_DUPLICATE = "event-duplicate"
    EVENT_TIME_WRONG = "event-time-wrong"
    EVENT_VERSION_BROKEN = "event-version-broken"
    BATCH_OUTDATED = "batch-outdated"
    QUOTA_EXCEEDED = "quota-exceeded"
    CERTIFICATE_INVALID = "certificate-invalid"
    POLICY_REFUSED = "policy-refused"
    TRANSACTION_MALFORMED = "transaction-malformed"
    TRANSACTION_TOO_LARGE = "transaction-too-large"
    # A retrieval from another member.
    RETRIEVAL_UNREACHABLE = "retrieval-unreachable"
    RETRIEVAL_TIMEOUT = "retrieval-timeout"
    RETRIEVAL_TOO_LARGE = "retrieval-too-large"
    RETRIEVAL_ANSWER_INVALID = "retrieval-answer-invalid"
    RETRIEVAL_MISSING = "retrieval-missing"
    HASH_MISMATCH = "hash-mismatch"
    SOURCE_WRONG_BYTES = "source-wrong-bytes"
    KEY_MISMATCH = "key-mismatch"
    IDENTIFIER_CLAIMED = "identifier-claimed"
    IDENTIFIER_STOLEN = "identifier-stolen"
    ENTITY_INVALID = "entity-invalid"
    HOST_NOT_ALLOWED = "host-not-allowed"
    ORIGIN_BOUND_REACHED = "origin-bound-reached"
    CONDITION_UNMET = "condition-unmet"
    # A notification to a hub listener.
    LISTENER_UNREACHABLE = "listener-unreachable"
    LISTENER_TIMEOUT = "listener-timeout"
    LISTENER_REFUSED = "listener-refused"
    LISTENER_FAILED = "listener-failed"
    LISTENER_UNUSABLE = "listener-unusable"
    # A credential that somebody presented.
    CREDENTIAL_MALFORMED = "credential-malformed"
    CREDENTIAL_ALTERED = "credential-altered"
    CREDENTIAL_EXPIRED = "credential-expired"
    CREDENTIAL_NOT_YET_VALID = "credential-not-yet-valid"
    CREDENTIAL_ISSUER_UNTRUSTED = "credential-issuer-untrusted"
    CREDENTIAL_TYPE_UNTRUSTED = "credential-type-untrusted"
    CREDENTIAL_REVOKED = "credential-revoked"
    CREDENTIAL_SUSPENDED = "credential-suspended"
    CREDENTIAL_STATUS_UNKNOWN = "credential-status-unknown"
    PRESENTATION_UNBOUND = "presentation-unbound"
    PRESENTATION_FOREIGN = "presentation-foreign"
    PRESENTATION_EXPIRED = "presentation-expired"
    PRESENTATION_REPLAYED = "presentation-replayed"
    PRESENTATION_MALFORMED = "presentation-malformed"
    CREDENTIAL_NOT_REQUESTED = "credential-not-requested"
    POWER_MISSING = "power-missing"
    # This installation.
    SETTINGS_INVALID = "settings-invalid"
    FOLDER_IN_USE = "folder-in-use"
    PORT_IN_USE = "port-in-use"
    DISK_FULL = "disk-full"
    CLOCK_WRONG = "clock-wrong"
    STORE_NEWER = "store-newer"
    LEDGER_OLDER = "ledger-older"
    RULES_DIFFER = "rules-differ"
    UPGRADE_NEEDED = "upgrade-needed"
    STORE_DAMAGED = "store-damaged"
    STORE_FOREIGN = "store-foreign"
    ENGINE_MISSING = "engine-missing"
    ENGINE_FAILED = "engine-failed"
    BACKUP_INVALID = "backup-invalid"
    # A proof about the ledger.
    PROOF_INVALID = "proof-invalid"
    LEDGER_FORKED = "ledger-forked"


HTTP_STATUS: Final[dict[Code, int]] = {
    Code.MALFORMED: 400,
    Code.INVALID: 400,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.POWER_MISSING: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.NOT_ACCEPTABLE: 406,
    Code.CONFLICT: 409,
    Code.READ_ONLY_REPLICA: 409,
    Code.IDENTIFIER_RESERVED: 409,
    Code.TRANSITION_REFUSED: 409,
    Code.REFERENCE_WRONG_TYPE: 400,
    Code.REFERENCE_UNRESOLVED: 409,
    Code.STILL_REFERENCED: 409,
    Code.PRECONDITION_FAILED: 412,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.RANGE_NOT_SATISFIABLE: 416,
    Code.OVERLOADED: 429,
    Code.SEARCH_TOO_SLOW: 503,
    Code.UNAVAILABLE: 503,
    Code.DISK_FULL: 503,
    Code.URI_TOO_LONG: 414,
    Code.NOT_IMPLEMENTED: 501,
    Code.INTERNAL: 500,
}
"""HTTP status of the codes that a caller can meet; every other code is ours to handle and would be a 500."""

EXIT_STATUS: Final[dict[Code, int]] = {
    Code.INVALID: 2,
    Code.SETTINGS_INVALID: 3,
    Code.FOLDER_IN_USE: 4,
    Code.PORT_IN_USE: 5,
    Code.DISK_FULL: 6,
    Code.CLOCK_WRONG: 7,
    Code.STORE_NEWER: 8,
    Code.STORE_DAMAGED: 9,
    Code.ENGINE_MISSING: 10,
    Code.ENGINE_FAILED: 11,
    Code.UNAVAILABLE: 12,
    Code.UNAUTHENTICATED: 13,
    Code.FORBIDDEN: 13,
    Code.LEDGER_OLDER: 14,
    Code.BACKUP_INVALID: 15,
    Code.RULES_DIFFER: 16,
    Code.STORE_FOREIGN: 17,
    Code.UPGRADE_NEEDED: 18,
    Code.PROOF_INVALID: 20,
    Code.LEDGER_FORKED: 21,
}
"""Exit status of a command that ends with the code; 1 for every other.

2 is what a command line that cannot be understood ends with, too."""


class HansaError(Exception):
    """An operating error: a code, and one sentence for the person who has to act on it."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """Status of the HTTP answer that reports this error."""
        return HTTP_STATUS.get(self.code, 500)

    @property
    def exit_status(self) -> int:
        """Exit status of the command that ends with this error."""
        return EXIT_STATUS.get(self.code, 1)


class Refused(HansaError):
    """The request or message is wrong and stays wrong; repeating it is no use."""


class Unavailable(HansaError):
    """It may work later; the caller repeats it after `retry_after_s` seconds."""

    def __init__(self, code: Code, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


class Fatal(HansaError):
    """The process cannot start or go on; it ends with `exit_status` and this message."""


def drop_tracebacks(error: BaseException) -> None:
    """Drop the tracebacks of an error that has been answered, and of those that led to it.

    The frames of a traceback may refer to the error, as through the future that it came from. Then the
    collector of cycles alone frees what they hold, a body of a megabyte and what it was decoded to, and it
    comes after a number of objects, whatever their size.
    """
    current: BaseException | None = error
    while current is not None and current.__traceback__ is not None:
        current.__traceback__ = None
        current = current.__cause__ or current.__context__
