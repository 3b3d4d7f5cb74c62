#!/bin/sh
# Pins every package, with hashes, for all supported Pythons and platforms; called by `make lock`.
set -eu
cd "$(dirname "$0")/.."

compile() {
    .venv/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "make lock" pyproject.toml "$@"
}

compile --extra dev --output-file requirements-dev.lock
compile --constraint requirements-dev.lock --output-file requirements.lock # what is tested is what is shipped
