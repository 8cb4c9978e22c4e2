"""What a caller gives to be linked, as inputs of a `LinkRequest`: artifacts, images as bytes, and files by path."""

from __future__ import annotations

import os

from jitload.artifact import Artifact, decode_entry
from jitload.compiler import toolkit
from jitload.compiler.layout import read_kernels
from jitload.errors import ArtifactError, LoadError, UsageTypeError, UsageValueError
from jitload.files.regular import open_regular
from jitload.format.entry import MAGIC, MAX_ENTRY_BYTES
from jitload.given import given_list, given_path
from jitload.images.check import sniff_kind, verify_image
from jitload.images.cubin import ELF_MAGIC, ET_REL, cubin_arch
from jitload.images.ptx import ptx_target
from jitload.source.arch import capability, virtual_arch
from jitload.source.link import LinkInput

_ARCHIVE, _THIN = b"!<arch>\n", b"!<thin>\n"


class Collected:
    """The inputs of a link.

    Attributes:
        inputs: the inputs.
        needed: the arch of a relocatable cubin among them, or None where there is none.
        cubin: the name of that cubin.
        highest: the highest virtual arch that others were compiled for, or None where that is not known.
    """

    def __init__(self, given: object) -> None:
        """Take what a caller gave.

        Raises:
            UsageTypeError: something that cannot be linked, by its type.
            UsageValueError: ... by its content.
            OSError: a file cannot be read.
        """
        self.inputs: list[LinkInput] = []
        self.needed: str | None = None
        self.cubin = ""
        self.highest: str | None = None
        listed = [given] if isinstance(given, Artifact) else list(given_list("inputs", given))
        for number, item in enumerate(listed, 1):
            self._add(item, f"input {number}")

    def _add(self, item: object, what: str) -> None:
        if isinstance(item, LinkInput):
            self.inputs.append(item)
        elif isinstance(item, Artifact):
            self._add_artifact(item, f"{item.name} ({what})")
        elif isinstance(item, (str, os.PathLike)):
            path = _found(given_path(what, item))
            with open_regular(path) as file:
                self._add_bytes(file.read(MAX_ENTRY_BYTES + 1), os.path.basename(path))
        else:
            self._add_bytes(_bytes_of(item, what), what)

    def _add_bytes(self, data: bytes, name: str) -> None:
        if len(data) > MAX_ENTRY_BYTES:
            raise UsageValueError(f"{name} is longer than {MAX_ENTRY_BYTES} bytes, which no image is")
        if data.startswith(MAGIC):
            try:
                saved = decode_entry(data)
            except ArtifactError as error:
                raise UsageValueError(f"{name} cannot be linked: {error}") from None
            self._add_artifact(saved, name)
        elif data.startswith(_ARCHIVE):
            self.inputs.append(LinkInput("library", data, name))
        elif data.startswith(_THIN):
            raise UsageValueError(f"{name} is a thin archive, whose members are elsewhere: make it with `ar rcD`")
        elif (kind := sniff_kind(data)) is not None:
            text = data.rstrip(b"\0").decode(errors="replace") if kind == "ptx" else ""
            self._add_image(LinkInput(kind, data, name, read_kernels(text).values()), "")
        elif data.startswith(ELF_MAGIC):
            self.inputs.append(LinkInput("object", data, name))
        else:
            raise UsageValueError(
                f"{name} cannot be linked: it begins with {data[:8]!r}, expected LTO-IR, PTX, a cubin, a fatbin, an "
                f"archive (.a) of them or an object file that holds them. CUDA C++ goes to compile(sources=[...])"
            )

    def _add_artifact(self, made: Artifact, name: str) -> None:
        given = LinkInput(made.kind.value, made.data, name, made.kernels.values(), made.variables)
        self._add_image(given, made.arch)

    def _add_image(self, given: LinkInput, arch: str) -> None:
        kind, data, name = given.type, given.data, given.name
        try:
            verify_image(kind, data)
            if kind == "cubin":
                self._note_cubin(data, name, arch)
        except LoadError as error:
            raise UsageValueError(f"{name} cannot be linked: {error}") from None
        if kind == "ptx":
            data = data.rstrip(b"\0")
            arch = arch or ptx_target(data)[1]
        if kind in {"ptx", "ltoir"} and arch:
            virtual = virtual_arch(arch)
            self.highest = max(self.highest or virtual, virtual, key=capability)
        self.inputs.append(LinkInput(kind, data, name, given.kernels, dict(given.variables)))

    def _note_cubin(self, data: bytes, name: str, arch: str) -> None:
        if int.from_bytes(data[16:18], "little") != ET_REL:
            raise UsageValueError(
                f"{name} cannot be linked: it is a whole program already, of which nvJitLink would take nothing. "
                f"Compile it with options=['-rdc=true']"
            )
        if self.needed is None:
            self.needed, self.cubin = arch or cubin_arch(data), name


def _found(path: str) -> str:
    """The path itself; of a library of the toolkit that is named without a directory, where that is."""
    if os.path.basename(path) == path and path.endswith(".a") and not os.path.exists(path):
        return toolkit.find_archive(path) or path
    return path


def _bytes_of(item: object, what: str) -> bytes:
    try:
        return bytes(memoryview(item))  # type: ignore[arg-type]  # what has no buffer is refused here
    except TypeError:
        raise UsageTypeError(
            f"{what} is an Artifact, the bytes of an image, or a path, got {type(item).__name__}"
        ) from None
