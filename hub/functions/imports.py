"""Imports: an application's modules, always made from the source that is on the disk now.

While `Imports` is entered, `schema`, `queries` and `mutations` are packages of the application's folder and nothing else in
`sys.modules` or on `sys.path` changes. Compiled files are neither read nor written: two edits within a second would look alike
to them. What was loaded before comes back if loading fails.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from hub.functions.context import print as hub_print

PACKAGES = ("schema", "queries", "mutations")


class Imports(MetaPathFinder):
    """A context manager: leave it with `keep()` called, or everything is as it was before."""

    def __init__(self, app_dir: Path) -> None:
        self._app_dir = app_dir
        self._before: dict[str, ModuleType] = {}
        self._is_kept = False

    def __enter__(self) -> Imports:
        self._before = _take_out()
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)
        if not self._is_kept:
            _take_out()
            sys.modules.update(self._before)

    def keep(self) -> None:
        self._is_kept = True

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        for folder in path if path is not None else [str(self._app_dir)]:
            found = FileFinder(folder, (_FreshLoader, [".py"])).find_spec(fullname)
            if found is not None:
                return found
        return None


class _FreshLoader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        """`print` in an application's modules is a log line while a function runs; nobody else's `print` is touched."""
        vars(module)["print"] = hub_print
        super().exec_module(module)


def _take_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in PACKAGES]
    return {name: sys.modules.pop(name) for name in names}
