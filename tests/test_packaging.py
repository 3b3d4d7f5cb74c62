"""What is shipped and how it is installed: the wheel, the locks, the image, the compose file, the scripts."""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hub import config

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
"""The linters come with the development extras; where one has no build for a platform its test is skipped."""

PIN = re.compile(r"^([a-z0-9-]+)==([^ ;]+)(?: ; .*)? \\$", re.MULTILINE)


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)


def linter(name: str) -> Path:
    if not (BIN / name).exists():
        pytest.skip(f"{name} is not installed beside {sys.executable}")
    return BIN / name


def pins(lock: str) -> dict[str, Version]:
    return {name: Version(version) for name, version in PIN.findall((ROOT / lock).read_text())}


def project() -> dict[str, Any]:
    declared: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return declared


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "docker-compose.yml").read_text())
    return loaded


# --- The wheel and the locks ---------------------------------------------------------------------------------------


def test_the_wheel_holds_hub_and_nothing_else(tmp_path: Path) -> None:
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path)

    built = run(sys.executable, "-m", "pip", "wheel", *options, ROOT)

    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"hub", f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info"}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hub").rglob("*") if path.suffix in (".py", ".typed")}
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hub" / "web").rglob("*") if path.is_file()}
    assert sources | pages <= set(names)
    assert "hub/web/index.html" in pages


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        pytest.param("requirements.lock", [], id="what is shipped"),
        pytest.param("requirements-dev.lock", ["embedded", "dev"], id="what is developed with"),
    ],
)
def test_a_lock_answers_every_requirement_of_the_project(lock: str, extras: list[str]) -> None:
    wanted = [*project()["dependencies"], *(line for extra in extras for line in project()["optional-dependencies"][extra])]
    locked = pins(lock)

    for requirement in map(Requirement, wanted):
        if requirement.name != project()["name"]:
            assert locked[canonicalize_name(requirement.name)] in requirement.specifier, f"{requirement}: run `make lock`"


def test_every_package_that_hub_imports_is_declared_and_no_other() -> None:
    """Two are declared for what uvicorn does with them: it takes its HTTP parser and its WebSocket protocol by name."""
    imported = {name.partition(".")[0] for path in (ROOT / "hub").rglob("*.py") for name in imports_of(path)}
    owners = packages_distributions()
    used = {canonicalize_name(owner) for name in imported - sys.stdlib_module_names - {"hub"} for owner in owners[name]}
    declared = {canonicalize_name(Requirement(line).name) for line in project()["dependencies"]}

    assert used - declared == set()
    assert declared - used <= {"httptools", "websockets"}


def imports_of(path: Path) -> list[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module is not None]


def test_the_build_backend_is_locked() -> None:
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]

    assert {Requirement(line).name for line in backend} <= set(pins("requirements-build.lock"))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_what_is_shipped_has_the_versions_that_were_tested(lock: str) -> None:
    assert pins(lock).items() <= pins("requirements-dev.lock").items()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock", "requirements-dev.lock", ".ci/node.lock"])
def test_a_lock_is_hashed_and_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert len(entries) == len(pins(lock)) > 0
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|--(extra-)?index-url|--find-links|file:", text)


# --- Installing ----------------------------------------------------------------------------------------------------


def a_checkout(folder: Path, **programs: str) -> dict[str, str]:
    """A copy of the installing script in `folder`, and a PATH that has these programs and what any system has."""
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "install.sh", folder / "scripts")
    (folder / "bin").mkdir()
    for name in ("dirname", "id", "sh"):
        (folder / "bin" / name).symlink_to(str(shutil.which(name)))
    for name, script in programs.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    return {"PATH": str(folder / "bin")}


TOO_OLD = "exit 1"  # what every question about it answers
WITHOUT_VENV = f'case "$2" in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac'
VENV_PACKAGE = f"python3.{sys.version_info.minor}-venv"


