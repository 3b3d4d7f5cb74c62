"""Guard: makes a process end with the one that started it, however that one ends, `kill -9` included.

Run as a script by `hub.mongo.embedded` (by path and with `-I -S`: nothing but the standard library, 20 ms). A script, because
the alternative, a `preexec_fn`, runs Python between fork and exec and may deadlock in a process with threads.
"""

from __future__ import annotations

import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def replace_by(parent: int, command: list[str]) -> None:
    """Become `command`, which the kernel kills when the thread that started this process is gone. Linux only."""
    import ctypes  # only here: a Python without it can still watch

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the kernel was told to look
        os._exit(1)
    os.execv(command[0], command)  # noqa: S606  # the command is ours; the death signal survives exec


def watch(process: int) -> None:
    """Kill `process` when standard input ends: its other end is held by the hub alone, so it ends with the hub."""
    while os.read(0, 4096):
        pass
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    if sys.argv[1] == "replace":
        replace_by(int(sys.argv[2]), sys.argv[3:])
    else:
        watch(int(sys.argv[2]))
