"""cuLaunchKernelEx: shapes, attributes, the layout of its structures, parameters."""


def test_shapes(driver):
    driver("""
kernel, memory = kernel_of(load()), ok(cu.cuMemAlloc(4))
for grid, block in (((0, 1, 1), (1, 1, 1)), ((1, 65536, 1), (1, 1, 1)), ((1, 1, 1), (1, 1, 65)), ((1, 1, 1), (0, 1, 1))):
    refused(1, "grid", fill(kernel, memory, grid=grid, block=block))
refused(1, "1056 threads per block", fill(kernel, memory, block=(33, 32, 1)))
ok(fill(kernel, memory, grid=(2, 3, 4), block=(4, 4, 4)))
assert model.launches == [("fill", (2, 3, 4), (4, 4, 4), 0, {}, 0)]
""")


ATTRIBUTES = """
kernel, memory = kernel_of(load()), ok(cu.cuMemAlloc(4))
attribute_id = cu.CUlaunchAttributeID
def attribute(number, **fields):
    made = cu.CUlaunchAttribute()
    made.id = attribute_id(number)
    value = cu.CUlaunchAttributeValue()
    for name, given in fields.items():
        setattr(value, name, given)
    made.value = value
    return made
def cluster(x, y=1, z=1):
    made = attribute(4)
    made.value.clusterDim.x, made.value.clusterDim.y, made.value.clusterDim.z = x, y, z
    return made
def with_(*attributes, **options):
    return fill(kernel, memory, attributes=attributes, **options)
"""


def test_attributes(driver):
    driver(
        ATTRIBUTES
        + """
ok(with_(attribute(2, cooperative=1), attribute(8, priority=-2)))
ok(with_(attribute(6, programmaticStreamSerializationAllowed=1)))
refused(1, "not known", with_(attribute(3)))
refused(1, "given twice", with_(attribute(2, cooperative=1), attribute(2, cooperative=1)))
refused(1, "launch attributes", with_(attribute(14, sharedMemCarveout=101)))
gives(720, with_(attribute(2, cooperative=1), grid=(1000, 1, 1)))
"""
    )


def test_clusters(driver):
    driver(
        ATTRIBUTES
        + """
ok(with_(cluster(2), grid=(4, 1, 1)))
refused(1, "no multiple", with_(cluster(3), grid=(4, 1, 1)))
refused(1, "cluster", with_(cluster(0)))
refused(912, "16 blocks", with_(cluster(16), grid=(16, 1, 1)))
allowed = cu.CUfunction_attribute.CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED
ok(cu.cuKernelSetAttribute(allowed, 1, kernel, 0))
ok(with_(cluster(16), grid=(16, 1, 1)))
refused(912, "32 blocks", with_(cluster(32), grid=(32, 1, 1)))
"""
    )


def test_attributes_of_later_gpus_and_drivers(driver):
    driver(
        ATTRIBUTES
        + """
refused(1, "cluster", with_(cluster(1)))
refused(801, "launch attributes", with_(attribute(6, programmaticStreamSerializationAllowed=1)))
refused(1, "came with CUDA 12.3", with_(attribute(14, sharedMemCarveout=50)))
""",
        capabilities=[[8, 0]],
        version=12020,
    )


def test_a_structure_of_another_layout(driver):
    """Sizes and offsets are those of <cuda.h>, so what is laid out otherwise means something else."""
    driver("""
library = ctypes.CDLL("libcuda.so.1")
kernel, memory = kernel_of(load()), ok(cu.cuMemAlloc(4))
def attribute_type(words):
    return type("Attribute", (ctypes.Structure,), {"_fields_": [
        ("id", ctypes.c_uint32), ("padding", ctypes.c_uint32), ("value", ctypes.c_uint32 * words)]})
def submit(attribute, *rows, pad=0):
    class Config(ctypes.Structure):
        _fields_ = [("dims", ctypes.c_uint32 * 6), ("shared", ctypes.c_uint32), *[("pad", ctypes.c_uint32)] * pad,
                    ("stream", ctypes.c_void_p), ("attributes", ctypes.c_void_p), ("count", ctypes.c_uint32)]
    array = (attribute * 8)(*rows)
    config = Config((1,) * 6, 0)
    config.attributes, config.count = ctypes.addressof(array), len(rows)
    values = (ctypes.c_uint64(int(memory)), ctypes.c_uint32(7))
    pointers = (ctypes.c_void_p * 2)(*[ctypes.addressof(value) for value in values])
    return (library.cuLaunchKernelEx(ctypes.byref(config), ctypes.c_void_p(int(kernel)), pointers, None),)
right, short = attribute_type(16), attribute_type(15)
ok(submit(right, (2, 0, (1,)), (8, 0, (0,))))
refused(1, "not laid out as in cuda.h", submit(short, (2, 0, (1,)), (8, 0, (0,))))
refused(1, "not laid out as in cuda.h", submit(right, (2, 1, (1,))))
refused(1, "not laid out as in cuda.h", submit(right, (2, 0, (1, 1))))
assert submit(right, pad=2)[0] != 0
model.forbidden.clear()
""")


def test_parameters(driver):
    driver("""
library = ctypes.CDLL("libcuda.so.1")
kernel = kernel_of(load())
shape = [ctypes.c_uint(1)] * 6 + [ctypes.c_uint(0)]
def submit(pointers, extra=None):
    return (library.cuLaunchKernel(ctypes.c_void_p(int(kernel)), *shape, None, pointers, extra),)
refused(1, "none at all", submit(None))
refused(1, "a NULL among the parameters", submit((ctypes.c_void_p * 2)(0, 0)))
refused(1, "by `extra`", submit(None, (ctypes.c_void_p * 1)(0)))
""")


def test_memory_of_another_device(driver):
    driver(
        """
memory = ok(cu.cuMemAlloc(4))
use(1)
ok(fill(kernel_of(load()), memory))
gives(700, cu.cuStreamSynchronize(0))
assert "memory of device 0" in model.devices[1].context.told
""",
        capabilities=[[9, 0], [9, 0]],
    )


def test_a_kernel_runs_where_its_stream_is(driver):
    driver(
        """
use(1)
stream, memory = ok(cu.cuStreamCreate(1)), ok(cu.cuMemAlloc(4))
assert int(ok(cu.cuStreamGetDevice(stream))) == 1
there = ok(cu.cuStreamGetCtx(stream))
use(0)
assert int(ok(cu.cuCtxGetCurrent())) != int(there)
ok(fill(kernel_of(load()), memory, stream=stream))
ok(cu.cuStreamSynchronize(stream))
assert word(memory) == 7 and model.launches[0][-1] == 1
""",
        capabilities=[[9, 0], [9, 0]],
    )
