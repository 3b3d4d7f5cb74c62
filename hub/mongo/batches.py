"""OwnBatches: the batches that this process is committing or has just committed, until the change feed brings them back.

`hub.mongo.transactions` registers a batch before its first command is sent, since the feed can be faster than the
acknowledgement; `hub.mongo.changefeed` recognises it by the clock row's `by` and takes the rows' new images from here, where
the feed has deltas only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import bson

from hub.core.commits import BatchId
from hub.mongo.driver import STORED
from hub.store import Update, WriteBatch
from hub.timestamps import ZERO, Timestamp
from hub.values import Row, RowId

Images = Mapping[tuple[str, RowId], Row]


class OwnBatches:
    """Invariant: a batch is here from before it can be seen in the feed until the feed has passed it, or it failed.

    Should the feed be away for very long the oldest are let go: their commits then count as somebody else's.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._images: OrderedDict[BatchId, Images] = OrderedDict()
        self._seen: OrderedDict[BatchId, Timestamp] = OrderedDict()
        self._position: Timestamp = ZERO
        self._overlooked: set[BatchId] = set()

    def register(self, batch: WriteBatch) -> None:
        """Raises what `bson` raises for a row that cannot be stored."""
        self._images[batch.id] = {
            (write.table, write.id): _as_stored(write.after) for write in batch.writes if isinstance(write, Update)
        }
        _shorten(self._images, self._limit)

    def failed(self, batch: BatchId) -> None:
        """Nothing of it was written."""
        self._images.pop(batch, None)

    def images(self, batch: BatchId) -> Images | None:
        """The images of updated rows; None if the batch is not of this process."""
        return self._images.get(batch)

    def delivered(self, batch: BatchId, ts: Timestamp) -> None:
        """The feed has brought it: it is committed, whatever its acknowledgement says."""
        self._images.pop(batch, None)
        self._seen[batch] = ts
        _shorten(self._seen, self._limit)

    def passed(self, position: Timestamp) -> None:
        """The feed has brought everything up to here."""
        self._position = position

    def lost_history(self) -> None:
        """The feed starts over: it may never bring what is on its way now."""
        self._overlooked = set(self._images)

    def is_missing(self, batch: BatchId, ts: Timestamp) -> bool:
        """Whether it is proven that nothing of it was committed up to `ts`: the feed came past and did not bring it."""
        return batch in self._images and batch not in self._overlooked and self._position >= ts

    def committed_at(self, batch: BatchId) -> Timestamp | None:
        return self._seen.get(batch)


def _as_stored(row: Row) -> Row:
    """What a read of the row will give: MongoDB cuts dates to milliseconds, and knows integers by their size."""
    return bson.decode(bson.encode(row), codec_options=STORED)


def _shorten(mapping: OrderedDict[BatchId, Images] | OrderedDict[BatchId, Timestamp], limit: int) -> None:
    while len(mapping) > limit:
        mapping.popitem(last=False)
