"""`[tool.hub.dev] mount`: what is read of it, what is wrong with it, and that `hub dev` serves it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from hub.errors import ConfigError
from hub.mongo.embedded import MongodBinary
from hub.mounting import build_mounts, read_mounts
from hub.starter import write as write_starter
from tests.scenarios.hub_process import HubProcess

APP = """
import contextlib

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from .words import GREETING

def build_app(hub_url, service_key):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        print("lifespan begins", flush=True)
        yield {"greeting": GREETING}
        print("lifespan ends", flush=True)

    async def hello(request):
        return JSONResponse({"hub": hub_url, "hasKey": len(service_key) > 20, "says": request.state.greeting})

    return Starlette(routes=[Route("/hello", hello)], lifespan=lifespan)
"""


def application(folder: Path, mount: str, app: str = APP) -> Path:
    write_starter(folder)
    (folder / "pyproject.toml").write_text(f"[tool.hub.dev]\nmount = {mount}\n")
    package = folder / "side" / "car"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "words.py").write_text('GREETING = "good day"\n')
    (package / "app.py").write_text(app)
    return folder


def built(folder: Path) -> None:
    build_mounts(read_mounts(folder), hub_url="http://127.0.0.1:1", service_key="key")


GOOD = '{ "/side" = "side/car/app.py:build_app" }'


def test_an_application_without_a_pyproject_mounts_nothing(tmp_path: Path) -> None:
    assert read_mounts(tmp_path) == ()


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        pytest.param('"side"', "mount must be a table", id="not a table"),
        pytest.param('{ "/" = "side/car/app.py:build_app" }', "a path looks like /assistant", id="the root"),
        pytest.param('{ "side" = "side/car/app.py:build_app" }', "a path looks like /assistant", id="no slash"),
        pytest.param('{ "/api/x" = "side/car/app.py:build_app" }', "the hub answers there itself", id="the hub's own"),
        pytest.param('{ "/side" = "side.car.app:build_app" }', "does not look like folder/app.py:build_app", id="a module"),
        pytest.param('{ "/side" = 3 }', "3 does not look like folder/app.py:build_app", id="a number"),
        pytest.param('{ "/side" = "side/gone.py:build_app" }', "there is no file", id="no file"),
        pytest.param("{ ", "pyproject.toml: ", id="not TOML"),
    ],
)
def test_a_mount_that_cannot_be_meant_is_refused_with_the_reason(tmp_path: Path, mount: str, expected: str) -> None:
    folder = application(tmp_path, mount)

    with pytest.raises(ConfigError, match=expected):
        read_mounts(folder)


def test_a_setting_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.hub.dev]\nmuont = {}\n")

    with pytest.raises(ConfigError, match="no setting 'muont'"):
        read_mounts(tmp_path)


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        pytest.param("def build_app(:\n", "side/car/app.py:1: SyntaxError", id="does not parse"),
        pytest.param("\n1 / 0\n", "side/car/app.py:2: ZeroDivisionError", id="fails when it is loaded"),
        pytest.param("build_apps = 1\n", "has no function 'build_app'", id="no such function"),
        pytest.param("def build_app():\n    pass\n", "TypeError: build_app\\(\\) got an unexpected keyword", id="takes no address"),
        pytest.param("def build_app(**given):\n    return 3\n", "made a int, not an ASGI application", id="no application"),
        pytest.param(
            "def build_app(**given):\n    raise KeyError('x')\n", "side/car/app.py:2: KeyError", id="fails when it is built"
        ),
    ],
)
def test_a_program_that_is_broken_is_told_with_its_place(tmp_path: Path, app: str, expected: str) -> None:
    folder = application(tmp_path, GOOD, app)

    with pytest.raises(ConfigError, match=expected):
        built(folder)


@pytest.mark.real
def test_hub_dev_serves_what_is_mounted_and_runs_its_lifespan(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", app=application(tmp_path / "app", GOOD), options=("--no-reload",)) as hub:
        answer = httpx.get(f"{hub.url}/side/hello")
        foreign = httpx.get(f"{hub.url}/side/hello", headers={"Origin": "https://example.com"})
        hub.stop()

        assert answer.json() == {"hub": hub.url, "hasKey": True, "says": "good day"}
        assert foreign.status_code == 403
        assert "mounted: /side" in hub.output
        assert hub.output.index("lifespan begins") < hub.output.index("hub is ready at") < hub.output.index("lifespan ends")


@pytest.mark.real
def test_hub_dev_can_do_without(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    broken = application(tmp_path / "app", GOOD, "1 / 0\n")
    with HubProcess(tmp_path / "hub", app=broken, options=("--no-reload", "--no-mount")) as hub:
        assert hub.get("/side/hello") == 404


@pytest.mark.real
def test_a_lifespan_that_fails_ends_hub_dev_with_a_plain_line(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    folder = application(tmp_path / "app", GOOD, APP.replace("yield {", "raise ValueError('no key'); yield {"))
    hub = HubProcess(tmp_path / "hub", app=folder, options=("--no-reload",))
    hub.launch()

    assert hub.wait(30) == 2
    assert "no key" in hub.output
    assert "does not start; its own message is above" in hub.output
