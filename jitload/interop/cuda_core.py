"""cuda.core's program cache on top of ours.

    from cuda.core import Program, ProgramOptions
    from jitload.interop.cuda_core import ProgramCache

    with ProgramCache() as cache:
        code = Program(source, "c++", ProgramOptions(arch="sm_90")).compile("cubin", cache=cache)

The protocol is that of `cuda.core.utils.ProgramCacheResource` (1.x): bytes under keys that cuda.core makes. What such a
key leaves out (a header that NVRTC finds in the working directory) is cuda.core's to know; jitload's own compiles have
every header in theirs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from jitload.errors import UsageTypeError
from jitload.files.regular import open_regular
from jitload.format.entry import MAX_ENTRY_BYTES
from jitload.given import given_cache
from jitload.interop.claim import Claim
from jitload.tiers.blobs import foreign_key
from jitload.tiers.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Protocol

    from typing_extensions import Buffer

    class ObjectCode(Protocol):
        """What is known here of cuda.core's."""

        code: bytes | str
        code_type: str

    Resource = object
else:
    try:
        from cuda.core.utils import ProgramCacheResource as Resource
    except ImportError:  # its protocol can be had without it
        Resource = object


class ProgramCache(Resource):
    """A `ProgramCacheResource`: verified bytes, in every tier of a jitload cache and within its bounds.

    Args:
        cache: where they are kept; default: `Cache.default()`.
        namespace: programs of two namespaces never meet, and `clear` and `len` have to do with one.
    """

    def __init__(self, cache: Cache | None = None, *, namespace: str = "cuda.core") -> None:
        given_cache(cache)
        self._cache = Cache.default() if cache is None else cache
        self._blobs = self._cache.blobs(namespace)

    def __getitem__(self, key: bytes | str) -> bytes:
        """The bytes of a program; KeyError where none are, or none that are whole."""
        found = self._blobs.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: bytes | str, value: Buffer | ObjectCode) -> None:
        """Keep a program: its bytes, or an `ObjectCode`, which is read if it is a file."""
        self._blobs.put(key, _bytes_of(value))

    def __delitem__(self, key: bytes | str) -> None:
        """Drop a program; KeyError where there is none."""
        if not self._blobs.delete(key):
            raise KeyError(key)

    def __len__(self) -> int:
        return len(self._blobs)

    def clear(self) -> None:
        """Drop every program of this namespace from memory and the directory."""
        self._blobs.clear()

    def get(self, key: bytes | str, default: bytes | None = None) -> bytes | None:
        """The bytes of a program, or the default.

        Args:
            key: cuda.core's, of the program.
            default: what is given where nothing is kept, or nothing that is whole.
        """
        found = self._blobs.get(key)
        return default if found is None else found

    def update(
        self,
        items: Mapping[bytes | str, Buffer | ObjectCode] | Iterable[tuple[bytes | str, Buffer | ObjectCode]],
        /,
    ) -> None:
        """Keep several.

        Args:
            items: a mapping, or pairs, of keys and what is kept under them: bytes, or an `ObjectCode`.
        """
        pairs: Iterable[tuple[bytes | str, Buffer | ObjectCode]]
        pairs = items.items() if hasattr(items, "items") else items
        for key, value in pairs:
            self[key] = value

    @contextmanager
    def single_flight(self) -> Iterator[ProgramCache]:
        """A view of this cache for one compile, which no other process, and no machine behind the remote, does too.

            with cache.single_flight() as one:
                code = program.compile("cubin", cache=one)

        A `get` that misses waits for who is compiling that program already, or has the right to compile it until it is
        put or the block ends.
        """
        view = _OneProducer(self._cache, namespace=self._blobs.namespace)
        try:
            yield view
        finally:
            view.claim.end()

    def close(self) -> None:
        """Write what the index does not know yet. The cache can be used afterwards, too."""
        self._cache.flush()

    def __enter__(self) -> ProgramCache:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _OneProducer(ProgramCache):
    def __init__(self, cache: Cache, *, namespace: str) -> None:
        super().__init__(cache, namespace=namespace)
        self.claim = Claim(self._blobs)

    def __getitem__(self, key: bytes | str) -> bytes:
        found = self.claim.get(foreign_key(key))
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: bytes | str, value: Buffer | ObjectCode) -> None:
        self.claim.put(foreign_key(key), _bytes_of(value))

    def get(self, key: bytes | str, default: bytes | None = None) -> bytes | None:
        found = self.claim.get(foreign_key(key))
        return default if found is None else found


def _bytes_of(value: Buffer | ObjectCode) -> Buffer:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value
    code: Buffer | str | None = getattr(value, "code", None)
    if isinstance(code, str):
        with open_regular(code) as file:
            return file.read(MAX_ENTRY_BYTES)
    if code is None or not hasattr(value, "code_type"):
        raise UsageTypeError(f"a program is bytes-like or an ObjectCode of cuda.core, got {type(value).__name__}")
    return code
