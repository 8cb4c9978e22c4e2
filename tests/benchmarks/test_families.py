"""NVIDIA's assembler takes the kernels that ask a card for its instructions: a card must not be the first to read them."""

import pytest

from tests.cpu.families import GROUPS, decide

#: The oldest that has an instruction: of every GPU since Hopper, of Hopper alone, of Blackwell's two kinds.
ARCHS = ("sm_90", "sm_90a", "sm_100a", "sm_120a")
#: No GPU that CUDA 12 compiles for has it, and the executor does.
OF_NO_GPU = {"mad.f32 %f1, %f2, %f3, %f4"}
#: New in PTX 9.1, which the assembler of CUDA 12 does not read.
TOO_NEW = {"cvt.rn.satfinite.e2m1x2.bf16x2 %b1, %r1"}


@pytest.mark.slow(keep=4)
@pytest.mark.parametrize("group", GROUPS)
def test_the_assembler_takes_the_kernel_of_every_line(benchmarks, group):
    from gpu.families import LEFT_OUT, body_of
    from gpu.families.around import HEADER

    from jitload.cuda.linker import link_image
    from jitload.errors import LoadError

    refused = {}
    for text in GROUPS[group]:
        if text in OF_NO_GPU | TOO_NEW or text.startswith(tuple(LEFT_OUT)) or decide(text):
            continue
        for arch in ARCHS:
            try:
                link_image("ptx", (HEADER.format(version="8.8", target=arch) + body_of(text)).encode(), arch)
            except LoadError as error:
                refused[text] = str(error)[-300:]
            else:
                refused.pop(text, None)
                break
    assert refused == {}
