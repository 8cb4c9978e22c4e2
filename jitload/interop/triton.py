"""Triton's cache on top of ours (3.9): TRITON_CACHE_MANAGER=jitload.interop.triton:CacheManager, or `install`.

    from jitload.interop import triton as jitload_triton

    jitload_triton.install()      # before the first kernel; a warm start then takes half of the time

Triton asks for groups: what one compile makes (IRs, cubin, metadata), by name, as files. Here a group is one blob, so
it is there as a whole or not at all, and holds names, no paths. The files are written for the process that asks, into a
private directory that goes when it ends; nothing is read back from there.
"""

from __future__ import annotations

import functools
import importlib.machinery
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.errors import UsageValueError
from jitload.format.json import canonical_json
from jitload.interop.claim import Claim
from jitload.interop.triton_files import ProcessFiles, is_plain
from jitload.lazy import lazy
from jitload.tiers.cache import default_cache

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    #: A file of a group -> its bytes.
    Group: TypeAlias = dict[str, bytes]
    Manager = object

    import triton
    from triton import knobs
    from triton.runtime import autotuner
    from triton.runtime import cache as triton_cache

    from jitload.interop import triton_key
else:
    triton = lazy("triton")
    knobs = lazy("triton.knobs")
    autotuner = lazy("triton.runtime.autotuner")
    triton_cache = lazy("triton.runtime.cache")
    triton_key = lazy("jitload.interop.triton_key")
    try:
        from triton.runtime.cache import CacheManager as Manager
    except ImportError:  # its interface can be had without it
        Manager = object

_GROUP = "__grp__"
#: Versions of Triton whose key of itself is made of what triton_key.py says.
_KNOWN = "3.9."
_HEAD = struct.Struct("<I")
#: Of modules in C, which Triton builds with the host's compiler.
_BUILT = tuple(importlib.machinery.EXTENSION_SUFFIXES)


class CacheManager(Manager):
    """A `CacheManager` of Triton: the files of one of its keys, in the cache that settings name.

    Of processes that miss a group, or a module in C, one compiles: the others wait for it, also over machines that
    share a remote. Dumps and overrides are files that people look at and edit: they are left to Triton's own manager.

    Args:
        key: Triton's, of a compile.
        override: of files that take the place of what is compiled.
        dump: of files for people.
    """

    def __init__(self, key: str, override: bool = False, dump: bool = False) -> None:
        _remember_once()
        self.key = key
        self._files = triton_cache.FileCacheManager(key, override=override, dump=dump) if override or dump else None
        self._claim = Claim(default_cache().blobs("triton"))
        #: What was put and is for a group, once one was asked for; until the group is put.
        self._pending: Group | None = None
        self._opened = ProcessFiles(key)

    def get_group(self, filename: str) -> dict[str, str] | None:
        """Name -> path of the files of a group; None where it is to be compiled.

        Args:
            filename: what Triton calls the group.

        Raises:
            UsageValueError: that is not the name of a file.
        """
        if self._files is not None:
            there = self._files.get_group(filename)
            return None if there is None else dict(there)
        found = _unpack(self._claim.get(self._name(f"{_GROUP}{filename}")))
        self._pending = {}
        return None if found is None else {name: self._write(name, data) for name, data in found.items()}

    def put_group(self, filename: str, group: Mapping[str, str]) -> str:
        """Keep files that were put as a group; gives the path of a file with their names.

        Args:
            filename: what Triton calls the group.
            group: name -> path of its files.

        Raises:
            UsageValueError: that is not the name of a file.
        """
        if self._files is not None:
            return str(self._files.put_group(filename, group))
        pending = self._pending or {}
        members = {name: pending[name] if name in pending else Path(path).read_bytes() for name, path in group.items()}
        self._claim.put(self._name(f"{_GROUP}{filename}"), _pack(members))
        self._pending = None
        return self._write(f"{_GROUP}{filename}", canonical_json({"child_paths": sorted(members)}))

    def get_file(self, filename: str) -> str | None:
        """The path of a file, or None.

        Args:
            filename: its name.

        Raises:
            UsageValueError: that is not the name of a file.
        """
        if self._files is not None:
            return None if (path := self._files.get_file(filename)) is None else str(path)
        self._name(filename)
        pending = self._pending or {}
        data = pending[filename] if filename in pending else self._find(filename)
        return None if data is None else self._write(filename, data)

    def has_file(self, filename: str) -> bool:
        """Whether there is such a file.

        Args:
            filename: its name.

        Raises:
            UsageValueError: that is not the name of a file.
        """
        if self._files is not None:
            return bool(self._files.has_file(filename))
        self._name(filename)
        return filename in (self._pending or {}) or self._find(filename, claim=False) is not None

    def put(self, data: object, filename: str, binary: bool = True) -> str:
        """Keep a file, of a group if one was asked for; gives its path.

        Args:
            data: bytes, or what is kept as text.
            filename: its name.
            binary: Triton's; what is kept follows from `data`.

        Raises:
            UsageValueError: that is not the name of a file.
        """
        if self._files is not None:
            return str(self._files.put(data, filename, binary=binary))
        name, kept = self._name(filename), data if isinstance(data, bytes) else str(data).encode()
        if self._pending is None:
            self._claim.put(name, kept)
        else:
            self._pending[filename] = kept
        return self._write(filename, kept)

    def _find(self, filename: str, *, claim: bool = True) -> bytes | None:
        """A file that was put alone, or is of the group that Triton names after its kernel."""
        name = self._name(filename)
        found = self._claim.get(name) if claim and filename.endswith(_BUILT) else self._claim.peek(name)
        if found is None and not filename.endswith(_BUILT):
            group = _unpack(self._claim.peek(self._name(f"{_GROUP}{filename.rpartition('.')[0]}.json")))
            return (group or {}).get(filename)
        return found

    def _name(self, filename: str) -> str:
        if not is_plain(filename):
            raise UsageValueError(f"{filename!r:.80} is not the name of a file")
        return f"{self.key}/{filename}"

    def _write(self, filename: str, data: bytes) -> str:
        return self._opened.write(filename, data, loaded=filename.endswith(_BUILT))


