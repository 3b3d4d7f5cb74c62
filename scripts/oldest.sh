#!/bin/sh
# Makes .cache/oldest: as .venv, but with the oldest packages that `dependencies` in pyproject.toml allows; called by `make test-oldest`.
set -eu
cd "$(dirname "$0")/.."
venv=.cache/oldest
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1

.venv/bin/python -m pip install --quiet uv
.venv/bin/python -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --require-hashes --requirement requirements-dev.lock
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
.venv/bin/uv pip compile --quiet --resolution lowest-direct --python "$venv/bin/python" --output-file "$venv/oldest.txt" pyproject.toml
.venv/bin/uv pip install --quiet --python "$venv/bin/python" --requirement "$venv/oldest.txt"
