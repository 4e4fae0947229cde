"""A folder is a registry: its public files are imported in sorted order, and each declares what it holds."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """The plug-ins of one package, keyed by name.

    A file whose name starts with an underscore is a helper and never imported as a plug-in.

    Args:
        package: dotted name of the folder, e.g. "gradscope.diagnose".
    """

    def __init__(self, package: str) -> None:
        self.package = package
        self._items: dict[str, T] = {}
        self._is_loaded = False

    def add(self, name: str, item: T) -> None:
        """Declare a plug-in.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._items:
            raise ValueError(f"{self.package}: {name!r} is declared twice")
        self._items[name] = item

    def load(self) -> dict[str, T]:
        """Import every plug-in file once and return name -> plug-in in order of declaration."""
        if not self._is_loaded:
            package = importlib.import_module(self.package)
            for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
                if not module.name.startswith("_"):
                    importlib.import_module(f"{self.package}.{module.name}")
            self._is_loaded = True
        return dict(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self.load().values())

    def __getitem__(self, name: str) -> T:
        return self.load()[name]

    def __contains__(self, name: object) -> bool:
        return name in self.load()
