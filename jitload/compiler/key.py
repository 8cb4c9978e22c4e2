"""The key of an artifact: SHA-256 over everything that can change its bytes, and nothing else.

Its factors are those of the request (`CompileRequest.factors`: schema, kind, arch, program name, source, options,
defines, name expressions), the include closure by content, and the compiler. No path, no working directory, no user,
no time, no device.
"""

from __future__ import annotations

from jitload.digest import digest_factors, sha256_hex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jitload.source.request import CompileRequest
    from jitload.values import Toolchain


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


def readable_factors(request: CompileRequest, headers: Mapping[str, str]) -> dict[str, Any]:
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
        "source": sha256_hex(request.source.encode("utf-8", "surrogateescape")),
        "undefines": list(request.undefines),
    }
