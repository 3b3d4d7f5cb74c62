"""LiveQueries: finds the live query of a subscription or starts one, and forgets those that nobody wants.

Who may share a result is decided here and nowhere else: a query starts as shared; from the first run that looked at identity on,
each caller has one of their own.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator

from hub.core.invalidation import ReaderId
from hub.errors import HubError, TooManyConcurrentRequests
from hub.functions.registry import Registry
from hub.live.moment import Evaluation
from hub.live.query import LiveQuery, QueryKey, Subscription
from hub.live.results import failure
from hub.protocol import json_values
from hub.timestamps import ZERO

_MAX_PERSONAL = 100_000
"""How many (function, arguments) are remembered as personal. One that is forgotten costs a discarded run, no more."""


class LiveQueries:
    """`on_start` is told of each new live query (it must be evaluated), `on_end` of each that lost its last subscriber."""

    def __init__(
        self,
        registry: Registry,
        on_start: Callable[[LiveQuery], None],
        on_end: Callable[[LiveQuery], None],
        *,
        max_live_queries: int,
    ) -> None:
        self.registry = registry
        self._max_live_queries = max_live_queries
        self._on_start = on_start
        self._on_end = on_end
        self._by_id: dict[ReaderId, LiveQuery] = {}
        self._by_key: dict[QueryKey, LiveQuery] = {}
        self._refused: set[Subscription] = set()
        self._personal: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._ids = itertools.count(1)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[LiveQuery]:
        return iter(list(self._by_id.values()))

    def get(self, reader: ReaderId) -> LiveQuery | None:
        return self._by_id.get(reader)

    def watch(self, subscription: Subscription) -> None:
        """Give the subscription its live query, or the refusal that its caller gets instead."""
        try:
            function = self.registry.find(subscription.path, "query", subscription.caller)
            if len(self) >= self._max_live_queries:
                raise TooManyConcurrentRequests(
                    "TooManyConcurrentRequests: this hub has as many live queries as it may; try again later"
                )
        except HubError as error:
            subscription.evaluations = [Evaluation(failure(error), since=ZERO)]
            self._refused.add(subscription)
            return
        args_key = json_values.canonical(function.sharing_args(subscription.args))
        is_personal = (function.name, args_key) in self._personal
        sharing_key = subscription.caller.sharing_key if is_personal else None
        key = QueryKey(function.name, args_key, subscription.journal, sharing_key)
        live = self._by_key.get(key)
        if live is None:
            live = self._start(key, subscription, is_personal)
        live.subscriptions.add(subscription)
        subscription.live, subscription.evaluations = live, live.evaluations

    def _start(self, key: QueryKey, subscription: Subscription, is_personal: bool) -> LiveQuery:
        caller = subscription.caller if is_personal else None
        live = LiveQuery(ReaderId(next(self._ids)), key, subscription.args, caller, subscription.journal)
        self._by_id[live.id] = live
        self._by_key[key] = live
        self._on_start(live)
        return live

    def unwatch(self, subscription: Subscription) -> None:
        live, subscription.live, subscription.evaluations = subscription.live, None, ()
        self._refused.discard(subscription)
        if live is None:
            return
        live.subscriptions.discard(subscription)
        if not live.subscriptions and self._by_id.pop(live.id, None) is not None:
            if self._by_key.get(live.key) is live:
                del self._by_key[live.key]
            self._on_end(live)

    def make_personal(self, live: LiveQuery) -> None:
        """Its run looked at identity: from now on everybody has one of their own."""
        base = (live.key.path, live.key.args_key)
        self._personal[base] = None
        self._personal.move_to_end(base)
        if len(self._personal) > _MAX_PERSONAL:
            self._personal.popitem(last=False)
        self._watch_again(list(live.subscriptions))

    def fix_page(self, live: LiveQuery, journal: str) -> None:
        """Its page has an end now. A later subscriber without that end cuts a page of its own; one with it shares this."""
        live.journal = journal
        for subscription in live.subscriptions:
            subscription.journal = journal  # should it have to be watched again, its page must not be cut again
        if live.key.journal == journal:
            return
        if self._by_key.get(live.key) is live:
            del self._by_key[live.key]
        live.key = live.key._replace(journal=journal)
        self._by_key.setdefault(live.key, live)

    def replace_registry(self, registry: Registry) -> None:
        """The application was loaded anew: every subscription is looked up again, every result computed again."""
        self.registry = registry
        self._personal.clear()
        self._watch_again([*self._refused, *(subscription for live in self for subscription in live.subscriptions)])

    def _watch_again(self, subscriptions: list[Subscription]) -> None:
        for subscription in subscriptions:
            self.unwatch(subscription)
        for subscription in subscriptions:
            self.watch(subscription)
        for subscription in subscriptions:
            subscription.subscriber.refresh()
