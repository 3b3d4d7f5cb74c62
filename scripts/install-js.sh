#!/bin/sh
# Installs the npm packages that tests run and those of `clients/`; called by `make packages`. Without Node those tests are skipped,
# and say so.
set -eu
cd "$(dirname "$0")/.."

major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
missing=""
packages=""
if ! { [ "$major" -ge 20 ] && command -v npm >/dev/null 2>&1; }; then
    missing="Node 20 or newer with npm"
    packages="nodejs npm"
fi
if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null 2>&1; then
    missing="${missing:+$missing, }Chromium"
    packages="${packages:+$packages }chromium"
fi
if [ -n "$missing" ]; then
    echo "make test: tests are skipped that need what is missing here: $missing. This brings it:" >&2
    echo "    sudo apt-get install -y $packages" >&2
fi
case "$missing" in Node*)
    echo "    (Debian 12's nodejs is 18; a newer one: https://nodejs.org)" >&2
    exit 0
    ;;
esac

for lock in clients/*/package-lock.json clients/js/web/package-lock.json tests/*/package-lock.json; do
    folder=$(dirname "$lock")
    installed="$folder/node_modules/.package-lock.json" # npm writes it last
    if [ -e "$lock" ] && [ ! "$installed" -nt "$lock" ]; then
        npm ci --prefix "$folder" --cache .cache/npm --no-audit --no-fund --no-update-notifier --loglevel=error
        touch "$installed"
    fi
done
