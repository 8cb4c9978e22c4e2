"""Messages of NVRTC that say what is wrong, but not what a newcomer to CUDA C++ would write: found by their words."""

from __future__ import annotations

import re

#: A message, with the line that it shows where that matters -> what to write.
_SAID = tuple(
    (re.compile(message, re.MULTILINE), text)
    for message, text in (
        (
            r'error: (?:no operator .*\n.*|no suitable conv.*)\buint3\b|error: class "(?:uint3|dim3)" has no member',
            "threadIdx, blockIdx, blockDim and gridDim have the members x, y and z: write threadIdx.x",
        ),
        (
            r"error: expression must have a constant value\n.*\b__shared__\b",
            "shared memory of a size that the launch says: extern __shared__ T name[]; and shared_bytes= at the launch",
        ),
        (
            r"error: expression must have a constant value\n.*\w\s*\[",
            "the compiler must know the size of an array: make it constexpr, a macro (defines=) or a template argument",
        ),
        (
            r"error: expression must have (?:pointer-to-)?class type but it has type \"[^\"]*\*\"\n.*\.\s*\w+",
            "a pointer has no members: give the kernel the size or the shape as arguments of their own",
        ),
        (
            r'error: operand of "\*" must be a pointer.*\n.*\*\*',
            "C++ has no operator for powers: write n * n, or powf(x, n)",
        ),
    )
)


def about_messages(log: str) -> str | None:
    """What to write where the log has one of these messages; None where it has none."""
    return next((text for message, text in _SAID if message.search(log)), None)
