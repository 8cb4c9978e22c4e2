"""What a kernel was allowed is never taken back, whatever name it goes by and whoever asks."""


def test_names_of_one_kernel_share_their_limits(on_gpu):
    on_gpu("""
from jitload.values import KernelInfo
module = load_module_from_bytes("ptx", ptx())
params = module["room"].info.params
module.attach_kernels([KernelInfo("big", "room", params), KernelInfo("alias", "room", params)])
big = module["big"].bind(grid=1, block=1, shared_bytes=100_000)
big(0)
module["alias"][1, 1, 0, 60_000](0)
big(0)
module["room"][1, 1, 0, 90_000](0)
big(0)
ok(cu.cuCtxSynchronize())
""")


def test_static_memory_counts(on_gpu):
    on_gpu("""
kernel = load_module_from_bytes("ptx", ptx())["room"]
kernel[1, 1, 0, 48 * 1024 - 1024](0)
assert calls("cuKernelSetAttribute") == 0
kernel[1, 1, 0, 48 * 1024 - 1023](0)
assert calls("cuKernelSetAttribute") == 1
kernel[1, 1, 0, 226 * 1024](0)
raises(LaunchError, "'room' asks for 231425 bytes of dynamic shared memory and has 1024 static ones; sm_90 allows 232448",
       lambda: kernel[1, 1, 0, 226 * 1024 + 1](0))
""")


def test_threads_only_raise_it(on_gpu):
    on_gpu("""
kernel = load_module_from_bytes("ptx", ptx())["room"]
errors = []
def work(first):
    for step in range(40):
        try:
            kernel.bind(grid=1, block=1, shared_bytes=50_000 + 4000 * ((first + 7 * step) % 40))(0)
        except Exception as error:
            errors.append(error)
threads = [threading.Thread(target=work, args=(number * 10,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert errors == []
""")


def test_what_another_user_of_the_kernel_allowed_stays(on_gpu):
    on_gpu("""
kernel = load_module_from_bytes("ptx", ptx())["room"]
number = cu.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
ok(cu.cuKernelSetAttribute(number, 200_000, kernel._function._kernel, 0))
kernel[1, 1, 0, 60_000](0)
assert ok(cu.cuKernelGetAttribute(number, kernel._function._kernel, 0)) == 200_000
""")