def install() -> None:
    """Have Triton keep what it compiles in a cache of ours from now on, and remember the digest of itself.

    Processes that are started from here have `TRITON_CACHE_MANAGER` set, and do the same with their first manager.

    Raises:
        ImportError: Triton is not installed.
    """
    knobs.cache.manager_class = CacheManager
    _remember()


@functools.cache
def _remember_once() -> None:
    """Do so for a program that names the manager alone: early enough where Triton asks a GPU first which it is."""
    if Manager is not object:
        _remember()


def _remember() -> None:
    """Put a `triton_key` that remembers its digest in the place of Triton's, where that is known and not made yet."""
    if not triton.__version__.startswith(_KNOWN):
        return
    make = triton_cache.triton_key
    own = make.__module__ == triton_cache.__name__  # and neither ours nor that of Triton's warm-up
    if not own or make.cache_info().currsize:
        return
    disk = default_cache().disk
    root = str(Path(triton.__file__).parent)
    remembered = triton_key.remembered(root, make, None if disk is None else disk.directory)
    for module in (triton_cache, autotuner):
        if module.triton_key is make:
            module.triton_key = remembered


def _pack(members: Group) -> bytes:
    """A group as bytes: u32 length of a JSON list of [name, bytes], that list, and the files one after the other."""
    rows = canonical_json([[name, len(data)] for name, data in members.items()])
    return b"".join((_HEAD.pack(len(rows)), rows, *members.values()))


def _unpack(packed: bytes | None) -> Group | None:
    """The files of a group; None where there is none, or none that makes sense."""
    if packed is None:
        return None
    try:
        at = _HEAD.size + _HEAD.unpack_from(packed)[0]
        members: Group = {}
        for name, size in json.loads(packed[_HEAD.size : at]):
            if not is_plain(name) or type(size) is not int or size < 0:
                return None
            members[name] = packed[at : at + size]
            at += size
    except (struct.error, ValueError, TypeError, RecursionError):
        return None
    return members if at == len(packed) else None
