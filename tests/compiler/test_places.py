"""Where packages and installed toolkits put the parts of CUDA: component by component, packages first."""

from __future__ import annotations

import pytest

from jitload.compiler.places import find_headers, find_libraries, headers_major

CUDA_H = "#define CUDA_VERSION {}\n"
VERSION_H = "cuda/std/__cccl/version.h"


def names(found, root):
    return [(name, path.removeprefix(f"{root}/")) for name, path in found]


@pytest.fixture
def headers(tmp_path, write):
    """`headers(major, *files)`: what is found on the path "one", "two" and in the toolkits "home", "local"."""

    def find(major, *files, **texts):
        write({**dict.fromkeys(files, ""), **texts})
        sites, toolkits = ([str(tmp_path / name) for name in group] for group in (("one", "two"), ("home", "local")))
        return names(find_headers(major, sites, toolkits), tmp_path)

    return find


def test_nothing_is_found_where_nothing_is(headers):
    assert headers(13) == []


def test_packages_in_two_places_on_the_path_both_count(headers):
    """CUDA 13 has one tree for all packages, and each place on the path has such a tree."""
    found = headers(13, "one/nvidia/cu13/include/cccl/cub/cub.cuh", "two/nvidia/cu13/include/cuda_fp16.h")
    assert found == [
        ("cuda", "one/nvidia/cu13/include"),
        ("cccl", "one/nvidia/cu13/include/cccl"),
        ("cuda", "two/nvidia/cu13/include"),
    ]


def test_toolkits_follow_the_packages(headers):
    found = headers(
        12, "one/nvidia/cuda_runtime/include/cuda.h", "home/include/cub/cub.cuh", "local/include/curand_kernel.h"
    )
    assert found == [("cuda", "one/nvidia/cuda_runtime/include"), ("cuda", "home/include"), ("cuda", "local/include")]


def test_a_toolkit_has_cccl_beside_and_everything_in_its_targets(headers):
    found = headers(13, "home/targets/x86_64-linux/include/cccl/cub/cub.cuh", "home/include/cccl/cub/cub.cuh")
    assert found[:2] == [("cuda", "home/include"), ("cccl", "home/include/cccl")]
    assert found[2:] in (
        [("cuda", "home/targets/x86_64-linux/include"), ("cccl", "home/targets/x86_64-linux/include/cccl")],
        [],  # another kind of machine
    )


def test_one_directory_by_two_paths_is_one(headers, tmp_path):
    """/usr/local/cuda/include is a link into targets, CUDA_HOME is /usr/local/cuda, lib64 is lib."""
    (tmp_path / "home/targets/x86_64-linux/include").mkdir(parents=True)
    (tmp_path / "home/include").symlink_to("targets/x86_64-linux/include")
    (tmp_path / "local").symlink_to("home")
    (tmp_path / "one/nvidia/cu13/include").mkdir(parents=True)
    (tmp_path / "two").symlink_to("one")
    assert headers(13) == [("cuda", "one/nvidia/cu13/include"), ("cuda", "home/include")]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("cuda.h", "#define CUDA_VERSION 12090\n"),
        ("cuda.h", "/* long */" * 2000 + "\n#define CUDA_VERSION 12090\n"),
        ("cuda_runtime_api.h", "#define CUDART_VERSION  12090\n"),
        (VERSION_H, "#define CCCL_VERSION 2008002\n"),
    ],
)
def test_headers_of_another_major_are_never_taken(headers, file, text):
    """Not from a toolkit, whatever tells its version, and not from a package: CUDA 11 and 12 share their directories."""
    assert headers(13, **{f"home/targets/x86_64-linux/include/{file}": text}) == []
    assert headers(13, **{f"home/include/{file}": text}) == []
    assert headers(12)[0] == ("cuda", "home/include")
    component, directory = ("cccl", "cuda_cccl") if file == VERSION_H else ("cuda", "cuda_runtime")
    assert headers(12, **{f"one/nvidia/{directory}/include/{file}": text})[0][0] == component
    other = text.replace("12090", "11080").replace("2008002", "3000001")
    assert headers(12, **{f"one/nvidia/{directory}/include/{file}": other})[0] == ("cuda", "home/include")


def test_a_toolkit_of_another_major_does_not_hide_the_next(headers):
    texts = {"home/include/cuda.h": CUDA_H.format(12090), "local/include/cuda.h": CUDA_H.format(13000)}
    assert headers(13, "home/include/cccl/cub/cub.cuh", **texts) == [("cuda", "local/include")]


def test_a_tree_that_does_not_say_its_version_is_taken(headers):
    """One of CCCL alone, as some packages of distributions are, or of another layout."""
    assert headers(13, "home/include/cccl/cub/cub.cuh")[-1] == ("cccl", "home/include/cccl")


def test_a_toolkit_among_the_c_librarys_headers_is_the_last_resort(headers):
    """CUDA_HOME=/usr: `#include <stdint.h>` for other compilers must not become a part of programs that compiled."""
    assert headers(12, "home/include/stdio.h", "home/include/cub/cub.cuh") == [("cuda", "home/include")]
    assert headers(12, "one/nvidia/cuda_runtime/include/cuda_fp16.h") == [("cuda", "one/nvidia/cuda_runtime/include")]


def test_a_file_or_a_loop_in_a_directorys_place_is_passed_over(headers, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/include").write_text("")
    (tmp_path / "local").symlink_to("local")
    assert headers(13, "one/nvidia/cu13") == []


def test_headers_that_do_not_say_their_version(tmp_path):
    (tmp_path / "cuda.h").write_text("no version")
    assert headers_major(str(tmp_path)) is None
    assert headers_major(str(tmp_path / "nowhere")) is None


def libraries(tmp_path, name, majors):
    found = find_libraries(name, majors, [str(tmp_path / "one"), str(tmp_path / "two")], [str(tmp_path / "home")])
    return [(path.removeprefix(f"{tmp_path}/"), major) for path, major in found]


@pytest.mark.parametrize("name", ["nvrtc", "nvfatbin", "nvJitLink"])
def test_libraries_of_packages_come_first(tmp_path, write, name):
    directory = {"nvrtc": "cuda_nvrtc", "nvfatbin": "nvfatbin", "nvJitLink": "nvjitlink"}[name]
    write(
        {
            f"two/nvidia/{directory}/lib/lib{name}.so.12": "",
            f"one/nvidia/cu13/lib/lib{name}.so.13": "",
            f"home/lib64/lib{name}.so.12": "",
            f"home/lib/lib{name}.so.13": "",
        }
    )
    packages = [(f"one/nvidia/cu13/lib/lib{name}.so.13", 13), (f"two/nvidia/{directory}/lib/lib{name}.so.12", 12)]
    toolkits = [(f"home/lib/lib{name}.so.13", 13), (f"home/lib64/lib{name}.so.12", 12)]
    assert libraries(tmp_path, name, (13, 12)) == packages + toolkits
    assert libraries(tmp_path, name, (12,)) == [packages[1], toolkits[1]]
    assert libraries(tmp_path, name, (14,)) == []
