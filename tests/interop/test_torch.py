"""Kernels as operators of torch: schema, fake tensors, gradients, torch.compile; and plain launches within it."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import jitload

SOURCE = """
template <typename T> __global__ void cube(T a, const T *x, T *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] * x[i] * x[i];
}
template <typename T> __global__ void cube_back(const T *g, T a, const T *x, int n, T *gx)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) gx[i] = g[i] * 3 * a * x[i] * x[i];
}
__global__ void polar(const float *x, float *radius, float *angle, bool degrees, int n)
{
    int i = threadIdx.x;
    if (i >= n) return;
    radius[i] = hypotf(x[2 * i], x[2 * i + 1]);
    angle[i] = atan2f(x[2 * i + 1], x[2 * i]) * (degrees ? 57.29578f : 1.0f);
}
struct Box { int n; };
__global__ void boxed(Box box, float *x) {}
"""


@jitload.jit_kernel(source=SOURCE)
def cube(a, x, y, n, *, T="double"): ...


@jitload.jit_kernel(source=SOURCE)
def cube_back(g, a, x, n, gx, *, T="double"): ...


@jitload.jit_kernel(source=SOURCE, entry="polar")
def polar(x, radius, angle, degrees=True, n=0): ...


@jitload.jit_kernel(source=SOURCE, entry="boxed")
def boxed(box, x): ...


def blocks(*arguments):
    return -(-next(value for value in reversed(arguments) if type(value) is int) // 32)


@pytest.fixture
def torch(framework, monkeypatch):
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    return framework("torch")


@pytest.fixture
def custom_op(torch):
    from jitload.interop.torch import custom_op

    return custom_op


@pytest.fixture
def backward(custom_op):
    return custom_op(cube_back, "jitload_test::cube_back", grid=blocks, block=32, outputs={"gx": "x"})


@pytest.fixture
def operator(custom_op, backward):
    """a * x**3, with its gradient: both kernels."""
    return custom_op(
        cube,
        "jitload_test::cube",
        grid=blocks,
        block=32,
        outputs={"y": "x"},
        backward=lambda g, *rest: backward(g, *rest),
    )


@pytest.fixture
def in_place(custom_op):
    return custom_op(cube, "jitload_test::cube_", grid=blocks, block=32)


def test_the_schema_is_that_of_the_kernel(operator, in_place):
    assert str(operator._opoverload._schema) == "jitload_test::cube(float a, Tensor x, SymInt n) -> Tensor"
    assert str(in_place._opoverload._schema) == "jitload_test::cube_(float a, Tensor x, Tensor(a2!) y, SymInt n) -> ()"


def test_an_operator_keeps_the_rules_of_torch(torch, operator, in_place):
    x = torch.randn(5, 7, dtype=torch.float64)
    torch.library.opcheck(operator, (2.0, x, 35))
    torch.library.opcheck(operator, (2.0, x.clone().requires_grad_(), 35))
    torch.library.opcheck(in_place, (2.0, x, torch.zeros_like(x), 35))


def test_the_gradient_of_a_kernel_is_a_kernel(torch, operator):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: operator(2.0, x, 12), (x,))
    operator(2.0, x, 12).sum().backward()  # of an expanded one, which has no memory for all its elements
    assert torch.allclose(x.grad, 6 * x.detach() ** 2)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_it_is_one_graph_with_what_is_around_it(torch, operator, in_place, backend):
    def around(x):
        y = torch.empty_like(x)
        in_place(3.0, x.sin(), y, x.numel())
        return operator(2.0, x.sin(), x.numel()).cos() + y

    torch.compiler.reset()
    compiled = torch.compile(around, backend=backend, fullgraph=True)
    for n in (4, 7, 9):
        x = torch.randn(n, 3, dtype=torch.float64)
        assert torch.allclose(compiled(x), around(x))


def test_autograd_goes_through_what_is_compiled(torch, operator):
    torch.compiler.reset()
    compiled = torch.compile(lambda x: operator(2.0, x.sin(), x.numel()), backend="aot_eager", fullgraph=True)
    x = torch.randn(6, dtype=torch.float64, requires_grad=True)
    compiled(x).sum().backward()
    assert torch.allclose(x.grad, 6 * x.detach().sin() ** 2 * x.detach().cos())


def test_several_outputs_defaults_and_outputs_of_another_shape(torch, custom_op):
    def half(x, degrees, n):
        return x.new_empty(x.shape[0] // 2)

    split = custom_op(
        polar, "jitload_test::polar", grid=1, block=32, outputs={"angle": half, "radius": half}, backward=None
    )
    assert str(split._opoverload._schema) == (
        "jitload_test::polar(Tensor x, bool degrees=True, SymInt n=0) -> (Tensor, Tensor)"
    )
    angle, radius = split(torch.tensor([3.0, 4.0, 0.0, 2.0]), True, 2)
    assert torch.allclose(radius, torch.tensor([5.0, 2.0]))
    assert torch.allclose(angle, torch.tensor([53.1301, 90.0]))
    assert split(torch.zeros(0))[0].shape == (0,)
    torch.library.opcheck(split, (torch.randn(8), False, 4))


def test_saved_outputs_and_gradients_that_are_none(torch, custom_op):
    seen = []

    def backward(gradient, y, x):
        seen.append((y, x))
        return 3 * gradient * y / x

    op = custom_op(
        cube, "jitload_test::saves", grid=blocks, block=32, outputs={"y": "x"}, backward=backward, saves=["y", "x"]
    )
    x = torch.ones(4, dtype=torch.float64, requires_grad=True)
    op(2.0, x, 4).sum().backward()
    assert x.grad.tolist() == [6.0] * 4
    assert seen[0][0].tolist() == [2.0] * 4
    nothing = custom_op(
        cube, "jitload_test::nothing", grid=blocks, block=32, outputs={"y": "x"}, backward=lambda *_: (None, None)
    )
    with pytest.raises(jitload.errors.UsageValueError, match=r"a gradient for each of x, .* it gave 2"):
        nothing(2.0, x, 4).sum().backward()


def test_tensors_that_are_read_may_have_any_strides(torch, operator, in_place):
    x = torch.arange(12, dtype=torch.float64).reshape(3, 4)
    assert torch.equal(operator(1.0, x.T, 12), x.T**3)
    assert operator(1.0, x.T, 12).is_contiguous()
    y = torch.zeros(12, dtype=torch.float64)
    in_place(1.0, x.T, y, 12)
    assert torch.equal(y.reshape(4, 3), x.T**3)
    with pytest.raises(jitload.ArgumentError, match=r"'y' is written and must be contiguous.*\.contiguous\(\)"):
        in_place(1.0, x, torch.zeros(4, 3, dtype=torch.float64).T, 12)


def test_autograd_hears_of_a_change_in_place(torch, in_place):
    x = torch.ones(4, dtype=torch.float64, requires_grad=True)
    y = x.exp()
    before = y._version
    with torch.no_grad():
        in_place(1.0, x, y, 4)
    assert y._version > before
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_bfloat16_and_a_kernel_of_a_module(torch, custom_op):
    source = """
    #include <cuda_bf16.h>
    extern "C" __global__ void twice(const __nv_bfloat16 *x, __nv_bfloat16 *y) { y[threadIdx.x] = x[threadIdx.x] + x[threadIdx.x]; }
    """
    kernel = jitload.compile(source, kind="ptx", arch="compute_80").load()["twice"]
    op = custom_op(kernel, "jitload_test::twice", grid=1, block=4, outputs={"y": "x"})
    assert op(torch.ones(4, dtype=torch.bfloat16)).tolist() == [2.0] * 4
    with pytest.raises(jitload.ArgumentError, match=r"convert it with \.to\(torch\.bfloat16\)"):
        op(torch.ones(4))


@pytest.mark.parametrize(
    ("kernel", "more", "words"),
    [
        (cube, {"name": "cube"}, r'an operator is named "namespace::name", got \'cube\''),
        (cube, {"outputs": {"x": "x"}}, "outputs= names 'x', and the kernel writes 'y'"),
        (cube, {"outputs": {"y": "n"}}, r"the name of a tensor argument \(x\) or a function .* got 'n'"),
        (cube, {"backward": len}, "changes no argument, and this one writes 'y': name that in outputs="),
        (cube, {"outputs": {"y": "x"}, "backward": 3}, "backward is a function, got int"),
        (cube, {"outputs": {"y": "x"}, "backward": len, "saves": "x"}, r"saves is a list of a, n, x, y, got 'x'"),
        (cube, {"outputs": {"y": "x"}, "saves": ["x"]}, "there is no backward="),
        (cube, {"stream": 0}, "has no option stream; a launch takes carveout_percent, "),
        (boxed, {}, r"'box' is of type Box, and an operator takes tensors and numbers"),
        (print, {}, "takes a jit_kernel or a loaded kernel, got builtin"),
    ],
)
def test_what_makes_no_operator(custom_op, kernel, more, words):
    with pytest.raises(jitload.errors.UsageError, match=words):
        custom_op(kernel, more.pop("name", "jitload_test::wrong"), grid=1, block=1, **more)


def test_a_kernel_that_is_not_in_its_source_makes_no_operator(custom_op):
    @jitload.jit_kernel(source=SOURCE)
    def polarr(x): ...

    with pytest.raises(jitload.SymbolNotFoundError, match="has no kernel 'polarr': it has polar, boxed; name the func"):
        custom_op(polarr, "jitload_test::missing", grid=1, block=1)


def test_open_template_arguments_make_no_operator(custom_op):
    @jitload.jit_kernel(source=SOURCE, entry="cube<{T}>")
    def open_cube(a, x, y, n, *, T): ...

    with pytest.raises(jitload.ArgumentError, match="T"):
        custom_op(open_cube, "jitload_test::open", grid=1, block=1)


def test_the_blocks_of_the_page_on_frameworks_run(torch, framework, tmp_path):
    framework("jax")
    page = pathlib.Path(__file__).parents[2] / "docs" / "frameworks.md"
    program = tmp_path / "page.py"
    program.write_text("\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)))
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", str(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# -- plain launches under torch.compile --

LAUNCHES = """
import sys
import jitload

