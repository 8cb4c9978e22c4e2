"""Roots of headers: several places for one id, one name for one header, and one release of CCCL at a time."""

from __future__ import annotations

import pytest

from jitload import CompileRequest, Toolchain
from jitload.headers.closure import Closure
from jitload.headers.record import check_variant, variant_of
from jitload.headers.roots import Roots

COMPILER = Toolchain("nvrtc", "13.0.88", "0" * 64)
#: Packages in two places, CUDA 12 and 13, and a toolkit, relative to a test's directory.
PACKAGES = (
    ("toolkit/cuda", "site/nvidia/cuda_runtime/include"),
    ("toolkit/cccl", "site/nvidia/cuda_cccl/include"),
)
TWO_SITES = (
    ("toolkit/cuda", "one/nvidia/cu13/include"),
    ("toolkit/cccl", "one/nvidia/cu13/include/cccl"),
    ("toolkit/cuda", "two/nvidia/cu13/include"),
    ("toolkit/cccl", "two/nvidia/cu13/include/cccl"),
)
TOOLKIT = (("toolkit/cuda", "cuda/include"), ("toolkit/cccl", "cuda/include/cccl"))


@pytest.fixture
def closure(tmp_path, write):
    """`closure(toolkit, source, files)`: name -> path relative to the test's directory, and what checks the variant."""

    def find(toolkit, source, files):
        write(files)
        pairs = tuple((name, str(tmp_path / path)) for name, path in toolkit)
        request = CompileRequest(source, kind="ptx", arch="compute_75")
        found = Closure(request, pairs)
        variant = variant_of(found, COMPILER)
        names = {
            header.name.removeprefix("/jitload/"): header.path.removeprefix(f"{tmp_path}/")
            for header in found.headers.values()
        }
        return names, lambda: check_variant(variant, request, pairs)

    return find


def test_a_header_comes_from_the_first_place_that_has_it(closure):
    names, check = closure(
        TWO_SITES,
        "#include <a.h>\n#include <b.h>\n#include <cub/c.cuh>",
        {
            "one/nvidia/cu13/include/a.h": "1",
            "two/nvidia/cu13/include/a.h": "2",
            "two/nvidia/cu13/include/b.h": '#include "a.h"\n',  # the one of the first place, by the same name
            "two/nvidia/cu13/include/cccl/cub/c.cuh": "",
        },
    )
    assert names == {
        "toolkit/cuda/a.h": "one/nvidia/cu13/include/a.h",
        "toolkit/cuda/b.h": "two/nvidia/cu13/include/b.h",
        "toolkit/cccl/cub/c.cuh": "two/nvidia/cu13/include/cccl/cub/c.cuh",
    }
    assert check() is None


def test_names_are_the_same_whatever_the_place(closure):
    """An environment in one piece and one in several make the same key."""
    source = "#include <a.h>\n#include <cub/c.cuh>"
    files = {"a.h": "", "cccl/cub/c.cuh": '#include "d.cuh"', "cccl/cub/d.cuh": ""}
    whole, _ = closure(TOOLKIT, source, {f"cuda/include/{name}": text for name, text in files.items()})
    parts = {("one/nvidia/cu13" if name == "a.h" else "cuda") + f"/include/{name}": t for name, t in files.items()}
    apart, _ = closure((TWO_SITES[0], *TOOLKIT), source, parts)
    assert list(apart) == list(whole)


@pytest.mark.parametrize("name", ["cub/other.cuh", "thrust/other.h", "cuda/other", "nv/other", "nvtx3/nvToolsExt.h"])
def test_cccl_is_of_one_release(closure, tmp_path, name):
    """Of the first place that has CUB; that one's `__has_include(<nvtx3/...>)` stays as it is beside a toolkit, too."""
    source = f"#include <cub/cub.cuh>\n#if __has_include(<{name}>)\n#endif\n"
    files = {
        "site/nvidia/cuda_cccl/include/cub/cub.cuh": "",
        f"cuda/include/{name}": "",
        "cuda/include/cub/cub.cuh": "",
    }
    names, check = closure((*PACKAGES, *TOOLKIT), source, files)
    assert names == {"toolkit/cccl/cub/cub.cuh": "site/nvidia/cuda_cccl/include/cub/cub.cuh"}
    assert check() is None, "what is not looked for has not appeared"
    (tmp_path / "site/nvidia/cuda_cccl/include" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "site/nvidia/cuda_cccl/include" / name).write_text("")
    assert check() == f"{tmp_path}/site/nvidia/cuda_cccl/include/{name} appeared"


