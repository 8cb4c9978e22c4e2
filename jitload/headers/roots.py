"""The roots of headers: ids that mean the same on every machine, and the directories that they stand for here.

Each root of a request is one directory. Those of the toolkit may lie in several places: packages in two directories of
the path, and an installed toolkit after them, for what no package brings. A header comes from the first place that has
one of its path, so it is known by the id of its root and the path below it, whatever the place.

The standard headers that come with jitload are a root beside those: NVRTC has none of its own.
"""

from __future__ import annotations

import os
from itertools import groupby

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jitload.source.request import CompileRequest

    Pair = tuple[str, str]

#: What the virtual names of headers begin with: those under which NVRTC knows them.
VIRTUAL_ROOT = "/jitload/"
#: A header beyond this is none.
MAX_HEADER_BYTES = 64 << 20
#: Under the toolkit's name, since whoever trusts recorded headers of the toolkit may trust these, too.
STANDARD_ROOT = "toolkit/standard"
_STANDARD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "include", "standard")

# The parts of CCCL, and the library that it asks for by `__has_include`. Half of one release and half of another do not
# fit together, so these names are looked for no further than the first place that has CUB.
_CCCL = frozenset({"cub", "cuda", "nv", "nvtx3", "thrust"})


class Roots:
    """The directories of a request's headers.

    Args:
        request: whose headers.
        toolkit: (root id, directory) of the toolkit, in order of search; an id may come once for each place.

    Attributes:
        toolkit: the same.
    """

    def __init__(self, request: CompileRequest, toolkit: Iterable[Pair]) -> None:
        self.toolkit = tuple(toolkit)
        self._own = {"source": request.source_dir} if request.source_dir is not None else {}
        self._own.update({f"include/{index}": path for index, path in enumerate(request.include_dirs)})
        self._own["absolute"] = "/"
        if request.host_headers:
            self._own[STANDARD_ROOT] = _STANDARD
        self._ids = frozenset(name for name, _ in self.toolkit)
        self._places = [tuple(pairs) for _, pairs in groupby(self.toolkit, lambda pair: _place_of(pair[1]))]
        # Nearly always there is one place: then a header is where its root says, and 600 of CUB's need no look.
        is_plain = len(self._places) == 1 and len(self._ids) == len(self.toolkit)
        self._plain = dict(self.toolkit) if is_plain else {}
        self._cccl_places: int | None = None
        self._directories: dict[Pair, bool] = {}
        self._holders: dict[str, tuple[Pair, ...]] = {}

    def __contains__(self, root: str) -> bool:
        return root in self._own or root in self._ids

    def directories(self) -> Iterator[str]:
        """Every directory that a name is looked for in, in order."""
        yield from (path for root, path in self._own.items() if root not in {"absolute", STANDARD_ROOT})
        yield from (path for _, path in self.toolkit)

    def path(self, root: str, relative: str) -> str | None:
        """The file of a header; None where another root of the toolkit has it now, or none of several."""
        plain = self._plain.get(root)
        if plain is not None:
            return f"{plain}/{relative}"
        own = self._own.get(root)
        if own is not None:
            return os.path.join(own, relative)
        for place in self._places_for(relative):
            for name, base in place:
                if name == root and self._has(base, relative):
                    return f"{base}/{relative}"
            if any(self._has(base, relative) for _, base in place):
                return None
        return None

    def holders(self, relative: str) -> tuple[Pair, ...]:
        """(root id, directory) of the toolkit that have a header of this path, all of the first place that has one."""
        found = self._holders.get(relative)
        if found is None:
            found = ()
            for place in self._places_for(relative):
                found = found or tuple(pair for pair in place if self._has(pair[1], relative))
            self._holders[relative] = found
        return found

    def holder(self, relative: str) -> str | None:
        """The root of the toolkit in which a header of this path is found, or None."""
        found = self.holders(relative)
        return found[0][0] if found else None

    def holder_beside(self, root: str, relative: str) -> str | None:
        """The same for a header that another one of the toolkit includes from beside itself."""
        if not any(name == root and self._has(base, relative) for name, base in self.toolkit):
            return None
        names = [name for name, _ in self.holders(relative)]
        return root if root in names else self.holder(relative)

    def holder_after(self, root: str, relative: str) -> str | None:
        """The same for `#include_next` in a header of a root: a later root of the same place."""
        for place in self._places_for(relative):
            names = [name for name, _ in place]
            later = place[names.index(root) + 1 :] if root in names else ()
            for pair in later:
                if pair in self.holders(relative):
                    return pair[0]
        return None

    def absent_in(self, names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """(directory, names) of the toolkit: those of `names` that would be found if they were there."""
        listed = list(names)
        others = [name for name in listed if name.partition("/")[0] not in _CCCL]
        for number, place in enumerate(self._places):
            wanted = listed if len(others) == len(listed) or number < self._count_for_cccl() else others
            for _, base in place:
                yield base, wanted

    def _places_for(self, relative: str) -> list[tuple[Pair, ...]]:
        if len(self._places) == 1 or relative.partition("/")[0] not in _CCCL:
            return self._places
        return self._places[: self._count_for_cccl()]

    def _count_for_cccl(self) -> int:
        if self._cccl_places is None:
            marked = (n for n, place in enumerate(self._places, 1) if any(os.path.isdir(f"{b}/cub") for _, b in place))
            self._cccl_places = next(marked, len(self._places))
        return self._cccl_places

    def _has(self, base: str, relative: str) -> bool:
        """Whether a file is there. A missing directory answers for all below it: hundreds of headers are asked for."""
        first, slash, _ = relative.partition("/")
        if slash and first != "..":
            known = self._directories.get((base, first))
            if known is None:
                known = self._directories[base, first] = os.path.lexists(f"{base}/{first}")
            if not known:
                return False
        return os.path.isfile(f"{base}/{relative}")


def _place_of(directory: str) -> str:
    """The site directory of a package's headers, or the installed toolkit of others."""
    place = directory.removesuffix("/cccl").removesuffix("/include")
    site, packages, _ = place.rpartition("/nvidia/")
    return site if packages else place.partition("/targets/")[0]
