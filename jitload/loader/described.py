"""Images with a description: what `save_to_bytes` of an image gives once names, layouts or a source are attached to it.

A bare image is saved as it is. One that was loaded from an artifact, or made by `create_module` with functions, answers
to names that the image does not hold, and knows parameters that it does not tell. Such a module is saved as an entry
(`format.entry`: self-verifying, with the kernels' layouts), whose free section holds other names and the source:

    factors := canonical JSON {"names": {name: symbol}, "source": text or null}

The loaders of the built-in kinds take both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import LoadError
from jitload.format.bare import bare_image, decode_bare
from jitload.format.entry import MAGIC, decode_factors, encode_entry
from jitload.format.json import canonical_json
from jitload.images.resources import known_resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jitload.loader.module import Loader, Module
    from jitload.values import KernelInfo


def encode_described(
    kind: str,
    image: bytes,
    kernels: Iterable[KernelInfo],
    variables: Mapping[str, str],
    names: Mapping[str, str],
    source: str | None,
) -> bytes:
    """The entry for an image and what is attached to it.

    Args:
        kind: "cubin", "ptx", "fatbin" or "ltoir".
        image: the bare image.
        kernels: the kernels whose layouts are known.
        variables: symbol -> C++ type of the variables of which it is known.
        names: other names, each with the symbol it stands for.
        source: the source that was attached, or None.
    """
    attached = canonical_json({"names": dict(names), "source": source})
    return encode_entry(bare_image(kind, image, kernels, variables), attached)


def load_described(kind: str, loader: Loader, data: bytes) -> Module:
    """Load the image in an entry with the loader of its kind, and attach what the entry says about it.

    Raises:
        ArtifactError: the entry is damaged.
        LoadError: it is of another kind, or its names are no names.
        Exception: whatever the loader raises comes through as it is.
    """
    image = decode_bare(data, known_resources)
    if image.kind != kind:
        raise LoadError(f"this is a saved module of kind {str(image.kind)!r}, not {kind!r}", kind=kind)
    # The entry of an artifact has the factors of its key here, and so neither names nor a source of its own.
    factors = decode_factors(data)
    names, source = factors.get("names", {}), factors.get("source")
    if "names" not in factors or "source" not in factors:
        names, source = {}, None
    named = isinstance(names, dict) and all(isinstance(symbol, str) for symbol in names.values())
    if not named or not isinstance(source, (str, type(None))):
        raise LoadError(f"a saved module of kind {kind!r} whose names or source are no text", kind=kind)
    module = loader(image.data)
    module.attach_kernels(image.kernels.values())
    module.attach_variables(image.variables)
    module.attach_names(names)
    if source is not None:
        module.attach_source(source)
    return module


def with_descriptions(kind: str, loader: Loader) -> Loader:
    """The loader of an image kind, taking entries too, and letting its modules be saved as entries."""

    def load(data: bytes) -> Module:
        module = load_described(kind, loader, data) if data.startswith(MAGIC) else loader(data)
        module.encode_described = encode_described
        return module

    return load
