"""Random trees of headers: from memory NVRTC must see what it sees by itself on the disk with `-I`."""

from __future__ import annotations

import random

import pytest
from cuda.bindings import nvrtc

import jitload

NAMES = ("a.h", "b.h", "c.h", "s/a.h", "s/b.h", "t/a.h")
SPELLED = (*NAMES, "./c.h", "../a.h", "s/../b.h", "u/a.h", "u/../a.h", "u/b.h", "link.h", "gone.h")
DIRECTIVES = (
    '#if __has_include("{0}")\n#include "{0}"\n#endif',
    "#if __has_include(<{0}>)\n#include <{0}>\n#endif",
    '#if __has_include("{0}")\n{1}\n#endif',
    "#if __has_include(<{0}>)\n{1}\n#endif",
    "#if __has_include(<{0}>)\n# /* gap */ include \\\n <{0}>\n#endif",
    '#ifdef NEVER\n#include "{0}"\n#endif',
    '/*\n#include "{0}"\n*/',
    '#include "{0}"',
    "#include <{0}>",
)


class Tree:
    """A source in src/ with i0/ and i1/ to search; the kernel writes a number that tells which files and branches counted."""

    def __init__(self, root, seed):
        self._random = random.Random(seed)
        self._marks = 0
        self.root, self.dirs = root, [root / "i0", root / "i1"]
        for directory in (root / "src", *self.dirs):
            for name in NAMES:
                path = directory / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if self._random.random() < 0.8:
                    path.write_text(
                        self._guarded("\n".join(self._directive() for _ in range(self._random.randrange(3))))
                    )
        if self._random.random() < 0.5:
            (root / "i0/u").symlink_to(self._random.choice(["../i1/s", "s", "../src"]))
            (root / "src/link.h").symlink_to(self._random.choice(["a.h", "../i1/b.h"]))
        body = "\n".join(self._directive() for _ in range(4))
        total = " ^ ".join(
            f"Seen<{mark}>::value * {mark * 2654435761 & 0x3FFFFFFF}" for mark in range(1, self._marks + 1)
        )
        self.source = root / "src/k.cu"
        self.source.write_text(
            f"template <int> struct Seen {{ enum {{ value = 0 }}; }};\n{body}\n"
            f'extern "C" __global__ void k(int *out) {{ *out = {total or 0}; }}\n'
        )

    def _mark(self):
        self._marks += 1
        return f"template <> struct Seen<{self._marks}> {{ enum {{ value = 1 }}; }};"

    def _guarded(self, body):
        mark = self._mark()
        return (
            f"#ifndef G{self._marks}\n#define G{self._marks}\n{mark}\n{body}\n#endif\n"
            if self._random.random() < 0.6
            else f"#pragma once\n{mark}\n{body}\n"
        )

    def _directive(self):
        # The last two may name what is not there; most trees should compile.
        choice = self._random.choices(DIRECTIVES, [4] * 7 + [1] * 2)[0]
        return choice.format(self._random.choice(SPELLED), self._mark() if "{1}" in choice else "")

    def by_nvrtc(self):
        """The PTX, or None when it does not compile."""
        _, program = nvrtc.nvrtcCreateProgram(self.source.read_bytes(), str(self.source).encode(), 0, [], [])
        options = [b"--gpu-architecture=compute_75", *(f"-I{path}".encode() for path in self.dirs)]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            return None
        _, size = nvrtc.nvrtcGetPTXSize(program)
        data = b"\0" * size
        nvrtc.nvrtcGetPTX(program, data)
        nvrtc.nvrtcDestroyProgram(program)
        return data.rstrip(b"\0")

    def by_jitload(self):
        """The PTX, or None when it does not compile."""
        try:
            return jitload.compile(
                self.source, arch="compute_75", include_dirs=self.dirs, cache=jitload.Cache(None)
            ).data
        except jitload.CompileError:
            return None


@pytest.mark.parametrize("seed", range(40))
def test_a_random_tree(tmp_path, seed):
    tree = Tree(tmp_path, seed)
    assert tree.by_jitload() == tree.by_nvrtc()


def test_most_random_trees_compile_and_differ(tmp_path):
    """Else the test above would compare nothing with nothing."""
    images = [Tree(tmp_path / str(seed), seed).by_nvrtc() for seed in range(12)]
    assert len({image for image in images if image is not None}) >= 6
