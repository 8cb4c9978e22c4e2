"""Modules that are imported when something of them is first used, named at the top of the file like all others.

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        from jitload.tiers import audit
    else:
        audit = lazy("jitload.tiers.audit")

Readers, type checkers and the tests of the house see an import; start-up and hits do not pay for it. After the first
use an attribute costs what one of any object does. No lock is held, so none is left behind in a child of `fork()`.
"""

from __future__ import annotations

import sys


class LazyModule:
    """What stands for a module. It shares the module's own variables once that is imported.

    Raises:
        ImportError: with every use, where the module cannot be imported.
    """

    __slots__ = ("__dict__", "_path")

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> object:
        __import__(self._path)  # waits for another thread that is at it
        module = sys.modules[self._path]
        self.__dict__ = module.__dict__
        return getattr(module, name)


def lazy(path: str) -> LazyModule:
    """The module of that dotted name, imported at the first use of anything in it."""
    return LazyModule(path)
