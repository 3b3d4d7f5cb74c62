"""The TypeScript compiler, and a published client's types."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.codegen.applications import CLIENTS
from tests.scenarios.js_client import SCRIPTS


def compiled(node: str, folder: Path, settings: Path, version: str) -> str:
    """What `tsc --strict` says about the sources in the folder; nothing if all is well. `settings` is a file for it to have."""
    types = SCRIPTS / "node_modules" / f"convex-{version}" / "dist" / "esm-types" / "*" / "index.d.ts"
    config = {
        "extends": str(CLIENTS / "tsconfig.json"),
        "compilerOptions": {"paths": {"convex/*": [str(types)]}},
        "include": [str(folder)],
    }
    settings.write_text(json.dumps(config))
    tsc = SCRIPTS / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run([node, tsc, "-p", settings], capture_output=True, text=True, timeout=100, check=False)
    return done.stdout + done.stderr