@pytest.mark.parametrize(
    ("programs", "message", "packages"),
    [
        pytest.param({}, "Python 3.11 or newer is missing", "python3 python3-venv", id="no Python"),
        pytest.param(
            {"python3": TOO_OLD},
            "Python 3.11 or newer is missing",
            "python3.11 python3.11-venv",
            id="an old Python, as on Ubuntu 22.04",
        ),
        pytest.param({"python3": WITHOUT_VENV}, "venv module is missing", VENV_PACKAGE, id="no venv module, as on a bare Debian"),
    ],
)
def test_what_is_missing_is_said_with_the_one_line_that_brings_it(
    tmp_path: Path, programs: dict[str, str], message: str, packages: str
) -> None:
    environment = a_checkout(tmp_path, **programs)

    installed = run("sh", "scripts/install.sh", cwd=tmp_path, env=environment)

    assert installed.returncode == 1
    assert message in installed.stderr
    assert re.search(rf"^    (sudo )?apt-get install -y {re.escape(packages)}$", installed.stderr, re.MULTILINE)
    assert not (tmp_path / ".venv").exists()


def test_a_virtual_environment_that_does_not_work_is_named_and_left_alone(tmp_path: Path) -> None:
    environment = a_checkout(tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")

    installed = run("sh", "scripts/install.sh", cwd=tmp_path, env=environment)

    assert installed.returncode == 1
    assert "rm -r .venv && make install" in installed.stderr
    assert (tmp_path / ".venv" / "bin" / "python").is_symlink()


def test_make_alone_lists_every_target() -> None:
    targets = re.findall(r"^\.PHONY: (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)

    listed = run("make", "--no-print-directory")

    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == targets
    assert {"install", "dev", "fmt", "check", "test", "test-fast", "cover", "image"} <= set(targets)


def test_the_shell_scripts_pass_shellcheck() -> None:
    checked = run(linter("shellcheck"), *sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run")

    assert checked.returncode == 0, checked.stdout


# --- The image and the compose file --------------------------------------------------------------------------------


def test_the_dockerfile_passes_hadolint() -> None:
    checked = run(linter("hadolint"), "Dockerfile")

    assert checked.returncode == 0, checked.stdout


def test_what_the_dockerfile_copies_exists_and_is_sent_to_the_builder() -> None:
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    sent = {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}
    copied = [
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]

    assert patterns[0] == "*", "what is not named stays out, secrets above all"
    assert set(copied) == sent
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_runs_serve_as_a_user_without_rights_and_knows_its_health() -> None:
    final_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]

    assert 'CMD ["hub", "serve"]' in final_stage
    assert re.search(r'^HEALTHCHECK .* CMD \["hub", "health"\]$', final_stage, re.MULTILINE)
    assert re.search(r"^USER [1-9][0-9]+$", final_stage, re.MULTILINE)
    variables = dict.fromkeys(re.findall(r"\b(HUB_[A-Z_]+)=", final_stage), "")
    assert variables
    assert config.unknown_variables(variables) == []


def test_the_compose_file_fits_the_compose_specification() -> None:
    checked = run(linter("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "deploy/docker-compose.yml")

    assert checked.returncode == 0, checked.stdout


def test_the_compose_file_waits_for_health_and_publishes_no_database() -> None:
    services = compose()["services"]

    assert services["hub"]["depends_on"]["mongo"]["condition"] == "service_healthy"
    assert services["hub"]["healthcheck"]["test"] == ["CMD", "hub", "health"]
    assert "ports" not in services["mongo"]
    (network,) = services["mongo"]["networks"]
    assert compose()["networks"][network]["internal"] is True


def test_settings_in_the_compose_files_exist_and_secrets_do_not() -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / "deploy" / "env.example").read_text(), re.MULTILINE))
    given = compose()["services"]["hub"]["environment"]

    assert config.unknown_variables({**example, **given}) == []
    assert not {"HUB_ADMIN_KEY", "HUB_AUTH_JWKS"} & set(given)
    assert example["HUB_ADMIN_KEY"] == ""
    assert any(fnmatch.fnmatch(".env", line) for line in (ROOT / ".gitignore").read_text().splitlines())


@pytest.mark.parametrize("script", ["scripts/install.sh", "scripts/install-js.sh", "scripts/lock.sh", ".ci/run"])
def test_scripts_can_be_executed(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
