"""`LinkRequest`: everything that a link depends on. It is a request whose sources are images.

So it goes the same road as a compile: bundles, memory, directories and a remote are asked for it, one process makes it,
and it is kept, recorded, bundled and explained like any other.
"""

from __future__ import annotations

import base64
import binascii
from types import MappingProxyType
from typing import TYPE_CHECKING

from jitload.digest import digest_factors, frame_all, sha256_hex
from jitload.errors import ArtifactError, UsageValueError
from jitload.format.bare import bare_image, decode_bare
from jitload.format.entry import encode_entry
from jitload.frozen import Value
from jitload.source.arch import normalize_archs, parse_kind, virtual_arch
from jitload.source.link_options import canonical_link_options
from jitload.source.request import CompileRequest, program_name
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from typing_extensions import Unpack

    from jitload.source.fields import Changes
    from jitload.values import KernelInfo

#: Raise it when the meaning of a factor changes.
LINK_SCHEMA = b"1"
#: What an input may be: an image of jitload's kinds, an archive of them, or an object file of the host with them in it.
INPUT_TYPES = ("ltoir", "ptx", "cubin", "fatbin", "library", "object")


class LinkInput(Value):
    """One input of a link.

    Attributes:
        type: one of `INPUT_TYPES`.
        data: its bytes.
        name: what messages and the linker's log call it.
        kernels: the kernels in it, as far as they are known.
        variables: (symbol, C++ type) of the variables in it, likewise.
    """

    __slots__ = ("data", "kernels", "name", "type", "variables")
    type: str
    data: bytes
    name: str
    kernels: tuple[KernelInfo, ...]
    variables: tuple[tuple[str, str], ...]

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's word
        data: bytes,
        name: str,
        kernels: Iterable[KernelInfo] = (),
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        # What it takes of a multiprocessor is another matter once it is linked.
        bare = tuple([kernel.replace(resources=None) for kernel in kernels])
        self._set(type=type, data=data, name=name, kernels=bare, variables=tuple(sorted(variables.items())))

    def encode(self) -> bytes:
        """The same bytes for the same content and the same kernels, whatever it is called."""
        if self.type not in Kind._value2member_map_:
            return self.data
        return encode_entry(bare_image(self.type, self.data, self.kernels, dict(self.variables)))

    def to_text(self) -> str:
        """`encode` as text, for a workload."""
        return base64.b64encode(self.encode()).decode()

    @staticmethod
    def from_text(type: str, name: str, text: str) -> LinkInput:  # noqa: A002 - the field's word
        """What `to_text` gave.

        Raises:
            UsageValueError: it is something else.
        """
        try:
            data = base64.b64decode(text, validate=True)
            if type not in INPUT_TYPES:
                raise UsageValueError(f"an input of type {type!r:.40}")
            if type not in Kind._value2member_map_:
                return LinkInput(type, data, name)
            image = decode_bare(data, lambda _: {})
        except (ArtifactError, binascii.Error, ValueError) as error:
            raise UsageValueError(f"an input of a link that cannot be read: {error}") from None
        if image.kind.value != type:
            raise UsageValueError(f"an input of type {image.kind}, expected {type!r:.40}")
        return LinkInput(type, image.data, name, image.kernels.values(), image.variables)


class LinkRequest(CompileRequest):
    """What is to be linked; `source`, `headers`, `defines` and the like are empty.

    Attributes:
        inputs: what is linked, in order.
        parts: the requests of those inputs that were compiled for it, for who makes all of it ahead.
    """

    __slots__ = ("inputs", "parts")
    inputs: tuple[LinkInput, ...]
    parts: tuple[CompileRequest, ...]
    is_link = True

    def __init__(  # not the one of a compile: nothing is read, and the factors are others
        self,
        inputs: Iterable[LinkInput],
        *,
        kind: str | Kind,
        arch: str | Iterable[str],
        options: str | Iterable[str] = (),
        name: str | None = None,
        parts: Iterable[CompileRequest] = (),
    ) -> None:
        """Canonicalise.

        Raises:
            UsageValueError: a kind, arch or option that cannot be, or no input.
            UsageTypeError: an argument of the wrong type.
        """
        wanted = parse_kind(kind)
        archs = normalize_archs(wanted, arch)
        listed = tuple(inputs)
        if not listed:
            raise UsageValueError("there is nothing to link: give artifacts, images as bytes, or paths")
        if wanted is Kind.PTX:
            archs = tuple(map(virtual_arch, archs))
        self._set(
            **_OF_A_COMPILE,
            name=program_name(name or "linked"),
            kind=wanted,
            archs=archs,
            arch=",".join(archs),
            options=canonical_link_options(options),
            names=tuple(sorted({kernel.name for one in listed for kernel in one.kernels})),
            inputs=listed,
            parts=tuple(parts),
        )
        object.__setattr__(self, "digest", digest_factors(self.factors()))

    def check(self) -> None:
        """Nothing for a link that can be made; one that cannot may still be looked for.

        Raises:
            UsageValueError: neither a cubin nor PTX is wanted, or PTX of something else than LTO-IR.
        """
        if self.kind not in {Kind.CUBIN, Kind.PTX}:
            raise UsageValueError(f"a link gives kind 'cubin' or 'ptx', not {self.kind.value!r}")
        other = next((one for one in self.inputs if one.type != "ltoir"), None)
        if self.kind is Kind.PTX and other is not None:
            raise UsageValueError(
                f"PTX is linked from LTO-IR alone, and {other.name} is {other.type}: compile it with kind='ltoir', or "
                f"link to kind='cubin'"
            )

    def factors(self) -> list[tuple[str, bytes]]:
        """The factors that the request gives to the key: none of them has the label of one of a compile."""
        return [
            ("link schema", LINK_SCHEMA),
            ("link kind", self.kind.value.encode()),
            ("link arch", self.arch.encode()),
            ("link name", self.name.encode()),
            ("link options", frame_all([("option", option.encode()) for option in self.options])),
            ("link inputs", self._input_factors()),
        ]

    @property
    def source_digest(self) -> str:
        """SHA-256 (hex) over the inputs."""
        return sha256_hex(self._input_factors())

    def _input_factors(self) -> bytes:
        return frame_all([(one.type, sha256_hex(one.encode()).encode()) for one in self.inputs])

    def replace(self, **changes: Unpack[Changes]) -> LinkRequest:
        """The same inputs with another kind, arch or options; what a link has not, such as `names`, stays as it is."""
        return LinkRequest(
            self.inputs,
            kind=changes.get("kind", self.kind),
            arch=changes.get("arch", self.archs),
            options=changes.get("options", self.options),
            name=self.name,
            parts=() if "arch" in changes else self.parts,
        )

    def _fields(self) -> tuple[Any, ...]:
        return (self.digest,)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*CompileRequest.__slots__, *self.__slots__)}

    def __repr__(self) -> str:
        inputs = ", ".join(one.name for one in self.inputs)
        return f"LinkRequest([{inputs}], kind={self.kind}, arch={self.arch!r}, digest={self.digest[:12]})"


#: The fields of a compile that a link has no use for.
_OF_A_COMPILE: dict[str, object] = {
    "source": "",
    "path": None,
    "first_line": 1,
    "lines": (),
    "escaped": False,
    "device_options": (),
    "defines": (),
    "undefines": (),
    "host_headers": True,
    "include_dirs": (),
    "source_dir": None,
    "headers": (),
}
