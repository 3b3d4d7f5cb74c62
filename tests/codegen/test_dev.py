"""`hub dev --codegen`: the declarations are those of the code that is served."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hub.mongo.embedded import MongodBinary
from tests.codegen.applications import save
from tests.scenarios.hub_process import HubProcess, eventually

pytestmark = pytest.mark.real


def test_the_declarations_follow_the_code_that_is_served(mongod_binary: MongodBinary, app: Path, tmp_path: Path) -> None:
    module, declared = app / "queries" / "admin" / "reports.py", tmp_path / "out" / "api.d.ts"
    source = module.read_text()
    with HubProcess(tmp_path / "hub", app=app, options=("--codegen", str(declared.parent))) as hub:
        before = declared.read_text()
        save(module, "def broken(:\n")
        eventually(lambda: "does not load" in hub.output, 20, "the mistake is told")
        kept = declared.read_text()
        save(module, source.replace("public_one", "renamed_one"))
        eventually(lambda: "renamedOne" in declared.read_text(), 20, "the declarations are written again")

    assert "publicOne" in before
    assert kept == before


def test_a_folder_that_cannot_be_written_stops_the_start_and_no_hub_that_runs(
    mongod_binary: MongodBinary, app: Path, tmp_path: Path
) -> None:
    module, out = app / "queries" / "admin" / "reports.py", tmp_path / "out"
    with HubProcess(tmp_path / "hub", app=app, options=("--codegen", str(out))) as hub:
        shutil.rmtree(out)
        out.write_text("in the way")
        save(module, module.read_text().replace("public_one", "renamed_one"))
        eventually(lambda: "TypeScript is not written" in hub.output, 20, "that it is not written is told")
        answer = hub.get("/ready")
        hub.stop()
        hub.launch()
        status = hub.wait(20)

    assert answer == 200
    assert status == 2
    assert f"hub: {out}: File exists" in hub.output
