#!/bin/sh
# Makes .venv if it is missing, and installs the locked packages and the project into it; called by `make install`.
# Needs no root, writes nothing outside the checkout, and can be run again at any time.
set -eu
cd "$(dirname "$0")/.."

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The python3 of the system if it will do, else the newest beside it.
find_python() {
    for python in python3 python3.13 python3.12 python3.11; do
        if command -v "$python" >/dev/null 2>&1 && new_enough "$python"; then
            command -v "$python"
            return
        fi
    done
    return 1
}

stop() {
    echo "make install: $1" >&2
    echo "    $2" >&2
    exit 1
}

as_root() { if [ "$(id -u)" = 0 ]; then echo "$*"; else echo "sudo $*"; fi; }

make_venv() {
    if ! python=$(find_python); then
        # Ubuntu 22.04 calls its newer Python by its number; elsewhere python3 is new enough or not to be had from apt.
        if command -v python3 >/dev/null 2>&1; then name=python3.11; else name=python3; fi
        stop "Python 3.11 or newer is missing. This brings it:" "$(as_root apt-get install -y $name $name-venv)"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        name=$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')
        stop "Python's venv module is missing. This brings it:" "$(as_root apt-get install -y "$name")"
    fi
    echo "make install: making .venv with $("$python" --version)"
    "$python" -m venv .venv
}

if [ ! -e .venv ]; then
    make_venv
elif ! new_enough .venv/bin/python; then
    stop ".venv has no working Python 3.11 or newer. Remove it, then install again:" "rm -r .venv && make install"
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
# The lock has the build backend too: building needs no second, unlocked download.
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
echo "make install: done"
