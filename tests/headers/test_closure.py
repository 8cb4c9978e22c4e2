"""Which header a source gets: NVRTC itself says so, by the constant in the PTX."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jitload
from jitload.compiler.key import artifact_key
from jitload.compiler.nvrtc import compile_program
from jitload.compiler.program import compile_artifact
from jitload.compiler.toolkit import toolchain, toolkit_roots
from jitload.headers.closure import Closure
from jitload.headers.survey import unsharable
from jitload.source.request import CompileRequest

SAFE = "#pragma once\n"
KERNEL = 'extern "C" __global__ void k(int *out) { *out = VALUE; }\n'


def test_quoted_include_beside_the_source(write, file_value):
    write({"value.h": "#define VALUE 11\n"})
    assert file_value("k.cu", '#include "value.h"') == 11


def test_angle_include_is_not_looked_for_beside_the_source(write, file_value):
    root = write({"value.h": "#define VALUE 11\n", "inc/value.h": "#define VALUE 12\n"})
    assert file_value("k.cu", "#include <value.h>", include_dirs=[root / "inc"]) == 12


def test_quoted_include_prefers_the_includers_directory_over_include_dirs(write, file_value):
    root = write({"value.h": "#define VALUE 11\n", "inc/value.h": "#define VALUE 12\n"})
    assert file_value("k.cu", '#include "value.h"', include_dirs=[root / "inc"]) == 11


def test_a_source_in_memory_has_no_directory_of_its_own(write, value, monkeypatch):
    """The working directory is no place to look for headers: what is there would not be in the key of another run."""
    monkeypatch.chdir(write({"value.h": "#define VALUE 11\n"}))
    with pytest.raises(jitload.CompileError, match=r"value\.h"):
        value('#include "value.h"')


def test_nested_includes_of_one_spelling_in_two_directories_get_each_its_own(write, value):
    root = write({
        "a/api.h": '#include "detail.h"\n#define A DETAIL\nenum { FROM_A = DETAIL };\n#undef DETAIL\n',
        "a/detail.h": "#define DETAIL 3\n",
        "b/api.h": '#include "detail.h"\nenum { FROM_B = DETAIL };\n#undef DETAIL\n',
        "b/detail.h": "#define DETAIL 5\n",
    })  # fmt: skip
    prefix = "#include <a/api.h>\n#include <b/api.h>\n#define VALUE (FROM_A * 100 + FROM_B)"
    assert value(prefix, include_dirs=[root]) == 305


def test_relative_includes_climb_out_of_their_directory(write, value):
    root = write({"inc/sub/deep/x.h": '#include "../../other/y.h"\n', "inc/other/y.h": "#define VALUE 21\n"})
    assert value("#include <sub/deep/x.h>", include_dirs=[root / "inc"]) == 21


def test_relative_includes_climb_out_of_the_search_path(write, value):
    root = write(
        {"inc/x.h": '#include "../beside/y.h"\n', "beside/y.h": '#include "z.h"\n', "beside/z.h": "#define VALUE 22\n"}
    )
    assert value("#include <x.h>", include_dirs=[root / "inc"]) == 22


@pytest.mark.parametrize(
    ("order", "expected"), [(("one", "two"), 1), (("two", "one"), 2)], ids=["one first", "two first"]
)
def test_the_order_of_include_dirs_decides(write, value, order, expected):
    root = write({"one/value.h": "#define VALUE 1\n", "two/value.h": "#define VALUE 2\n"})
    assert value("#include <value.h>", include_dirs=[root / name for name in order]) == expected


def test_include_next_goes_on_in_the_next_directory(write, value):
    root = write({
        "one/value.h": "#include_next <value.h>\n#define VALUE (BASE + 1)\n",
        "two/value.h": "#include_next <value.h>\n#define BASE (ROOT + 10)\n",
        "three/value.h": "#define ROOT 100\n",
    })  # fmt: skip
    assert value("#include <value.h>", include_dirs=[root / "one", root / "two", root / "three"]) == 111


def test_include_next_beside_the_source_does_not_find_itself(write, file_value):
    root = write({"value.h": '#include_next "value.h"\n', "inc/value.h": "#define VALUE 7\n"})
    assert file_value("k.cu", '#include "value.h"', include_dirs=[root / "inc"]) == 7


def test_include_next_in_headers_reaches_the_directory_it_shadows(write, value):
    root = write({"inc/value.h": "#define VALUE 8\n"})
    wrapper = {"value.h": "#include_next <value.h>\n"}
    assert value("#include <value.h>", headers=wrapper, include_dirs=[root / "inc"]) == 8


def test_headers_stand_before_every_directory(write, file_value):
    root = write({"value.h": "#define VALUE 1\n", "inc/value.h": "#define VALUE 2\n"})
    given = {"value.h": "#define VALUE 3\n"}
    for spelled in ('"value.h"', "<value.h>"):
        assert file_value("k.cu", f"#include {spelled}", headers=given, include_dirs=[root / "inc"]) == 3


def test_headers_include_each_other_relatively(value):
    given = {
        "lib/api.h": '#include "detail/impl.h"\n',
        "lib/detail/impl.h": '#include "../value.h"\n',
        "lib/value.h": "#define VALUE 31\n",
        "value.h": "#define VALUE 32\n",
    }
    assert value("#include <lib/api.h>", headers=given) == 31


@pytest.mark.parametrize(
    "prefix",
    [
        "#define NAME <value.h>\n#include NAME",
        '#define NAME "value.h"\n#include NAME',
        "#define QUOTE(x) #x\n#define NAME(x) QUOTE(x.h)\n#include NAME(value)",
        "#define NAME \\\n  <value.h>\n#include NAME",
    ],
    ids=["angle", "quoted", "function-like", "spliced"],
)
def test_include_of_a_macro(write, value, prefix):
    root = write({"inc/value.h": "#define VALUE 41\n"})
    assert value(prefix, include_dirs=[root / "inc"]) == 41


FORESEEN = """#define ROOT inc
#define IN(file) <ROOT/file>
#define QUOTE(x) #x
#define STRING(x) QUOTE(x)
#include IN(first.h)
#include STRING(ROOT/second.h)
"""


def test_an_include_that_can_be_foreseen_costs_no_second_run(write):
    root = write({"inc/first.h": "#define A 40\n", "inc/second.h": "#define VALUE (A + 3)\n"})
    request = CompileRequest(FORESEEN + KERNEL, kind="ptx", arch="compute_75", include_dirs=[root])
    runs = []

    def count(run):
        runs.append(run.name)
        return compile_program(run)

    closure = Closure(request, toolkit_roots())
    digest = closure.digest()
    assert compile_artifact(request, closure, toolchain(), count).kernels
    assert (len(runs), closure.digest()) == (1, digest)


def test_a_header_that_could_be_meant_and_is_not_is_part_of_the_key(write, value, compiles):
    """A superset, as with conditions: it costs a compile, and the next one knows it."""
    root = write({"one/value.h": "#define VALUE 43\n", "two/value.h": "#define VALUE 44\n"})
    prefix = (
        "#if 1\n#define ROOT one\n#else\n#define ROOT two\n#endif\n#define IN(file) <ROOT/file>\n#include IN(value.h)"
    )
    assert value(prefix, include_dirs=[root]) == 43
    write({"two/value.h": "#define VALUE 45\n"})
    before = compiles()
    assert [value(prefix, include_dirs=[root]) for _ in range(2)] == [43, 43]
    assert compiles() == before + 1


def test_include_of_a_macro_from_the_definitions(write, value):
    root = write({"inc/value.h": "#define VALUE 42\n"})
    assert value("#include NAME", include_dirs=[root / "inc"], defines={"NAME": '"value.h"'}) == 42


def test_include_of_an_angle_macro_is_not_looked_for_beside_the_source(write, file_value):
    root = write({"value.h": "#define VALUE 1\n", "inc/value.h": "#define VALUE 2\n"})
    assert file_value("k.cu", "#define NAME <value.h>\n#include NAME", include_dirs=[root / "inc"]) == 2


def test_a_macro_that_means_two_headers_is_refused_not_guessed(write, value):
    root = write({
        "a/api.h": '#define A_NAME(x) #x\n#include A_NAME(part.h)\n',
        "a/part.h": "#define VALUE 1\n",
        "b/api.h": '#define B_NAME(x) #x\n#include B_NAME(part.h)\n',
        "b/part.h": "#define VALUE 2\n",
    })  # fmt: skip
    with pytest.raises(jitload.CompileError, match=r"ambiguous.*a/part\.h.*b/part\.h") as caught:
        value("#include <a/api.h>\n#include <b/api.h>", include_dirs=[root])
    assert caught.value.file == str(root / "a/api.h")


ODD_SPELLINGS = [
    '%:include "value.h"',
    '/* c */ # /* d */ include /* e */ "value.h"',
    '#include \\\n "value.h"',
    '#inc\\\nlude "value.h"',
    "#include<value.h>",
    "#\tinclude\t<value.h>",
    '# include "./value.h" // why',
    '#include \\\r\r\n "val\\\nue.h"',
    'struct X; /*\n*/ #include "value.h"',
]


@pytest.mark.parametrize("directive", ODD_SPELLINGS)
def test_odd_spellings_of_a_directive(write, file_value, directive):
    write({"value.h": "#define VALUE 51\n"})
    include_dirs = [write({})]
    assert file_value("k.cu", directive, include_dirs=include_dirs) == 51


@pytest.mark.parametrize("directive", [text for text in ODD_SPELLINGS if "<" not in text])
def test_odd_spellings_in_two_directories_get_each_its_own(write, value, directive):
    """What the scan misses NVRTC asks for by its spelled name: two files must not share the answer."""
    root = write({
        "a/api.h": f"{directive}\nenum {{ A = VALUE }};\n#undef VALUE\n",
        "b/api.h": f"{directive}\nenum {{ B = VALUE }};\n#undef VALUE\n",
        "a/value.h": "#define VALUE 1\n",
        "b/value.h": "#define VALUE 2\n",
    })  # fmt: skip
    prefix = "#include <a/api.h>\n#include <b/api.h>\n#define VALUE (A * 10 + B)"
    assert value(prefix, include_dirs=[root]) == 12


def test_has_include_found_and_not_found(write, value):
    root = write({"inc/there.h": ""})
    prefix = "#if __has_include({0})\n#define VALUE 1\n#else\n#define VALUE 2\n#endif"
    assert value(prefix.format("<there.h>"), include_dirs=[root / "inc"]) == 1
    assert value(prefix.format('"there.h"'), include_dirs=[root / "inc"]) == 1
    assert value(prefix.format("<gone.h>"), include_dirs=[root / "inc"]) == 2


def test_has_include_of_a_macro(write, value):
    root = write({"inc/there.h": "#define VALUE 1\n"})
    prefix = "#define NAME <there.h>\n#if __has_include(NAME)\n#include NAME\n#else\n#define VALUE 2\n#endif"
    assert value(prefix, include_dirs=[root / "inc"]) == 1


@pytest.mark.parametrize("macro", ["HAS(x) __has_include(x)", "HAS __has_include"])
def test_has_include_by_a_macro_of_any_name(write, value, compiles, macro):
    root = write({"inc/has.h": f"#define {macro}\n"})
    prefix = "#include <has.h>\n#if HAS(<late.h>)\n#include <late.h>\n#else\n#define VALUE 2\n#endif"
    assert value(prefix, include_dirs=[root / "inc"]) == 2
    write({"inc/late.h": "#define VALUE 3\n"})
    assert value(prefix, include_dirs=[root / "inc"]) == 3
    before = compiles()
    assert value(prefix, include_dirs=[root / "inc"]) == 3
    assert compiles() == before


def test_has_include_is_asked_for_each_file_on_its_own(write, value):
    """`a` has an option.h beside it and the source has none: one answer for both would be wrong for one of them."""
    root = write({
        "a/api.h": '#if __has_include("option.h")\n#include "option.h"\n#endif\n',
        "a/option.h": "#define OPTION 1\n",
    })  # fmt: skip
    prefix = '#include <a/api.h>\n#if __has_include("option.h")\n#define VALUE 99\n#else\n#define VALUE OPTION\n#endif'
    assert value(prefix, include_dirs=[root]) == 1


def test_an_include_that_is_missing_does_not_find_the_alias_of_a_probe(write, value):
    root = write({
        "a/api.h": '#define HAS_INCLUDE(x) __has_include(x)\n#if HAS_INCLUDE("option.h")\n#endif\n',
        "a/option.h": "#define VALUE 1\n",
    })  # fmt: skip
    with pytest.raises(jitload.CompileError, match=r'open source file "option\.h"'):
        value('#include <a/api.h>\n#include "option.h"', include_dirs=[root])


def test_has_include_that_comes_true_later_recompiles(write, value, compiles):
    root = write({"inc/other.h": ""})
    prefix = "#if __has_include(<late.h>)\n#include <late.h>\n#else\n#define VALUE 2\n#endif"
    assert value(prefix, include_dirs=[root / "inc"]) == 2
    before = compiles()
    assert value(prefix, include_dirs=[root / "inc"]) == 2
    assert compiles() == before
    write({"inc/late.h": "#define VALUE 3\n"})
    assert value(prefix, include_dirs=[root / "inc"]) == 3


def test_pragma_once_holds_for_a_header_by_two_paths_and_by_symlinks(write, value):
    root = write(
        {
            "inc/value.h": "#pragma once\nenum { ONCE = 61 };\n#define VALUE ONCE\n",
            "inc/sub/x.h": '#include "../value.h"\n',
        }
    )
    (root / "inc/link.h").symlink_to("value.h")
    (root / "linked").symlink_to("inc")
    prefix = "#include <value.h>\n#include <sub/x.h>\n#include <link.h>\n#include <linked/value.h>\n#include <sub/../value.h>"
    assert value(prefix, include_dirs=[root / "inc", root]) == 61


def test_a_header_that_newly_shadows_another_is_seen(write, value):
    root = write({"one/unrelated.h": "", "two/value.h": "#define VALUE 2\n"})
    dirs = [root / "one", root / "two"]
    assert value("#include <value.h>", include_dirs=dirs) == 2
    write({"one/value.h": "#define VALUE 1\n"})
    assert value("#include <value.h>", include_dirs=dirs) == 1


def test_a_header_in_a_new_directory_shadows(write, value):
    """The absence of a whole directory was noted, not that of the file."""
    root = write({"one/unrelated.h": "", "two/lib/value.h": "#define VALUE 2\n"})
    dirs = [root / "one", root / "two"]
    assert value("#include <lib/value.h>", include_dirs=dirs) == 2
    write({"one/lib/value.h": "#define VALUE 1\n"})
    assert value("#include <lib/value.h>", include_dirs=dirs) == 1


def test_a_deleted_header_is_a_compile_error_not_a_hit(write, value):
    root = write({"inc/value.h": "#define VALUE 2\n"})
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 2
    (root / "inc/value.h").unlink()
    with pytest.raises(jitload.CompileError, match=r"value\.h"):
        value("#include <value.h>", include_dirs=[root / "inc"])


@pytest.mark.parametrize("keep_times", [False, True], ids=["as edited", "with its old times"])
def test_an_edited_header_recompiles(write, value, keep_times):
    root = write({"inc/value.h": "#define VALUE 2\n"})
    header = root / "inc/value.h"
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 2
    times = header.stat()
    header.write_text("#define VALUE 3\n")  # as many bytes as before
    if keep_times:
        os.utime(header, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 3


def test_an_edit_and_its_reversal_find_both_entries_again(write, value, compiles):
    root = write({"inc/value.h": "#define VALUE 2\n"})
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 2
    write({"inc/value.h": "#define VALUE 3\n"})
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 3
    before = compiles()
    write({"inc/value.h": "#define VALUE 2\n"})
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 2
    assert compiles() == before


def test_windows_line_ends(write, file_value):
    write({"value.h": b'#include "deeper.h"\r\n', "deeper.h": b"#define \\\r\n VALUE 71\r\n"})
    assert file_value("k.cu", '#include "value.h"\r') == 71


NOT_INCLUDES = {
    "block comment": '/*\n#include "value.h"\n*/\n#define VALUE 5',
    "line comment": '// #include "value.h"\n#define VALUE 5',
    "raw string behind a prefix": 'static const char text[] = u8R"(\n#include "value.h"\n)";\n#define VALUE (sizeof text - 16)',
    "raw string": 'static const char text[] = R"x(\n#include "value.h"\n)x";\n#define VALUE (sizeof text - 16)',
    "spliced string": 'static const char text[] = "\\\n#include <value.h>";\n#define VALUE (sizeof text - 14)',
    "question in a string": 'static const char text[] = "__has_include(<value.h>)";\n#define VALUE (sizeof text - 20)',
    "dead branch": '#if 0\n#include "value.h"\n#endif\n#define VALUE 5',
}


@pytest.mark.parametrize("prefix", NOT_INCLUDES.values(), ids=NOT_INCLUDES.keys())
def test_text_that_only_looks_like_an_include_is_left_alone(write, file_value, prefix):
    """The strings must keep their length even though a header of that name exists: 21 - 16, 19 - 14 and 25 - 20 are 5."""
    root = write({"value.h": "#define VALUE 6\n"})
    assert file_value("k.cu", prefix, include_dirs=[root]) == 5


@pytest.mark.parametrize(
    "opener",
    [
        '// R"(',
        '/* R"( */',
        'static const char q[] = "R\\"(";',
        "static const char c = 'R'; // \"(",
        '#define BAR\nstatic const char q[] = BAR"(";',
        "enum { N = 1'0, M = 2'0 };",
        "#if 0\ndon't\n#endif",
        "// \\ ",
    ],
)
def test_a_raw_string_that_is_none_hides_no_include(write, value, opener):
    root = write({
        "a/api.h": f'{opener}\n#include "part.h"\nstatic const char close[] = ")\\"";\nenum {{ A = PART }};\n#undef PART\n#undef close\n',
        "a/part.h": "#define PART 1\n",
        "b/api.h": '#include "part.h"\nenum { B = PART };\n',
        "b/part.h": "#define PART 2\n",
    })  # fmt: skip
    assert value("#include <a/api.h>\n#include <b/api.h>\n#define VALUE (A * 10 + B)", include_dirs=[root]) == 12


def test_a_missing_header_names_it_and_where_it_was_looked_for(write, compile_ptx):
    root = write({"k.cu": '#include "nowhere/to/be.h"\n', "inc/other.h": ""})
    with pytest.raises(jitload.CompileError) as caught:
        compile_ptx(root / "k.cu", include_dirs=[root / "inc"])
    message = str(caught.value)
    assert "'nowhere/to/be.h'" in message
    assert str(root / "inc") in message
    assert "/jitload/" not in message
    assert (caught.value.file, caught.value.line) == (str(root / "k.cu"), 1)


def test_a_missing_header_of_a_header_names_the_header(write, compile_ptx):
    root = write({"k.cu": '#include "a.h"\n', "a.h": "\n\n#include <nowhere.h>\n"})
    with pytest.raises(jitload.CompileError) as caught:
        compile_ptx(root / "k.cu")
    assert (caught.value.file, caught.value.line) == (str(root / "a.h"), 3)


def test_cycles_with_guards_end(write, value):
    root = write({
        "a.h": '#ifndef A\n#define A\n#include "b.h"\n#endif\n',
        "b.h": '#ifndef B\n#define B\n#include "a.h"\n#define VALUE 81\n#endif\n',
    })  # fmt: skip
    assert value("#include <a.h>", include_dirs=[root]) == 81


def test_a_source_that_includes_itself(file_value):
    prefix = '#ifndef TWICE\n#define TWICE\n#include "k.cu"\n#define VALUE 0\n#else\n#define VALUE 82\n#endif\n#if 0'
    with pytest.raises(jitload.CompileError):
        file_value("k.cu", prefix)  # unterminated on purpose: the text is found, twice, and judged by NVRTC
    assert (
        file_value(
            "k.cu",
            '#ifndef TWICE\n#define TWICE 82\nnamespace again {\n#include "k.cu"\n}\n#undef k\n#define k other\n#else\n#define k inner\n#endif\n#define VALUE TWICE',
        )
        == 82
    )


def test_a_directory_named_like_a_header_is_none(write, value):
    root = write({"one/value.h/inside.txt": "", "two/value.h": "#define VALUE 83\n"})
    assert value("#include <value.h>", include_dirs=[root / "one", root / "two"]) == 83


def test_an_include_dir_that_is_missing_or_a_file_is_skipped(write, value):
    root = write({"file": "", "inc/value.h": "#define VALUE 84\n"})
    assert value("#include <value.h>", include_dirs=[root / "gone", root / "file", root / "inc"]) == 84


def test_a_header_that_is_not_utf8(write, value, compiles):
    root = write({"inc/value.h": b"// \xe9\xff\n#define VALUE 85\n"})
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 85
    before = compiles()
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 85
    assert compiles() == before


def test_a_header_with_a_nul_is_read_to_its_end(write, value):
    root = write({"inc/value.h": b"// \0\n#define VALUE 87\n"})
    assert value("#include <value.h>", include_dirs=[root / "inc"]) == 87


BOM = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_read_over(write, compile_ptx, value_of, compiles):
    """What editors write before UTF-8 "with signature": no text, in a source, a header on the disk or one in memory."""
    root = write({
        "k.cu": BOM + b'#include "value.h"\n#include <more.h>\nextern "C" __global__ void k(int *out) { *out = VALUE + MORE; }\n',
        "value.h": BOM + b"#pragma once\n#define VALUE 80\n",
    })  # fmt: skip
    marked = compile_ptx(root / "k.cu", headers={"more.h": "\ufeff#define MORE 8\n"})
    assert value_of(marked) == 88
    before = compiles()
    assert compile_ptx(root / "k.cu", headers={"more.h": "\ufeff#define MORE 8\n"}) == marked
    write({"k.cu": (root / "k.cu").read_bytes()[3:], "value.h": (root / "value.h").read_bytes()[3:]})
    assert compile_ptx(root / "k.cu", headers={"more.h": "#define MORE 8\n"}).key == marked.key
    assert compiles() == before


def test_a_byte_order_mark_moves_no_line(write, compile_ptx):
    root = write({"k.cu": BOM + b"\nint x = ;\n"})
    with pytest.raises(jitload.CompileError) as caught:
        compile_ptx(root / "k.cu")
    assert (caught.value.file, caught.value.line) == (str(root / "k.cu"), 2)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_header_of_wide_characters_is_named_where_it_is_opened(write, compile_ptx, value, encoding):
    root = write({"inc/wide.h": "#pragma once\n#define VALUE 1\n".encode(encoding)})
    with pytest.raises(
        jitload.CompileError, match=r"wide\.h is UTF-16, which no CUDA compiler reads: save it as UTF-8"
    ):
        compile_ptx("#include <wide.h>\n", include_dirs=[root / "inc"])
    unopened = "#ifdef _WIN32\n#include <wide.h>\n#endif\n#define VALUE 2"
    assert value(unopened, include_dirs=[root / "inc"]) == 2


def test_header_and_source_names_that_are_not_utf8(tmp_path, compile_ptx, value_of, compiles):
    """A name is only bytes to Linux; one that JSON cannot spell must not fail a compile, nor the next hit."""
    source = os.path.join(os.fsencode(tmp_path), b"k\xff.cu")
    with open(os.path.join(os.fsencode(tmp_path), b"v\xe9.h"), "wb") as file:
        file.write(b"#define VALUE 86\n")
    with open(source, "wb") as file:
        file.write(b'#include "v\xe9.h"\nextern "C" __global__ void k(int *out) { *out = VALUE; }\n')
    path = Path(os.fsdecode(source))
    assert value_of(compile_ptx(path)) == 86
    before = compiles()
    assert value_of(compile_ptx(path)) == 86
    assert compiles() == before


ABSOLUTE = {
    "literal": '#include "{0}"',
    "angle": "#include <{0}>",
    "macro": '#define NAME "{0}"\n#include NAME',
    "spliced macro": '#define NAME \\\n "{0}"\n#include NAME',
    "digraph": '%:include "{0}"',
    "commented": '# /**/ include "{0}"',
    "spliced word": '#inc\\\nlude "{0}"',
    "in arguments": '#define SAME(x) x\n#include SAME("{0}")',
}


@pytest.mark.parametrize("prefix", ABSOLUTE.values(), ids=ABSOLUTE.keys())
def test_an_absolute_include_is_part_of_the_key(write, value, prefix):
    """NVRTC opens absolute paths by itself; a stale kernel after an edit is what that would cost."""
    root = write({"value.h": "#define VALUE 91\n"})
    text = prefix.format(root / "value.h")
    assert value(text) == 91
    write({"value.h": "#define VALUE 92\n"})
    assert value(text) == 92


def test_an_absolute_include_from_the_definitions_is_part_of_the_key(write, value):
    root = write({"value.h": "#define VALUE 91\n"})
    defines = {"NAME": f'"{root}/value.h"'}
    assert value("#include NAME", defines=defines) == 91
    write({"value.h": "#define VALUE 92\n"})
    assert value("#include NAME", defines=defines) == 92


@pytest.mark.parametrize("by", ["source", "definition"])
def test_an_absolute_path_that_macros_put_together_is_never_cached(write, value, caplog, by):
    root = write({"value.h": "#define VALUE 93\n"})
    prefix = "#define Q(x) #x\n#define S(x) Q(x)\n"
    if by == "source":
        prefix += f"#define ROOT {root}\n"
    defines = {"ROOT": str(root)} if by == "definition" else {}
    assert value(prefix + "#include S(ROOT/value.h)", defines=defines) == 93
    assert "compiled anew each time" in caplog.text
    write({"value.h": "#define VALUE 94\n"})
    assert value(prefix + "#include S(ROOT/value.h)", defines=defines) == 94


def test_include_dirs_in_the_options(write, value):
    root = write({"inc/value.h": "#define VALUE 95\n"})
    for options in (
        [f"-I{root}/inc"],
        ["-I", f"{root}/inc"],
        [f"-I {root}/inc"],
        [f" -I{root}/inc"],
        [f"-I={root}/inc"],
        [f"--include-path={root}/inc"],
    ):
        assert value("#include <value.h>", options=options) == 95
    write({"inc/value.h": "#define VALUE 96\n"})
    assert value("#include <value.h>", options=[f" -I{root}/inc"]) == 96


def test_pre_include(write, value, file_value):
    root = write(
        {"inc/value.h": '#include "deeper.h"\n', "inc/deeper.h": "#define VALUE 97\n", "value.h": "#define VALUE 98\n"}
    )
    assert value("", options=["--pre-include=value.h"], include_dirs=[root / "inc"]) == 97
    assert value("", options=["-include", "value.h"], headers={"value.h": "#define VALUE 99\n"}) == 99
    assert file_value("k.cu", "", options=["-include=value.h"]) == 98
    write({"inc/deeper.h": "#define VALUE 197\n"})
    assert value("", options=["--pre-include=value.h"], include_dirs=[root / "inc"]) == 197


@pytest.mark.parametrize("word", ["__DATE__", "__TIME__"])
@pytest.mark.parametrize("place", ["source", "header", "definition"])
def test_the_clock_is_compiled_but_never_cached_and_said_once(write, compile_ptx, compiles, caplog, word, place):
    root = write({"inc/clock.h": f"#define STAMP {word}\n"})
    line = {"source": f"#define STAMP {word}", "header": "#include <clock.h>", "definition": ""}[place]
    source = f'{line}\n__device__ const char stamp[] = STAMP;\nextern "C" __global__ void k(char *out) {{ *out = stamp[*out]; }}\n'
    defines = {"STAMP": word} if place == "definition" else {}
    before = compiles()
    for _ in range(3):
        assert "k" in compile_ptx(source, include_dirs=[root / "inc"], defines=defines).kernels
    assert compiles() == before + 3
    assert [word in record.getMessage() for record in caplog.records] == [True]


def test_a_clock_in_a_comment_or_a_string_is_none(write, compile_ptx, compiles):
    root = write({"inc/said.h": "/* not __TIME__ */\n"})
    source = '#include <said.h>\n// not __DATE__\n__device__ const char said[] = "__DATE__";\n' + KERNEL
    before = compiles()
    for _ in range(2):
        compile_ptx(source, include_dirs=[root / "inc"], defines={"VALUE": "said[1]"})
    assert compiles() == before + 1


def test_timestamp_is_no_less_a_clock():
    """NVRTC 12.9 and 13.5 do not define it; one that does must not surprise anybody."""
    request = CompileRequest("int x;\nconst char *stamp = __TIMESTAMP__;\n", kind="ptx", arch="compute_75")
    assert unsharable(Closure(request, ())) == "__TIMESTAMP__ in kernel.cu, line 2"


@pytest.mark.parametrize(
    ("header", "use"),
    [
        ("cuda_fp16.h", "__float2half(VALUE_F)"),
        ("cooperative_groups.h", "(float)cooperative_groups::this_thread_block().size()"),
        ("mma.h", "(float)sizeof(nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float>)"),
        ("cuda/std/type_traits", "cuda::std::is_same_v<int, int> ? 1.f : 0.f"),
    ],
)
def test_toolkit_headers(compile_ptx, needs_toolkit_header, header, use):
    needs_toolkit_header(header)
    source = f'#include <{header}>\n#define VALUE_F 1.f\nextern "C" __global__ void k(float *out) {{ *out = {use}; }}\n'
    assert "k" in compile_ptx(source).kernels


def test_cub_is_the_same_as_with_include_paths_and_is_kept(compile_ptx, needs_toolkit_header, compiles, cache):
    needs_toolkit_header("cub/block/block_reduce.cuh")
    source = """#include <cub/block/block_reduce.cuh>
