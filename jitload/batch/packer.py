"""From requests to parcels and from entries to results: the half of a farm that knows what must come back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jitload.artifact import decode_entry
from jitload.batch.parcel import COMPILED, Parcel
from jitload.batch.report import describe_request
from jitload.batch.work import Result
from jitload.compiler.diagnostics import users_warnings
from jitload.compiler.key import artifact_key
from jitload.compiler.nvrtc import MISSING
from jitload.compiler.toolkit import toolkit_roots
from jitload.errors import ArtifactError, BundleError, CompileError
from jitload.headers.closure import Closure
from jitload.headers.record import variant_of
from jitload.headers.survey import unsharable
from jitload.images.check import verify_image
from jitload.values import Kind
from jitload.workloads.program import CHOSEN, Program
from jitload.workloads.record import recorded_workload
from jitload.workloads.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.headers.record import Variant
    from jitload.source.request import CompileRequest
    from jitload.tiers.cache import Cache
    from jitload.values import Toolchain


class Packer:
    """Makes parcels, and knows what must come back."""

    def __init__(self, store: Cache, policy: str) -> None:
        self._store = store
        self._policy = policy
        self._closures: dict[object, Closure] = {}
        self._carried: dict[object, Workload | None] = {}

    def introduction(self, requests: Iterable[CompileRequest]) -> bytes:
        """A parcel that asks for nothing but the compilers that these need."""
        kinds = {request.kind is Kind.FATBIN: request for request in requests}
        return self._parcel(Workload(), kinds.values())

    def pack(self, requests: list[CompileRequest]) -> bytes:
        """A parcel of requests that `can_travel`."""
        return self._parcel(Workload().merged(*map(self._workload, requests)), requests)

    def sorted(self, requests: Iterable[CompileRequest]) -> tuple[list[CompileRequest], list[CompileRequest]]:
        """Those of the requests that a parcel can have, and the others."""
        travelling: list[CompileRequest] = []
        others: list[CompileRequest] = []
        for request in requests:
            (travelling if self.can_travel(request) else others).append(request)
        return travelling, others

    def can_travel(self, request: CompileRequest) -> bool:
        """Whether a parcel can have it; looked at once for all its kinds and archs."""
        return self._carry(request) is not None

    def _workload(self, request: CompileRequest) -> Workload:
        carried = self._carry(request) or Workload()
        targets = [(request.kind.value, request.arch, CHOSEN)]
        return Workload([Program(one.fields, targets) for one in carried.programs], carried.texts)

    def _carry(self, request: CompileRequest) -> Workload | None:
        """Its source and headers as they travel, for one of its kinds and archs; None where they cannot."""
        same = _program(request)
        if same not in self._carried:
            self._carried[same] = None
            with suppress(BundleError, CompileError, OSError):  # at home they come again, with the words for it
                if unsharable(self.closure(request)) is None:
                    self._carried[same] = recorded_workload([(_plain(request), self._variant(request))])
        return self._carried[same]

    def _parcel(self, workload: Workload, requests: Iterable[CompileRequest]) -> bytes:
        asked = list(requests)
        compilers = dict.fromkeys(map(self.compiler, asked))
        wanted = [request.digest for request in asked] if workload.programs else []
        return Parcel(workload, wanted, compilers, self._policy).encode()

    def compiler(self, request: CompileRequest) -> Toolchain:
        """The compiler here, which a worker must have too."""
        found = self._store.compiler(request)
        if found is None:
            raise CompileError(f"a farm is asked with the keys that the compiler here gives, and {MISSING}")
        return found

    def closure(self, request: CompileRequest) -> Closure:
        """The headers of a request, looked for once for all its kinds and archs."""
        same = _program(request)
        if same not in self._closures:
            self._closures[same] = Closure(request, toolkit_roots())
        return self._closures[same]

    def _variant(self, request: CompileRequest) -> Variant:
        return variant_of(self.closure(request), self.compiler(request))

    def result(self, request: CompileRequest, entry: bytes) -> Result:
        """What a worker made of a request.

        Raises:
            ArtifactError, LoadError: it is not what was asked for.
        """
        closure = self.closure(request)
        artifact = decode_entry(entry, artifact_key(request, closure.digest(), self.compiler(request)))
        if (artifact.kind, artifact.arch) != (request.kind, request.arch):
            raise ArtifactError(f"{artifact.kind} for {artifact.arch} in the place of {describe_request(request)}")
        verify_image(artifact.kind, artifact.data, artifact.arch)
        warnings = users_warnings(artifact.log, closure)
        return Result(request, COMPILED, None, artifact, (self._variant(request),), warnings)


def _program(request: CompileRequest) -> object:
    """What requests for different kinds and archs of one program have in common, the places of its headers with it."""
    factors = tuple([factor for factor in request.factors() if factor[0] not in {"kind", "arch"}])
    return factors, request.path, request.source_dir, request.include_dirs, request.headers


def _plain(request: CompileRequest) -> CompileRequest:
    """The request as if its caller had written all its options: elsewhere there is no device in force."""
    if not request.device_options:
        return request
    undefined = [f"--undefine-macro={name}" for name in request.undefines]
    return request.replace(options=[*request.options, *undefined], device_options=())
