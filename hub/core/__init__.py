"""Pure decisions: ranges, commits, read sets, invalidation. No asyncio, no driver, no clock, no logging."""
