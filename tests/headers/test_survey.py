"""What is known of the headers of a compile before it, and what only the compile could ask for."""

from __future__ import annotations

from jitload.headers.survey import Survey
from jitload.source.request import CompileRequest
from jitload.values import Toolchain

COMPILER = Toolchain("nvrtc", "12.9.86", "0" * 64)
TAIL = '\nextern "C" __global__ void k(int *x) { *x = VALUE; }'


def survey_of(source, **headers):
    texts = {f"{name}.h": text for name, text in headers.items()}
    return Survey(CompileRequest(source + TAIL, kind="ptx", arch="compute_75", headers=texts), (), COMPILER)


def test_headers_that_are_foreseen_are_in_the_variant_from_the_beginning():
    survey = survey_of('#include "value.h"', value="#define VALUE 1")
    before = survey.variant
    survey.renew()
    assert [name for _, name, *_ in before.files] == ["value.h"]
    assert survey.variant == before
    assert survey.unsharable is None


def test_what_a_macro_names_is_in_the_variant_after_the_compile_that_asked_for_it():
    survey = survey_of("#define JOIN(a) <a.h>\n#include JOIN(value)", value="#define VALUE __LINE__")
    before = survey.variant
    if "value.h" not in [name for _, name, *_ in before.files]:
        assert survey.closure.add_missing("value.h", survey.closure.main.name)
    survey.renew()
    assert [name for _, name, *_ in survey.variant.files] == ["value.h"]
    assert survey.variant.closure == survey.closure.digest()


def test_a_reason_not_to_keep_the_output_stays_one():
    survey = survey_of("", value="")
    assert survey.unsharable is None
    late = survey_of('#include "value.h"', value="#define VALUE sizeof(__TIME__)")
    assert "__TIME__" in late.unsharable
    late.renew()
    assert "__TIME__" in late.unsharable