@jitload.jit_kernel(
    kind="ptx", arch="compute_75",
    source='extern "C" __global__ void twice(const float *x, float *y) { y[threadIdx.x] = 2 * x[threadIdx.x]; }'
)
def twice(x, y): ...

{early}
bound = twice.bind(grid=1, block=8)
kernel = twice.kernel()
{late}

FORMS = [
    lambda x, y: twice[1, 8](x, y),
    lambda x, y: twice(x, y, grid=1, block=8),
    lambda x, y: bound(x, y),
    lambda x, y: kernel[1, 8](x, y),
    lambda x, y: kernel(x, y, grid=lambda *_: 1, block=8),
    lambda x, y: kernel.bind(grid=1, block=8)(x, y),
]
for number, launch in enumerate(FORMS):
    def around(x):
        y = torch.empty_like(x)
        launch(x + 1, y)
        return y * 3

    compiled = torch.compile(around, backend="eager")
    x = torch.arange(8.0)
    for _ in range(3):
        assert compiled(x).tolist() == [6 * (i + 1) for i in range(8)], number
    torch.compiler.reset()
    try:
        torch.compile(around, backend="eager", fullgraph=True)(x)
    except Exception as error:
        # Not for a subscript of a C type, and such a launch, which are opaque by themselves.
        assert "custom_op" in str(error) or number in (2, 3, 5), (number, str(error))
    else:
        raise AssertionError(number)
print("all")
"""


def program(first):
    early, late = ("import torch", "") if first == "torch" else ("", "import torch")
    return LAUNCHES.replace("{early}", early).replace("{late}", late)


@pytest.mark.parametrize("first", ["torch", "launch"])
def test_a_plain_launch_breaks_the_graph_and_nothing_else(torch, cache_dir, first):
    """Whichever is there first; in a process of its own, whose first launch it is."""
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(cache_dir)}
    command = [sys.executable, "-W", "error", "-c", program(first)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr[-3000:]


def test_a_native_launch_breaks_the_graph_and_nothing_else(torch, on_driver, monkeypatch):
    monkeypatch.delenv("JITLOAD_DEVICE")
    assert "all\n" in on_driver(program("launch"), seconds=250)
