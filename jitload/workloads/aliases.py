"""Second paths to one header: through a link, or from one root of a request into another ("../../include/x.h").

A compile knows a file by the first path that led to it. Where a workload is unpacked the other paths must lead to the
same file, or it would not be found there, or be two files, and `#pragma once` would not hold.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jitload.headers.search import Header, Search, read_header, scan_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.source.request import CompileRequest

    Alias = tuple[str, str, str, str]


def spot(root: str, path: str) -> tuple[str, str]:
    """Where a header lies once it is unpacked: "deep/../x.h" and "x.h" are one spot, for there are no links by then."""
    return root, os.path.normpath(path)


def header_aliases(
    request: CompileRequest, files: Iterable[tuple[str, str]], toolkit: Iterable[tuple[str, str]]
) -> list[Alias]:
    """(root, path, root, path) of every second path to a file, and of the file, that the texts of a request spell out.

    Args:
        request: the request.
        files: (root, path) of its headers, as the compile knows them.
        toolkit: (root, directory) of the toolkit.

    Raises:
        OSError: a header cannot be read.
    """
    search = Search(request, toolkit)
    known = set(files)

    def file_of(root: str, path: str) -> str:
        return search.roots.path(root, path) or path

    by_file = {os.path.realpath(file_of(root, path)): (root, path) for root, path in known}
    main = Header("source", request.name, request.path, scan_text(request.source.encode("utf-8", "surrogateescape")))
    headers = [Header(root, path, None, read_header(file_of(root, path))) for root, path in known]
    found: dict[tuple[str, str], Alias] = {}  # "link.h" and "deep/../link.h" are one
    for header in (main, *headers):
        for include in header.scan.includes:
            place = search.place(include, header, is_main=header is main)
            if place is None or place in known or place[0] == "headers":
                continue
            target = by_file.get(os.path.realpath(file_of(*place)))
            if target is not None and spot(*place) != spot(*target):
                found[spot(*place)] = min(found.get(spot(*place), (*place, *target)), (*place, *target))
    return sorted(found.values())