extern "C" __global__ void k(int *data, int *out) {
  using Reduce = cub::BlockReduce<int, 128>;
  __shared__ typename Reduce::TempStorage storage;
  int sum = Reduce(storage).Sum(data[threadIdx.x]);
  if (threadIdx.x == 0) *out = sum;
}
"""
    artifact = compile_ptx(source, kind="cubin", arch="sm_80")
    assert artifact.data == _raw_cubin(source, [path for _, path in toolkit_roots()])
    # The scan alone knows the whole closure, also what macros name: NVRTC had nothing to ask for, and ran once.
    request = CompileRequest(source, kind="cubin", arch="sm_80")
    assert artifact.key == artifact_key(request, Closure(request, toolkit_roots()).digest(), artifact.toolchain)
    before = compiles()
    again = compile_ptx(source, kind="cubin", arch="sm_80", cache=jitload.Cache(cache.directory))
    assert (again.data, compiles()) == (artifact.data, before)


def _raw_cubin(source, include_dirs):
    """What NVRTC alone gives for `-I` and files on the disk."""
    from cuda.bindings import nvrtc

    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    options = [b"--gpu-architecture=sm_80", *(f"-I{path}".encode() for path in include_dirs)]
    assert nvrtc.nvrtcCompileProgram(program, len(options), options)[0] == 0
    _, size = nvrtc.nvrtcGetCUBINSize(program)
    data = b"\0" * size
    nvrtc.nvrtcGetCUBIN(program, data)
    nvrtc.nvrtcDestroyProgram(program)
    return data


@pytest.mark.parametrize("kind", ["cubin", "ptx"])
def test_line_info_builds_are_byte_identical_from_two_directories(write, compile_ptx, kind, cache, tmp_path):
    files = {"k.cu": '#include "value.h"\n#include <far.h>\nextern "C" __global__ void k(int *out) { *out = f() + far(); }\n',
             "value.h": "__device__ inline int f() { return clock(); }\n", "inc/far.h": "__device__ inline int far() { return clock(); }\n"}  # fmt: skip
    images = []
    for place in ("first", "second/deeper"):
        root = write({f"{place}/{name}": text for name, text in files.items()}) / place
        artifact = jitload.compile(root / "k.cu", kind=kind, arch="sm_80" if kind == "cubin" else "compute_80",
                                   options=["-lineinfo"], include_dirs=[root / "inc"], cache=jitload.Cache(None))  # fmt: skip
        assert str(tmp_path).encode() not in artifact.data
        images.append((artifact.key, artifact.data))
    assert images[0] == images[1]


def test_a_moved_tree_hits(write, compile_ptx, compiles):
    root = write(
        {
            "one/k.cu": '#include "value.h"\nextern "C" __global__ void k(int *out) { *out = VALUE; }\n',
            "one/value.h": "#define VALUE 1\n",
        }
    )
    compile_ptx(root / "one/k.cu")
    shutil.move(root / "one", root / "two")
    before = compiles()
    compile_ptx(root / "two/k.cu")
    assert compiles() == before


TRACE = """
import ctypes, sys
from pathlib import Path
from jitload.compiler import nvrtc, toolkit
from jitload.headers.closure import Closure
from jitload.source.request import CompileRequest
from jitload.values import Kind
request = CompileRequest(Path(sys.argv[1]), kind="ptx", arch="compute_75", include_dirs=[sys.argv[2]])
source, headers, _ = Closure(request, toolkit.toolkit_roots()).program()
nvrtc.compile_program(nvrtc.Run(source, "/jitload/source/k.cu", headers, ("-Xcudafe=--trace_includes",), Kind.PTX, "compute_75"))
ctypes.CDLL(None).fflush(None)
"""


def test_nvrtc_opens_nothing_but_what_was_hashed(write):
    """NVRTC's own trace of the files that it opens shows virtual names only."""
    root = write({
        "k.cu": '#include "value.h"\n#include <far.h>\n#include <cuda_fp16.h>\nextern "C" __global__ void k(int *out) { *out = VALUE + FAR; }\n',
        "value.h": "#define VALUE 1\n", "inc/far.h": "#define FAR 2\n",
    })  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-c", TRACE, root / "k.cu", root / "inc"], capture_output=True, text=True, check=True
    )
    opened = [line.strip() for line in (ran.stdout + ran.stderr).splitlines()]
    assert "/jitload/source/value.h" in opened
    assert "/jitload/include/0/far.h" in opened
    assert [name for name in opened if name.startswith("/") and not name.startswith("/jitload/")] == []


def test_a_toolkit_that_gains_a_header_is_noticed(tmp_path):
    """`__has_include(<curand_kernel.h>)` was false; then somebody installs that package."""
    from jitload.headers.record import check_variant, variant_of
    from jitload.values import Toolchain

    roots = (("toolkit/cuda", str(tmp_path / "include")),)
    (tmp_path / "include").mkdir()
    request = CompileRequest("#if __has_include(<extra.h>)\n#endif\n", kind="ptx", arch="compute_75")
    variant = variant_of(Closure(request, roots), Toolchain("nvrtc", "12.9.86", "0" * 64))
    assert check_variant(variant, request, roots) is None
    (tmp_path / "include/extra.h").write_text("")
    assert "extra.h appeared" in check_variant(variant, request, roots)
