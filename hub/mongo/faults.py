"""Faults: what a driver's exception means to the hub. Every other module of `hub.mongo` asks here."""

from __future__ import annotations

from bson.errors import BSONError, InvalidBSON, InvalidDocument
from pymongo.errors import BulkWriteError, ConnectionFailure, DocumentTooLarge, OperationFailure, PyMongoError

from hub.errors import (
    BadRequest,
    Conflict,
    DuplicateKey,
    FunctionError,
    HubError,
    InvalidRow,
    LimitExceeded,
    SnapshotTooOld,
    Unavailable,
)

DRIVER_ERRORS = (PyMongoError, BSONError, OverflowError, UnicodeEncodeError)
"""What a call of the driver can raise on purpose; PyMongo lets the last two through from encoding."""

_TOO_OLD = {239, 246}  # SnapshotTooOld, SnapshotUnavailable
_NO_SUCH_INDEX = "hint provided does not correspond to an existing index"
_DUPLICATE_KEY = 11000
_CONFLICTS = {112, 24, 246, 251, 239, _DUPLICATE_KEY}  # WriteConflict, LockTimeout, snapshots, NoSuchTransaction
_REFUSED_BY_VALIDATOR = 121
_TOO_LARGE = {10334, 17280, 17419, 17420, 257}  # BSONObjectTooLarge, key too large, after an update, TransactionTooLarge
_RESUMABLE = {6, 7, 43, 63, 89, 91, 133, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436}
"""Source: change streams specification, "Resumable Error"."""


def of_read(exc: Exception, collection: str) -> HubError:
    """A read at a timestamp failed: too old, try later, or a row (or the caller's value) that is beyond BSON."""
    if isinstance(exc, InvalidBSON):
        return InvalidRow(f"a row of {collection} cannot be decoded: {exc}")
    if isinstance(exc, OperationFailure) and exc.code in _TOO_OLD:
        return SnapshotTooOld("the database cannot read at this timestamp any more; take a newer one")
    if isinstance(exc, PyMongoError) and not isinstance(exc, InvalidDocument):
        return Unavailable(f"the database cannot be read: {brief(exc)}")
    return BadRequest(f"the database cannot look for such a value: {exc}")


def is_missing_index(exc: Exception) -> bool:
    """There is no such index, or none yet at the read's timestamp."""
    return isinstance(exc, OperationFailure) and _NO_SUCH_INDEX in str(exc)


def of_write(exc: Exception) -> HubError:
    """A transaction failed before its commit was sent. What the server would refuse again is the function's error, at once."""
    if isinstance(exc, DocumentTooLarge) or codes(exc) & _TOO_LARGE:
        return LimitExceeded("a row is larger than the database takes (16 MB, index keys included)")
    if isinstance(exc, InvalidDocument) or not isinstance(exc, PyMongoError):
        return InvalidRow(f"a row holds what the database cannot store: {exc}")
    if _DUPLICATE_KEY in codes(exc):
        return DuplicateKey("a key of a row that it writes is taken by another row")
    if is_conflict(exc):
        return Conflict("another writer was first; run again at a newer position")
    if _REFUSED_BY_VALIDATOR in codes(exc):
        return InvalidRow("a row is refused by the validator that its collection has in the database")
    if isinstance(exc, OperationFailure) and not is_passing(exc):
        return FunctionError(f"the database refuses the write: {_server_text(exc)}")
    return Unavailable(f"the database cannot be written: {_server_text(exc)}")


def is_passing(exc: PyMongoError) -> bool:
    """Whether the same may work later: the server says so, or was busy, going down or not there."""
    is_labelled = any(exc.has_error_label(label) for label in ("TransientTransactionError", "RetryableWriteError"))
    return is_labelled or exc.timeout or is_connection_lost(exc)


def taken_key(exc: Exception) -> tuple[str, ...]:
    """The fields of the unique index that has the key of a row already; () if that is not the reason."""
    if isinstance(exc, BulkWriteError):
        for error in (exc.details or {}).get("writeErrors", ()):
            if error.get("code") == _DUPLICATE_KEY:
                return tuple(error.get("keyPattern", ()))
    return ()


def is_conflict(exc: Exception) -> bool:
    """Whether the server ended the transaction itself, so that nothing of it can ever be written."""
    return not isinstance(exc, ConnectionFailure) and bool(codes(exc) & _CONFLICTS)


def is_connection_lost(exc: Exception) -> bool:
    """No primary, or it went away: the same can be tried again, within the deadline."""
    return isinstance(exc, ConnectionFailure) or bool(codes(exc) & _RESUMABLE)


def is_outcome_unknown(exc: PyMongoError) -> bool:
    """After a commit: whatever is not known to have failed may have happened."""
    return exc.has_error_label("UnknownTransactionCommitResult") or not is_conflict(exc)


def is_resumable(exc: Exception) -> bool:
    """Whether a change stream can go on from its last token; otherwise that token is dead."""
    if isinstance(exc, ConnectionFailure):
        return True
    if not isinstance(exc, OperationFailure) or exc.has_error_label("NonResumableChangeStreamError"):
        return False
    return exc.has_error_label("ResumableChangeStreamError") or exc.code in _RESUMABLE


def codes(exc: Exception) -> set[int]:
    """Every code the server gave: for a bulk write they are in its details."""
    if isinstance(exc, BulkWriteError):
        details = exc.details or {}
        found = {error.get("code") for error in details.get("writeErrors", ())} | {exc.code}
    else:
        found = {exc.code} if isinstance(exc, OperationFailure) else set()
    return {code for code in found if code is not None}


def _server_text(exc: Exception) -> str:
    """What the server says of the first write it refused: the exception itself only says that there was one."""
    details = exc.details if isinstance(exc, BulkWriteError) else None
    return next((str(error.get("errmsg")) for error in (details or {}).get("writeErrors", ())), brief(exc))


def brief(exc: Exception) -> str:
    """One line without the driver's dump of replies and topologies."""
    text = str(exc).partition(", full error:")[0].partition(", Timeout:")[0]
    return " ".join(text.split())[:300]
