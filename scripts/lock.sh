#!/bin/sh
# Pins every package, with hashes, for all supported Pythons and platforms; called by `make lock`.
set -eu
cd "$(dirname "$0")/.."

compile() {
    .venv/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "make lock" "$@"
}

compile pyproject.toml --extra dev --output-file requirements-dev.lock
# What is tested is what is shipped: the others take their versions from the first.
compile pyproject.toml --constraint requirements-dev.lock --output-file requirements.lock
echo hatchling | compile - --constraint requirements-dev.lock --python-version 3.11 --output-file requirements-build.lock
