"""Connection: one client's session among the live queries; it performs what `Session` decides.

Owned by the socket's shell (`hub.server.websocket`), which reads frames into `receive` and writes what `outbox` holds. Everything
here is synchronous: an answer or a refresh is in the outbox when the call returns, so their order there is the order of truth.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import assert_never

from hub.errors import NotCaughtUp
from hub.functions.identity import NOBODY, Caller
from hub.live.moment import evaluation_at, newest_common_moment
from hub.live.query import Subscription
from hub.live.sequencer import Answer, MutationRequest
from hub.protocol.messages import (
    AddQuery,
    CatchUp,
    ClientMessage,
    Close,
    Effect,
    HoldForRepeats,
    QueryId,
    RunMutation,
    Send,
    Unwatch,
    Verify,
    Watch,
)
from hub.protocol.outbox import Outbox
from hub.protocol.session import Session
from hub.timestamps import Timestamp