def test_a_toolkit_gives_cccl_where_no_package_does(closure):
    names, check = closure(
        (PACKAGES[0], *TOOLKIT),
        "#include <cuda_fp16.h>\n#include <cub/cub.cuh>\n#include <crt/mma.h>",
        {
            "site/nvidia/cuda_runtime/include/cuda_fp16.h": "",
            "cuda/include/cuda_fp16.h": "of the toolkit",
            "cuda/include/cub/cub.cuh": "",
            "cuda/include/crt/mma.h": "",
        },
    )
    assert names == {
        "toolkit/cuda/cuda_fp16.h": "site/nvidia/cuda_runtime/include/cuda_fp16.h",
        "toolkit/cuda/cub/cub.cuh": "cuda/include/cub/cub.cuh",
        "toolkit/cuda/crt/mma.h": "cuda/include/crt/mma.h",
    }
    assert check() is None


@pytest.mark.parametrize(
    ("appears", "text"),
    [
        ("one/nvidia/cu13/include/b.h", "another"),  # the same root, an earlier place
        ("one/nvidia/cu13/include/cccl/b.h", ""),  # another root
        ("one/nvidia/cu13/include/c.h", ""),  # looked for in vain
        ("two/nvidia/cu13/include/c.h", ""),
        ("two/nvidia/cu13/include/b.h", "edited"),
    ],
)
def test_a_header_that_would_be_found_first_is_noticed(closure, write, appears, text):
    source = "#include <b.h>\n#if __has_include(<c.h>)\n#endif\n"
    _, check = closure(TWO_SITES, source, {"two/nvidia/cu13/include/b.h": ""})
    assert check() is None
    write({appears: text})
    assert check() is not None


def test_the_same_text_in_an_earlier_place_is_no_change(closure, write):
    """A package is installed that brings what came from the toolkit before."""
    _, check = closure(TWO_SITES, "#include <b.h>\n", {"two/nvidia/cu13/include/b.h": "text"})
    write({"one/nvidia/cu13/include/b.h": "text"})
    assert check() is None


def test_a_header_that_is_gone_everywhere_is_noticed(closure, tmp_path):
    _, check = closure(TWO_SITES, "#include <b.h>\n", {"two/nvidia/cu13/include/b.h": ""})
    (tmp_path / "two/nvidia/cu13/include/b.h").unlink()
    assert "toolkit/cuda/b.h" in check()


def test_one_place_needs_no_look(tmp_path):
    """Where a toolkit lies in one place, the name of a header says where it is: nothing of the file system is asked."""
    request = CompileRequest("", kind="ptx", arch="compute_75", include_dirs=[tmp_path])
    roots = Roots(request, [(name, f"/nowhere/{path}") for name, path in PACKAGES])
    assert roots.path("toolkit/cccl", "cub/x.cuh") == "/nowhere/site/nvidia/cuda_cccl/include/cub/x.cuh"
    assert roots.path("include/0", "x.h") == f"{tmp_path}/x.h"
    assert roots.path("absolute", "x.h") == "/x.h"
    assert "include/1" not in roots
    assert "toolkit/curand" not in roots


def test_a_place_with_two_directories_of_one_root(closure):
    """CUDA_HOME/include and CUDA_HOME/targets/*/include, where the one is no link to the other."""
    toolkit = (("toolkit/cuda", "cuda/include"), ("toolkit/cuda", "cuda/targets/x86_64-linux/include"))
    files = {"cuda/include/a.h": "", "cuda/targets/x86_64-linux/include/b.h": '#include "a.h"\n'}
    names, check = closure(toolkit, "#include <b.h>\n", files)
    assert set(names) == {"toolkit/cuda/a.h", "toolkit/cuda/b.h"}
    assert check() is None


def test_include_next_goes_on_within_the_place(closure):
    files = {
        "one/nvidia/cu13/include/a.h": "#include_next <a.h>\n",
        "one/nvidia/cu13/include/cccl/a.h": "",
        "two/nvidia/cu13/include/a.h": "never",
    }
    names, check = closure(TWO_SITES, "#include <a.h>\n", files)
    assert set(names) == {"toolkit/cuda/a.h", "toolkit/cccl/a.h"}
    assert check() is None
