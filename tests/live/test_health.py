"""What the engine says of itself to orchestrators: whether it may take traffic now, and why not."""

from __future__ import annotations

import pytest

from hub.store import StoreHealth
from hub.testing.memory import MemoryStore
from tests.live.harness import LiveHub


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        pytest.param(StoreHealth(has_primary=True, feed_is_live=True, lag_s=10.0), "", id="a lag at the limit is none"),
        pytest.param(
            StoreHealth(has_primary=True, feed_is_live=True, lag_s=10.1), "10.1 s behind, more than 10 s", id="a lag beyond it"
        ),
        pytest.param(StoreHealth(has_primary=False, feed_is_live=True, lag_s=0.0), "the database is away", id="no primary"),
        pytest.param(StoreHealth(has_primary=True, feed_is_live=False, lag_s=0.0), "the database is away", id="a silent feed"),
        pytest.param(
            StoreHealth(has_primary=False, feed_is_live=True, lag_s=99.0, reason="no primary"), "no primary", id="a reason"
        ),
    ],
)
async def test_a_hub_may_take_traffic_unless_its_database_is_away_or_its_feed_behind(
    hub: LiveHub, store: MemoryStore, reported: StoreHealth, reason: str
) -> None:
    assert hub.engine.health().ready

    store.reported_health = reported
    health = hub.engine.health()

    assert health.ready == (not reason)
    assert reason in health.reason
    assert health.was_ready
