"""`hub codegen`: what it writes, when it says that something is not current, and that it goes on watching."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.codegen import files
from hub.codegen.typescript import typescript
from hub.functions import loader
from tests.codegen.applications import APPLICATIONS, EXPECTED, save

NAMES = {"api.d.ts", "api.js", "dataModel.d.ts", "server.d.ts", "types.d.ts"}
HUB = Path(sys.executable).with_name("hub")


def command(*arguments: str | Path) -> list[str]:
    return [str(HUB), "codegen", *map(str, arguments)]


def codegen(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return subprocess.run(
        command(*arguments), cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_files_are_those_that_are_expected(name: str) -> None:
    """Which are meant to be read; those of the chat are what the page is built with."""
    expected = EXPECTED[name]
    anew = f"`hub codegen --app {APPLICATIONS[name]} --out {expected}` writes them anew"

    generated = typescript(loader.load(APPLICATIONS[name]))

    assert {path.name for path in expected.iterdir()} == set(generated) == NAMES, anew
    for file, text in generated.items():
        assert text == (expected / file).read_bytes().decode(), anew


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_writes_the_same(seed: str, tmp_path: Path) -> None:
    """Whatever the order of Python's sets."""
    done = codegen("--app", APPLICATIONS["constructs"], "--out", "out", cwd=tmp_path, PYTHONHASHSEED=seed)

    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert (tmp_path / "out" / name).read_bytes() == (EXPECTED["constructs"] / name).read_bytes()


def test_an_empty_application_still_has_every_file(tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "empty.py").touch()

    assert set(typescript(loader.load(tmp_path))) == NAMES


def test_only_what_differs_is_written_and_named(app: Path, tmp_path: Path) -> None:
    first = codegen("--app", app, "--out", "out", cwd=tmp_path)
    (tmp_path / "out" / "api.d.ts").write_text("// mine")
    untouched = (tmp_path / "out" / "types.d.ts").stat()
    second = codegen("--app", app, "--out", "out", cwd=tmp_path)
    third = codegen("--app", app, "--out", "out", cwd=tmp_path)

    assert set(first.stdout.split()) == {f"out/{name}" for name in NAMES}
    assert second.stdout == "out/api.d.ts\n"
    assert third.stdout == ""
    assert (tmp_path / "out" / "types.d.ts").stat().st_ino == untouched.st_ino
    assert {path.name for path in (tmp_path / "out").iterdir()} == NAMES


def test_a_check_names_what_is_not_current_and_writes_nothing(app: Path, tmp_path: Path) -> None:
    codegen("--app", app, "--out", "out", cwd=tmp_path)
    good = codegen("--app", app, "--out", "out", "--check", cwd=tmp_path)
    (tmp_path / "out" / "api.js").unlink()
    (tmp_path / "out" / "types.d.ts").write_text("// mine")
    stale = codegen("--app", app, "--out", "out", "--check", cwd=tmp_path)

    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    assert (stale.returncode, stale.stdout) == (1, "")
    assert stale.stderr == "hub: not current: out/api.js, out/types.d.ts; `hub codegen --out out` writes them\n"
    assert not (tmp_path / "out" / "api.js").exists()


def test_a_checkout_with_other_line_ends_is_current(tmp_path: Path) -> None:
    (tmp_path / "api.js").write_bytes(b"one\r\ntwo\r\n")

    assert files.stale(tmp_path, {"api.js": "one\ntwo\n"}) == []


def test_an_application_that_does_not_load_writes_nothing_and_says_where(app: Path, tmp_path: Path) -> None:
    (app / "queries" / "things.py").write_text("from hub import nothing\n")

    done = codegen("--app", app, "--out", "out", cwd=tmp_path)

    assert done.returncode == 2
    assert "queries/things.py:1" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--out", "out", "--check", "--watch"], "hub: --check and --watch: choose one\n", id="both"),
        pytest.param(["--out", "app/queries/things.py"], "hub: app/queries/things.py: File exists\n", id="a file"),
    ],
)
def test_a_mistake_is_one_line(app: Path, tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = codegen("--app", app, *arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_watching_writes_again_after_a_change_and_outlives_a_mistake(app: Path, tmp_path: Path) -> None:
    module = app / "queries" / "admin" / "reports.py"
    source = module.read_text()
    with subprocess.Popen(
        command("--app", app, "--out", "out", "--watch"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            written = {process.stdout.readline().strip() for _ in NAMES}
            save(module, "def broken(:\n")
            complaint = process.stderr.readline()
            save(module, source.replace("public_one", "renamed_one"))
            again = process.stdout.readline().strip()
        finally:
            process.terminate()

    assert written == {f"out/{name}" for name in NAMES}
    assert "queries/admin/reports.py:1: syntax error" in complaint
    assert again == "out/api.d.ts"
    assert "renamedOne" in (tmp_path / "out" / "api.d.ts").read_text()
