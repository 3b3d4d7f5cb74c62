"""DataFolder: the folder of an embedded database: made, locked for one hub, and reachable by a path that a socket can have.

Used by `hub.mongo.embedded`. Invariant: between `take()` and `free()` no other hub has the folder; the lock is the kernel's and
goes with this process, however it ends. Outside the folder there is at most one link in the system's temporary folder, made
only where the path is too long for a socket, and removed by `free()`, or by the next `take()` if this process is killed.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from pathlib import Path
from typing import IO

from hub.errors import ConfigError

SOCKET = "m.sock"
SOCKET_PATH_LIMIT_BYTES = 107 if sys.platform == "linux" else 103
"""`sockaddr_un.sun_path` without its final zero."""


class DataFolder:
    """`_lock` is the open file whose lock makes the folder ours; `_link` the short way to it, where one is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None
        self._link: Path | None = None

    @property
    def socket_path(self) -> Path:
        """Short enough for any client once the folder is taken."""
        return (self._link or self.path) / SOCKET

    def take(self) -> None:
        """Raises ConfigError if the folder cannot be used, or another hub uses it."""
        try:
            (self.path / "db").mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)  # the server asks for no password: who can reach the socket may do everything
            lock = (self.path / "hub.lock").open("a+", encoding="utf-8")
        except OSError as exc:
            raise ConfigError(f"cannot use {self.path} for the database: {exc.strerror}") from exc
        lock.seek(0)
        owner, _, link = lock.read().partition(" ")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            lock.close()
            raise ConfigError(
                f"{self.path} is in use by another hub (process {owner}); stop it, or choose another data folder"
            ) from exc
        self._lock = lock
        if link:
            _remove_link(Path(link))  # of a hub that was killed
        self._shorten()
        lock.truncate(0)
        lock.write(f"{os.getpid()} {self._link or ''}")
        lock.flush()

    def free(self) -> None:
        """Lets the next hub in. Does nothing the second time."""
        if self._link is not None:
            _remove_link(self._link)
            self._link = None
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def _shorten(self) -> None:
        if len(os.fsencode(self.path / SOCKET)) > SOCKET_PATH_LIMIT_BYTES:
            self._link = Path(tempfile.mkdtemp(prefix="hub-")) / "mongo"
            self._link.symlink_to(self.path, target_is_directory=True)


def _remove_link(link: Path) -> None:
    """Takes away what `_shorten` made, and nothing that does not look like it."""
    if link.is_symlink() and link.parent.name.startswith("hub-"):
        link.unlink()
        link.parent.rmdir()
