"""What the documents name exists: settings, metrics, classes and their members, files, pages and headings."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from clients.assistant.settings import Settings as AssistantSettings
from hub import config
from hub.config import Settings
from hub.functions.limits import Limits
from hub.metrics import Metrics
from hub.mongo.embedded import FLAGS
from tests.docs import settings_table
from tests.docs.pages import PAGES, REPOSITORY, anchors, code_words, links, name_of, prose, table_rows

MAKE_TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
MEMBER = re.compile(r"([A-Z]\w*)\.(\w+)(?:\(.*\))?")
CLASS = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")
PATH = re.compile(r"(?:hub|docs|deploy|tests)/[\w./-]*|[A-Z]\w+\.md|Dockerfile|Makefile")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors(path), f"{link}: there is no such heading"


def test_every_setting_is_described_as_it_is() -> None:
    assert settings_table.written() == settings_table.tables(), "`python -m tests.docs.settings_table` writes the tables anew"


def metric_names() -> set[str]:
    return {
        name for name in re.findall(r"^# TYPE (hub_\w+) ", Metrics().text().decode(), re.MULTILINE) if not name.endswith("_created")
    }


def test_every_metric_is_explained() -> None:
    rows = table_rows(REPOSITORY / "docs" / "operations.md", "metric")
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row[0])} == metric_names()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_and_metrics_that_are_named_exist(page: Path) -> None:
    settings = {config.variable(name) for name in (*Settings.model_fields, *AssistantSettings.model_fields)}
    names = metric_names()
    own_collections = {"hub_clock", "hub_requests", "hub_marks"}
    for word in code_words(page):
        if re.fullmatch(r"HUB_[A-Z0-9_]+", word):
            assert word in settings
        if re.fullmatch(r"hub_[a-z_]+", word):
            assert word in names | own_collections


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    for word in code_words(page):
        if PATH.fullmatch(word):
            assert (REPOSITORY / word).exists(), word


def test_targets_of_make_that_are_named_exist() -> None:
    targets = set(MAKE_TARGET.findall((REPOSITORY / "Makefile").read_text()))
    named = {word.split()[1] for page in PAGES for word in code_words(page) if re.fullmatch(r"make [a-z-]+", word)}
    assert named <= targets


def test_the_architecture_names_classes_and_members_that_exist() -> None:
    known = members_of_classes()
    for word in code_words(REPOSITORY / "ARCHITECTURE.md"):
        if (found := MEMBER.fullmatch(word)) and not PATH.fullmatch(word):
            assert found[2] in known.get(found[1], set()), word
        elif CLASS.fullmatch(word) and not word.startswith("Auth") and word not in MESSAGE_NAMES:
            assert word in known, word


MESSAGE_NAMES = {"MutationResponse", "QueryUpdated", "QueryFailed"}
"""Of the protocol, on the wire; the classes are called otherwise."""


@cache
def members_of_classes() -> dict[str, set[str]]:
    """Every class of the hub with what it defines: methods, fields, and what its methods set."""
    known: dict[str, set[str]] = {}
    for file in sorted((REPOSITORY / "hub").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                known.setdefault(node.name, set()).update(members(node))
    return known


def members(cls: ast.ClassDef) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(cls):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                found.add(name)
    return found


LIMITS = table_rows(REPOSITORY / "docs" / "writing-functions.md", "limit, for each run")


@pytest.mark.parametrize(("default", "setting"), [row[1:] for row in LIMITS], ids=[row[2].strip("`") for row in LIMITS])
def test_limits_of_a_run_are_what_the_rules_say(default: str, setting: str) -> None:
    field = Settings.model_fields[setting.strip("`").removeprefix("HUB_").lower()]
    assert default == shown(setting, field.default)


def test_limits_that_are_no_settings_are_what_the_rules_say() -> None:
    text = " ".join(prose(REPOSITORY / "docs" / "writing-functions.md"))
    limits = Limits()
    assert f"one row may have {limits.row_bytes // 2**20} MiB, and a log line {limits.log_line_chars:,} characters" in text


def shown(setting: str, value: float) -> str:
    if setting.strip("`").endswith("_S"):
        return f"{value:g} s"
    is_size = "BYTES" in setting
    return f"{int(value) // 2**20} MiB" if is_size else f"{int(value):,}"


def test_flags_of_the_development_database_are_those_it_gets() -> None:
    flags = " ".join(FLAGS)
    for flag, *_ in table_rows(REPOSITORY / "docs" / "operations.md", "flag"):
        for part in re.findall(r"`([^`]+)`", flag):
            assert part in flags


def test_routes_that_are_documented_are_the_ones_there_are() -> None:
    """Those of `hub.server`, and nothing else."""
    source = "".join((REPOSITORY / "hub" / "server" / name).read_text() for name in ("http.py", "probes.py", "page.py"))
    there = set(re.findall(r'(?:_route|Route)\(\s*"(/[^"{]*)', source)) - {"/api/debug_event"}
    rows = table_rows(REPOSITORY / "docs" / "http.md", "route")
    documented = {row[0].strip("`").split(" ")[1].partition("<")[0] for row in rows}
    assert documented == there
