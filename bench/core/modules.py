"""Modules that come as bytes instead of files: plug-ins on machines that don't share a disk with their user."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from bench.core.registry import Registered, Registry
from bench.core.sources import Module


class Modules(MetaPathFinder, Loader):
    """Some modules, and what they register. Several of these may have other code under the same names.

    Only one is in place at a time: what another one has registered is put aside until it is needed again.
    """

    _placed: "Modules | None" = None

    def __init__(self, modules: Sequence[Module], registries: Sequence[Registry[Any]]) -> None:
        self.code = {module.name: module for module in modules}
        self.registries = registries
        self.loaded: dict[str, ModuleType] = {}
        self.registered: list[dict[str, type[Registered]]] = [{} for _ in registries]

    def load(self, names: Sequence[str]) -> None:
        """Import modules of these names. Raises whatever they raise."""
        with self._alone():
            for name in names:
                importlib.import_module(name)

    def place(self) -> None:
        """Put what these modules register in place of what others have registered."""
        if Modules._placed is self:
            return
        if Modules._placed is not None:
            Modules._placed._remove()
        Modules._placed = self
        sys.modules.update(self.loaded)
        for registry, classes in zip(self.registries, self.registered, strict=True):
            registry.add(classes)

    def forget(self) -> None:
        """Leave nothing of it in place."""
        if Modules._placed is self:
            self._remove()
            Modules._placed = None

    def _remove(self) -> None:
        for name in self.loaded:
            sys.modules.pop(name, None)
        for registry, classes in zip(self.registries, self.registered, strict=True):
            registry.remove(classes)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Import inside this block from these modules, and keep what that registers."""
        self.place()
        before = [set(registry) for registry in self.registries]
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            self.loaded = {name: module for name, module in sys.modules.items() if self._holds(name)}
            self.registered = [
                {name: registry[name] for name in registry if name not in known}
                for registry, known in zip(self.registries, before, strict=True)
            ]

    def _holds(self, name: str) -> bool:
        return name in self.code or any(known.startswith(f"{name}.") for known in self.code)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """What the import system asks for."""
        if not self._holds(fullname):
            return None
        package = fullname not in self.code or self.code[fullname].package
        return importlib.util.spec_from_loader(fullname, self, is_package=package)

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code; a package that has no file of its own has none."""
        if module.__name__ in self.code:
            exec(compile(self.code[module.__name__].content, f"<{module.__name__}>", "exec"), module.__dict__)
