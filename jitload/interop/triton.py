"""Triton's cache on top of ours: TRITON_CACHE_MANAGER=jitload.interop.triton:CacheManager (Triton 3.9).

Triton asks for groups: what one compile makes (IRs, cubin, metadata), by name, as files. Here a group is one blob, so
it is there as a whole or not at all, and holds names, no paths. The files are written for the process that asks, into a
private directory that goes when it ends; nothing is read back from there.
"""

from __future__ import annotations

import atexit
import functools
import importlib.machinery
import json
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from jitload.errors import UsageValueError
from jitload.files.atomic import replace_file, unguessable
from jitload.format.json import canonical_json
from jitload.interop.claim import Claim
from jitload.lazy import lazy
from jitload.tiers.cache import default_cache

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    #: A file of a group -> its bytes.
    Group: TypeAlias = dict[str, bytes]
    Manager = object

    from triton.runtime import cache as triton_cache
else:
    triton_cache = lazy("triton.runtime.cache")
    try:
        from triton.runtime.cache import CacheManager as Manager
    except ImportError:  # its interface can be had without it
        Manager = object

_GROUP = "__grp__"
_HEAD = struct.Struct("<I")
#: Of modules in C, which Triton builds with the host's compiler.
_BUILT = tuple(importlib.machinery.EXTENSION_SUFFIXES)
_MAX_NAME_BYTES = 255


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
        self.key = key
        self._files = triton_cache.FileCacheManager(key, override=override, dump=dump) if override or dump else None
        self._claim = Claim(default_cache().blobs("triton"))
        #: What was put and is for a group, once one was asked for; until the group is put.
        self._pending: Group | None = None
        self._directory = ""

    def get_group(self, filename: str) -> dict[str, str] | None:
        """Name -> path of the files of a group; None where it is to be compiled."""
        if self._files is not None:
            there = self._files.get_group(filename)
            return None if there is None else dict(there)
        found = _unpack(self._claim.get(self._name(f"{_GROUP}{filename}")))
        self._pending = {}
        return None if found is None else {name: self._write(name, data) for name, data in found.items()}

    def put_group(self, filename: str, group: Mapping[str, str]) -> str:
        """Keep files that were put as a group; gives the path of a file with their names."""
        if self._files is not None:
            return str(self._files.put_group(filename, group))
        pending = self._pending or {}
        members = {name: pending[name] if name in pending else Path(path).read_bytes() for name, path in group.items()}
        self._claim.put(self._name(f"{_GROUP}{filename}"), _pack(members))
        self._pending = None
        return self._write(f"{_GROUP}{filename}", canonical_json({"child_paths": sorted(members)}))

    def get_file(self, filename: str) -> str | None:
        """The path of a file, or None."""
        if self._files is not None:
            return None if (path := self._files.get_file(filename)) is None else str(path)
        pending = self._pending or {}
        data = pending[filename] if filename in pending else self._find(filename)
        return None if data is None else self._write(filename, data)

    def has_file(self, filename: str) -> bool:
        """Whether there is such a file."""
        if self._files is not None:
            return bool(self._files.has_file(filename))
        return filename in (self._pending or {}) or self._find(filename, claim=False) is not None

    def put(self, data: object, filename: str, binary: bool = True) -> str:
        """Keep a file, of a group if one was asked for; gives its path."""
        if self._files is not None:
            return str(self._files.put(data, filename, binary=binary))
        kept = data if isinstance(data, bytes) else str(data).encode()
        if self._pending is None:
            self._claim.put(self._name(filename), kept)
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
        return f"{self.key}/{filename}"

    def _write(self, filename: str, data: bytes) -> str:
        """The path of a file of this process with these bytes."""
        for part in (self.key, filename):
            if not _is_plain(part):
                raise UsageValueError(f"{part!r:.80} is not the name of a file")
        if not self._directory:
            self._directory = f"{_process_directory(os.getpid())}/{self.key}"
            Path(self._directory).mkdir(mode=0o700, parents=True, exist_ok=True)
        path = f"{self._directory}/{filename}"
        _make_file(path, data)
        return path


def _make_file(path: str, data: bytes) -> None:
    """Have a file hold these bytes. Another thread may be at it: what is half written is replaced."""
    try:
        with open(path, "xb", opener=_private) as file:
            file.write(data)
    except FileExistsError:
        if Path(path).read_bytes() != data:
            replace_file(path, data, temporary=f"{path[:200]}.{unguessable()}", durable=False)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@functools.cache
def _process_directory(process: int) -> str:
    """Where this process has its files; a child of a fork has others."""
    path = tempfile.mkdtemp(prefix="jitload-triton-")
    atexit.register(_remove, path, process)
    return path


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


def _is_plain(name: str) -> bool:
    """Whether a name, which may come from what is stored, is that of a file in a directory and of no other."""
    return name not in {"", ".", ".."} and not {"/", "\0"} & set(name) and len(os.fsencode(name)) <= _MAX_NAME_BYTES


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
            if not _is_plain(name) or type(size) is not int or size < 0:
                return None
            members[name] = packed[at : at + size]
            at += size
    except (struct.error, ValueError, TypeError, RecursionError):
        return None
    return members if at == len(packed) else None
