"""What goes to a worker process of `precompile`, and what comes back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jitload import config
from jitload.batch.report import Turn
from jitload.frozen import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.artifact import Artifact
    from jitload.diagnostic import Diagnostic
    from jitload.headers.record import Variant
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache


class Batch(Value):
    """Requests that one worker compiles, one after the other, and where it keeps the results.

    Attributes:
        requests: what to compile.
        directory: the directory of the cache, or None when the artifacts are to be sent back.
        layers: directories of its read-only layers.
        max_bytes: the bound of the cache.
        scratch: a directory for what lives as long as the batch, or None when headers are not to be shared.
        policy: the compile policy of the process that asks.
        settings: the other settings of whoever asks, as `configure` takes them.
        owner: its process id.
    """

    __slots__ = ("directory", "layers", "max_bytes", "owner", "policy", "requests", "scratch", "settings")
    requests: tuple[CompileRequest, ...]
    directory: str | None
    layers: tuple[str, ...]
    max_bytes: int
    scratch: str | None
    policy: str
    settings: dict[str, Any]
    owner: int

    def __init__(self, requests: Iterable[CompileRequest], cache: Cache, scratch: str, policy: str) -> None:
        self._set(
            requests=tuple(requests),
            directory=None if cache.read_only else cache.directory,
            layers=tuple(layer.directory.path for layer in cache.layers),
            max_bytes=0 if cache.disk is None else cache.disk.max_bytes,
            scratch=scratch,
            policy=policy,
            settings=config.current().options(),
            owner=os.getpid(),
        )

    def of(self, requests: Iterable[CompileRequest], *, share_headers: bool) -> Batch:
        """The same batch with fewer requests."""
        batch = object.__new__(Batch)
        fields = {name: getattr(self, name) for name in self.__slots__}
        batch._set(**{**fields, "requests": tuple(requests), "scratch": self.scratch if share_headers else None})
        return batch


class Result(Value):
    """What came of one request.

    Attributes:
        request: the request.
        outcome: "compiled", "cached" or "failed".
        error: why it failed, or None.
        artifact: what was compiled, where no directory has it.
        variants: with it, what its closure record would hold.
        warnings: what the compiler had to say.
        turn: when and where it was compiled, or None where that is not known.
        kept: False where the directory of the cache did not take it.
    """

    __slots__ = ("artifact", "error", "kept", "outcome", "request", "turn", "variants", "warnings")
    request: CompileRequest
    outcome: str
    error: Exception | None
    artifact: Artifact | None
    variants: tuple[Variant, ...]
    warnings: tuple[Diagnostic, ...]
    turn: Turn | None
    kept: bool

    def __init__(
        self,
        request: CompileRequest,
        outcome: str,
        error: Exception | None = None,
        artifact: Artifact | None = None,
        variants: tuple[Variant, ...] = (),
        warnings: Iterable[Diagnostic] = (),
        turn: Turn | None = None,
    ) -> None:
        self._set(
            request=request,
            outcome=outcome,
            error=error,
            artifact=artifact,
            variants=variants,
            warnings=tuple(warnings),
            turn=turn,
            kept=True,
        )

    def timed(self, began: float, seconds: float) -> Result:
        """The same, which this process worked at from then on, and for so long."""
        return self._with(turn=Turn(self.request, str(os.getpid()), began, seconds))

    def unkept(self) -> Result:
        """The same, which the directory of the cache did not take."""
        return self._with(kept=False)

    def _with(self, **others: object) -> Result:
        made: Result = object.__new__(Result)
        made._set(**{**self.__getstate__(), **others})
        return made
