#!/bin/sh
# Installs the published npm clients that tests run; called by `make test`. Without Node those tests are skipped, and say so.
set -eu
cd "$(dirname "$0")/.."

major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
missing=""
[ "$major" -ge 20 ] && command -v npm >/dev/null 2>&1 || missing="Node 20 or newer with npm (packages nodejs npm)"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 ||
    missing="${missing:+$missing, }Chromium (package chromium)"
if [ -n "$missing" ]; then
    echo "make test: tests that need these will be skipped: $missing" >&2
    echo "    sudo apt-get install -y nodejs npm chromium    (where apt's nodejs is older than 20: https://nodejs.org)" >&2
fi
case "$missing" in Node*) exit 0 ;; esac

for lock in tests/*/package-lock.json; do
    folder=$(dirname "$lock")
    installed="$folder/node_modules/.package-lock.json" # npm writes it last
    if [ -e "$lock" ] && [ ! "$installed" -nt "$lock" ]; then
        npm ci --prefix "$folder" --cache .cache/npm --no-audit --no-fund --loglevel=error
        touch "$installed"
    fi
done
