"""Variables on a GPU: copies in the order of a stream, on the device that the variable is on."""

import pytest

PROGRAM = r"""
SOURCE = '''
namespace n { __constant__ float coeff[4]; __device__ int counter = 3; }
extern "C" __global__ void k(float *out)
{
    n::counter++;
    for (int i = 0; i < 4; ++i) out[i] = n::coeff[i];
}
'''
"""


@pytest.mark.parametrize("kind", ["ptx", "cubin", "fatbin", "ltoir"])
def test_by_its_name_in_cpp_in_every_kind(on_gpu, kind):
    on_gpu(
        PROGRAM
        + f"""
module = jitload.compile(SOURCE, kind={kind!r}, cache=jitload.Cache()).load()
coeff, counter = module.get_global("n::coeff"), module.get_global("n::counter")
assert (coeff.name, coeff.nbytes, counter.nbytes) == ("_ZN1n5coeffE", 16, 4)
here, there, out, value = stream(), stream(), np.zeros(4, "f4"), np.zeros(1, "i4")
for wanted in (4, 5):
    coeff.copy_from(np.arange(4, dtype="f4") + wanted, stream=there)
    module["k"][1, 1, here](out)
    assert out.tolist() == [wanted + i for i in range(4)]
    counter.copy_to(value, stream=here)
    assert value[0] == wanted
x = Array([9, 8, 7, 6])
coeff.copy_from(x)
module["k"][1, 1](out)
assert out.tolist() == [9, 8, 7, 6]
y = Array([0, 0, 0, 0])
coeff.copy_to(y)
assert y.now() == [9, 8, 7, 6]
raises(SymbolNotFoundError, "no variable 'n::nothing'", module.get_global, "n::nothing")
"""
    )


def test_in_a_capture_it_is_refused_before_it_breaks_it(on_gpu):
    on_gpu(
        PROGRAM
        + """
module = jitload.compile(SOURCE, kind="ptx", cache=jitload.Cache()).load()
coeff, here = module.get_global("n::coeff"), stream()
ok(cu.cuStreamBeginCapture(here, cu.CUstreamCaptureMode(0)))
raises(LaunchError, "cannot be copied on stream", coeff.copy_from, np.zeros(4, "f4"), stream=here)
ok(cu.cuStreamEndCapture(here))
"""
    )


def test_one_for_each_device(on_gpu):
    on_gpu(
        PROGRAM
        + """
use(0)
module = jitload.compile(SOURCE, kind="ptx", cache=jitload.Cache()).load()
first, here = module.get_global("n::counter"), stream()
use(1)
second, x = module.get_global("n::counter"), Array([1.0])
first.type = ""  # so that the array is no matter of its elements
assert first.address != second.address
first.copy_from(np.array([10], "i4"))
second.copy_from(np.array([20], "i4"))
value = np.zeros(1, "i4")
first.copy_to(value)
assert value[0] == 10 and int(ok(cu.cuCtxGetDevice())) == 1
raises(ArgumentError, "the array lies on device 1, and the variable on device 0", first.copy_from, x)
raises(ArgumentError, "is of another device than the variable", second.copy_from, np.zeros(1, "i4"), stream=here)
""",
        capabilities=[[9, 0], [9, 0]],
    )


def test_of_a_jit_kernel_before_and_after_the_first_launch(on_gpu):
    on_gpu(
        PROGRAM
        + """
@jitload.jit_kernel(source=SOURCE, cache=jitload.Cache())
def k(out): ...

out = np.zeros(4, "f4")
for wanted in (1, 6):
    k.constant("n::coeff", np.arange(4, dtype="f4") + wanted)
    k[1, 1](out)
    assert out.tolist() == [wanted + i for i in range(4)]
assert k.module.get_global("n::counter").nbytes == 4
raises(ArgumentError, "has 16 bytes, and the array has 8", k.constant, "n::coeff", np.zeros(2, "f4"))
"""
    )
