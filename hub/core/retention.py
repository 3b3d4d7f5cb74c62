"""Retention: which pieces of the range cache are shown by live queries, and which go first.

Plain bookkeeping for `hub.core.rangecache`, which makes the pieces and drops them. Invariant: a piece is in one of the two orders
from when it is added until it is removed: `shown` if somebody holds it, else `idle`; each with the longest unused first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable

from hub.core.rangemap import Piece


class Retention:
    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._pieces_of: dict[Hashable, Collection[Piece]] = {}
        self._shown: OrderedDict[Piece, None] = OrderedDict()
        self._idle: OrderedDict[Piece, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._shown) + len(self._idle)

    def add(self, piece: Piece) -> None:
        self._idle[piece] = None

    def remove(self, piece: Piece) -> None:
        """Its holders may go on holding it: it means nothing any more."""
        piece.is_dropped = True
        self._idle.pop(piece, None)
        self._shown.pop(piece, None)

    def hold(self, holder: Hashable, pieces: Collection[Piece], now: float) -> None:
        """From now on `holder` shows these, and nothing it showed before."""
        before = self._pieces_of.get(holder, ())
        for piece in pieces:
            if piece not in before:
                piece.holders += 1
            if not piece.is_dropped:
                piece.used_at = now
                self._idle.pop(piece, None)
                self._shown[piece] = None
                self._shown.move_to_end(piece)
        for piece in before:
            if piece not in pieces:
                self._let_go(piece, now)
        self._pieces_of[holder] = pieces

    def touch(self, pieces: Iterable[Piece], now: float) -> None:
        """They were used, and nobody holds them for that."""
        for piece in pieces:
            if piece in self._idle:
                piece.used_at = now
                self._idle.move_to_end(piece)

    def release(self, holder: Hashable, now: float) -> None:
        for piece in self._pieces_of.pop(holder, ()):
            self._let_go(piece, now)

    def _let_go(self, piece: Piece, now: float) -> None:
        piece.holders -= 1
        if piece.holders == 0 and not piece.is_dropped:
            piece.used_at = now
            del self._shown[piece]
            self._idle[piece] = None

    def expired(self, now: float) -> Piece | None:
        """The longest unused one that nobody has shown for the grace period."""
        piece = next(iter(self._idle), None)
        return piece if piece is not None and piece.used_at + self._grace_s <= now else None

    def least_needed(self, in_use: Collection[Piece]) -> Piece | None:
        """What goes first when there is too much: what nobody shows, then what is shown, and what is in use just now last."""
        for spared in (in_use, ()):
            for pieces in (self._idle, self._shown):
                piece = next((piece for piece in pieces if piece not in spared), None)
                if piece is not None:
                    return piece
        return None
