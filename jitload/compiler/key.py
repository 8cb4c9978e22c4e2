"""The key of an artifact: SHA-256 over everything that can change its bytes, and nothing else.

Its factors are those of the request (`CompileRequest.factors`: schema, kind, arch, program name, source, options,
defines, name expressions), the include closure by content, and the compiler. No path, no working directory, no user,
no time, no device.
"""

from __future__ import annotations

from jitload.digest import digest_factors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypedDict

    from jitload.source.request import CompileRequest
    from jitload.values import Toolchain

    #: What a key is made of, as people read it; what an entry was kept without is not there.
    Factors = TypedDict(
        "Factors",
        {
            "defines": dict[str, str | None],
            "headers": dict[str, str],
            "name expressions": list[str],
            "options": list[str],
            "request": str,
            "source": str,
            "undefines": list[str],
        },
        total=False,
    )


def artifact_key(request: CompileRequest, closure_digest: str, toolchain: Toolchain) -> str:
    """The key, 64 lower-case hex digits.

    Args:
        request: what is compiled; its digest stands for its factors.
        closure_digest: `Closure.digest()`: the headers as the compiler sees them.
        toolchain: the compiler, by version and by the bytes of its libraries.
    """
    return key_of(request.digest, closure_digest, toolchain)


def key_of(request_digest: str, closure_digest: str, toolchain: Toolchain) -> str:
    """`artifact_key` of a request that is known by its digest alone."""
    return digest_factors(
        [
            ("request", request_digest.encode()),
            ("headers", closure_digest.encode()),
            ("compiler", toolchain.name.encode()),
            ("compiler version", toolchain.version.encode()),
            ("compiler digest", toolchain.digest.encode()),
        ]
    )


def readable_factors(request: CompileRequest, headers: Mapping[str, str]) -> Factors:
    """What a key is made of, to be read by people: entries keep it, for `explain`. No path of this machine is in it.

    The kind, the arch, the program name and the compiler are not in it: they are in the artifact.

    Args:
        request: what is compiled.
        headers: virtual name -> SHA-256 (hex) of every header (`Variant.headers`).
    """
    return {
        "defines": dict(request.defines),
        "headers": dict(headers),
        "name expressions": list(request.names),
        "options": list(request.options),
        "request": request.digest,
        "source": request.source_digest,
        "undefines": list(request.undefines),
    }


def known_factors(read: Mapping[str, object]) -> Factors:
    """The factors in what an entry has kept; what is of another type than it should be is left out."""
    found: Factors = {}
    source, defines, headers = read.get("source"), read.get("defines"), read.get("headers")
    options, undefines, names = read.get("options"), read.get("undefines"), read.get("name expressions")
    if isinstance(source, str):
        found["source"] = source
    if isinstance(defines, dict):
        found["defines"] = {str(name): None if value is None else str(value) for name, value in defines.items()}
    if isinstance(headers, dict):
        found["headers"] = {str(name): str(digest) for name, digest in headers.items()}
    if isinstance(options, list):
        found["options"] = [str(option) for option in options]
    if isinstance(undefines, list):
        found["undefines"] = [str(name) for name in undefines]
    if isinstance(names, list):
        found["name expressions"] = [str(name) for name in names]
    return found
