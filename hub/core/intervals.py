"""IntervalIndex: who watches which intervals of one ordered key space, asked by point.

Used by invalidation for the ranges under one equality prefix of one index. The pages of a long chat are thousands of adjacent
intervals there, "the newest fifty" of many readers are one shared interval, and a whole-chat query covers all of them; so neither
a list (10,000 tests a change: 225 µs) nor a map of elementary segments (a wide interval would be entered 10,000 times) will do.

It is an AVL tree ordered by (start, end), each node knowing the greatest end below it. A stabbing query leaves out every subtree
that ends at or before the point or starts after it: O(log n) for the path, and O(log n) at worst for each interval found.
Insertion and removal are O(log n); one more reader of a known interval, or one fewer, is O(1). Balanced by height, not by chance,
so the cost is the same in every run.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeAlias, TypeVar

from hub.core.ranges import TupleKey

R = TypeVar("R", bound=Hashable)
Interval: TypeAlias = tuple[TupleKey, TupleKey]
"""Half-open: `start <= point < end`."""


class _Node(Generic[R]):
    __slots__ = ("height", "interval", "last_end", "left", "readers", "right")

    def __init__(self, interval: Interval, readers: set[R]) -> None:
        self.interval = interval
        self.readers = readers
        self.left: _Node[R] | None = None
        self.right: _Node[R] | None = None
        self.height = 1
        self.last_end = interval[1]


class IntervalIndex(Generic[R]):
    """Intervals with their readers. Equal intervals are one entry."""

    __slots__ = ("_readers", "_root")

    def __init__(self) -> None:
        self._root: _Node[R] | None = None
        self._readers: dict[Interval, set[R]] = {}  # the sets are the nodes' own

    def __len__(self) -> int:
        """Different intervals."""
        return len(self._readers)

    def add(self, start: TupleKey, end: TupleKey, reader: R) -> None:
        assert start < end, "an empty interval would never be found"
        readers = self._readers.get((start, end))
        if readers is None:
            readers = self._readers[start, end] = set()
            self._root = _insert(self._root, _Node((start, end), readers))
        readers.add(reader)

    def remove(self, start: TupleKey, end: TupleKey, reader: R) -> None:
        """Undo `add`. Raises KeyError if the reader does not have this interval."""
        readers = self._readers[start, end]
        readers.remove(reader)
        if not readers:
            del self._readers[start, end]
            self._root = _remove(self._root, (start, end))

    def collect(self, point: TupleKey, into: set[R]) -> None:
        """Add the readers of all intervals that contain the point."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node is None or node.last_end <= point:
                continue
            waiting.append(node.left)
            start, end = node.interval
            if start <= point:
                if point < end:
                    into |= node.readers
                waiting.append(node.right)


# --- the AVL tree: each function returns the new root of the subtree it was given -------------------------------------


def _insert(node: _Node[R] | None, new: _Node[R]) -> _Node[R]:
    if node is None:
        return new
    if new.interval < node.interval:
        node.left = _insert(node.left, new)
    else:
        node.right = _insert(node.right, new)
    return _balanced(node)


def _remove(node: _Node[R] | None, interval: Interval) -> _Node[R] | None:
    assert node is not None, "the tree and the map of intervals disagree"
    if interval < node.interval:
        node.left = _remove(node.left, interval)
    elif node.interval < interval:
        node.right = _remove(node.right, interval)
    elif node.left is None or node.right is None:
        return node.left or node.right
    else:
        node.right, successor = _without_first(node.right)
        successor.left, successor.right = node.left, node.right
        node = successor
    return _balanced(node)


def _without_first(node: _Node[R]) -> tuple[_Node[R] | None, _Node[R]]:
    """The subtree without its first node, and that node."""
    if node.left is None:
        return node.right, node
    node.left, first = _without_first(node.left)
    return _balanced(node), first


def _balanced(node: _Node[R]) -> _Node[R]:
    """The subtree with its heights at most one apart, after one node was put in or taken out below."""
    lean = _height(node.left) - _height(node.right)
    if lean > 1:
        assert node.left is not None
        if _height(node.left.left) < _height(node.left.right):
            node.left = _rotate_left(node.left)
        return _rotate_right(node)
    if lean < -1:
        assert node.right is not None
        if _height(node.right.right) < _height(node.right.left):
            node.right = _rotate_right(node.right)
        return _rotate_left(node)
    return _measured(node)


def _rotate_left(node: _Node[R]) -> _Node[R]:
    top = node.right
    assert top is not None
    node.right, top.left = top.left, node
    _measured(node)
    return _measured(top)


def _rotate_right(node: _Node[R]) -> _Node[R]:
    top = node.left
    assert top is not None
    node.left, top.right = top.right, node
    _measured(node)
    return _measured(top)


def _measured(node: _Node[R]) -> _Node[R]:
    """The node itself, its height and last end computed from its children."""
    left, right = node.left, node.right
    node.height = 1 + max(_height(left), _height(right))
    last = node.interval[1]
    if left is not None and left.last_end > last:
        last = left.last_end
    if right is not None and right.last_end > last:
        last = right.last_end
    node.last_end = last
    return node


def _height(node: _Node[R] | None) -> int:
    return 0 if node is None else node.height
