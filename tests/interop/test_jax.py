"""Kernels as functions of JAX arrays: nothing that JAX has changes, and what is new is what the kernel wrote."""

import numpy as np
import pytest

import jitload

SOURCE = """
__global__ void axpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
__global__ void split(const float *x, int *whole, float *rest, int n = 4)
{
    int i = threadIdx.x;
    whole[i] = (int)x[i], rest[i] = x[i] - (int)x[i];
}
__global__ void modulo(long long whole, double part, const float *x, float *y)
{
    y[threadIdx.x] = part == 0 ? whole % 1000 : float((part - 1) * 1e12);
}
__global__ void narrow(const double *x, float *y)
{
    y[threadIdx.x] = x[threadIdx.x];
}
"""


@jitload.jit_kernel(source=SOURCE)
def axpy(a, x, y, n): ...


@jitload.jit_kernel(source=SOURCE)
def modulo(whole, part, x, y): ...


@jitload.jit_kernel(source=SOURCE)
def narrow(x, y): ...


@jitload.jit_kernel(source=SOURCE)
def split(x, whole, rest, n=4): ...


def blocks(a, x, y, n):
    return -(-int(n) // 32)


@pytest.fixture
def jax(framework, monkeypatch):
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    module = framework("jax")
    wide = module.config.jax_enable_x64
    module.config.update("jax_enable_x64", False)  # as it is by itself; the table of arguments turns it on
    yield module
    module.config.update("jax_enable_x64", wide)


@pytest.fixture
def jax_function(jax):
    from jitload.interop.jax import jax_function

    return jax_function


@pytest.fixture
def scale(jax_function):
    return jax_function(axpy, grid=blocks, block=32, outputs={"y": "x"})


@pytest.fixture
def add(jax_function):
    return jax_function(axpy, grid=blocks, block=32, outputs={"y": "y"})


def test_what_is_written_is_new(jax, scale, add):
    x, y = jax.numpy.arange(40.0), jax.numpy.ones(40)
    assert scale(2.0, x, 40).tolist() == [2.0 * i for i in range(40)]
    assert add(2.0, x, y, 40).tolist() == [1 + 2.0 * i for i in range(40)]
    assert y.tolist() == [1.0] * 40
    assert x.tolist() == list(range(40))


def test_within_jit_numbers_may_be_traced(jax, scale):
    x = jax.numpy.arange(40.0)
    expected = [1 + 2.0 * i for i in range(40)]
    assert jax.jit(lambda x: scale(2.0, x, x.size) + 1)(x).tolist() == expected
    assert jax.jit(lambda a, x, n: scale(a, x, n) + 1)(2.0, x, 40).tolist() == expected


def test_vmap_launches_for_each_of_the_batch(jax, scale):
    x = jax.numpy.arange(12.0).reshape(3, 4)
    assert jax.vmap(lambda x: scale(2.0, x, 4))(x).tolist() == (2 * x).tolist()


def test_a_gradient_of_its_own(jax, scale):
    @jax.custom_vjp
    def twice(x):
        return scale(2.0, x, x.size)

    twice.defvjp(lambda x: (twice(x), None), lambda _, gradient: (twice(gradient),))
    assert jax.grad(lambda x: twice(x).sum())(jax.numpy.ones(4)).tolist() == [2.0] * 4


def test_numbers_of_numpy_are_as_wide_as_they_are(jax, jax_function):
    """jax_enable_x64 is off, so that as arrays they would have 32 bits: 7 for the first."""
    rest = jax_function(modulo, grid=1, block=4, outputs={"y": "x"})
    x = jax.numpy.zeros(4)
    for number in (np.int64(2**40 + 7), np.array(2**40 + 7), 2**40 + 7):
        assert rest(number, np.float64(0), x).tolist() == [783.0] * 4
        assert jax.jit(lambda x, number=number: rest(number, 0.0, x))(x).tolist() == [783.0] * 4
    for number in (np.array(1e-12), np.float64(1e-12), 1e-12):
        assert rest(0, 1 + number, x).tolist() == rest(0, 1 + 1e-12, x).tolist() != [0.0] * 4


def test_an_array_of_numpy_that_jax_would_narrow_is_refused(jax, jax_function):
    fill = jax_function(narrow, grid=1, block=4, outputs={"y": lambda x: jax.ShapeDtypeStruct((4,), "float32")})
    with pytest.raises(
        jitload.ArgumentError, match="'x' is made of float64, and JAX would make float32 of it: turn on jax_enable_x64"
    ):
        fill(np.arange(4.0))
    jax.config.update("jax_enable_x64", True)
    assert fill(np.arange(4.0)).tolist() == [0, 1, 2, 3]


def test_arguments_may_be_named(jax, scale, jax_function):
    x = jax.numpy.arange(4.0)
    assert scale(2.0, n=4, x=x).tolist() == [0, 2, 4, 6]
    assert jax.jit(lambda x: scale(a=2.0, x=x, n=4))(x).tolist() == [0, 2, 4, 6]
    for named in ({"n": 4, "m": 3}, {"n": 4, "y": x}, {"n": 4, "a": 1.0}):
        with pytest.raises(jitload.ArgumentError, match=r"axpy\(\) takes a, x, n, got 2 arguments and .="):
            scale(2.0, x, **named)


def test_keys_of_random_numbers_are_no_numbers(jax, scale):
    with pytest.raises(jitload.ArgumentError, match=r"'x' is made of key<fry>.*pass jax\.random\.key_data"):
        scale(2.0, jax.random.key(0), 1)


def test_several_outputs_shapes_of_their_own_and_defaults(jax, jax_function):
    like = jax.ShapeDtypeStruct((4,), "int32")
    both = jax_function(split, grid=1, block=4, outputs={"rest": "x", "whole": lambda x, n: like})
    rest, whole = both(jax.numpy.array([1.5, 2.0, 3.25, 0.5]))
    assert (rest.tolist(), whole.tolist(), whole.dtype) == ([0.5, 0, 0.25, 0.5], [1, 2, 3, 0], "int32")


def test_a_wrong_call_is_an_error_of_ours(jax, scale):
    x = jax.numpy.arange(4)
    for call in (scale, jax.jit(lambda *given: scale(*given))):
        with pytest.raises(
            jitload.ArgumentError, match=r"'x' is made of int32, and the kernel's of float32: .*jnp\.float32"
        ):
            call(2.0, x, 4)
    with pytest.raises(jitload.ArgumentError, match=r"axpy\(\) takes a, x, n, got 2 arguments"):
        scale(2.0, x)
    with pytest.raises(jitload.ArgumentError, match="'x' is an array, got float"):
        scale(2.0, 3.0, 4)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (2**40, f"axpy: 'n': {2**40} does not fit: the range is -2147483648 to 2147483647"),
        (np.int64(-(2**31) - 1), "axpy: 'n': .*does not fit"),
        (1.5, "axpy: 'n': 1.5 is a floating point number and the parameter is an integer; pass int"),
        (None, "axpy: 'n' is a number, got NoneType"),
        ("4", "axpy: 'n' is a number, got str"),
        ([4], "axpy: 'n' is a number, got list"),
        (np.array([4, 4]), r"axpy: 'n' is a number, got an array of shape \(2,\)"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_before_jax_has_them(jax, scale, number, words):
    x = jax.numpy.arange(4.0)
    for call in (scale, lambda a, x, n: jax.jit(lambda x: scale(a, x, n))(x)):
        with pytest.raises(jitload.ArgumentError, match=words):
            call(2.0, x, number)


def test_numbers_in_arrays_are_looked_at_where_they_are_known(jax, jax_function, scale):
    x = jax.numpy.arange(4.0)
    assert scale(jax.numpy.float32(2), x, jax.numpy.int32(4)).tolist() == [0, 2, 4, 6]
    with pytest.raises(jitload.ArgumentError, match=r"axpy: 'n': .*1\.5.* is a floating point number"):
        scale(2.0, x, jax.numpy.float32(1.5))
    with pytest.raises(jitload.ArgumentError, match="axpy: 'a': 1e\\+300 does not fit: it is too large for float"):
        scale(1e300, x, 4)
    assert jax.jit(lambda n: scale(2.0, x, n))(4).tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (
            np.arange(4, dtype=">f4"),
            r"'x' is made of >f4 in the other byte order: convert it with \.astype\(\"float32\"\)",
        ),
        (np.ma.masked_array(np.ones(4, np.float32)), r"'x' is a masked array.*pass \.filled"),
        (np.zeros(4, [("a", "f4")]), "'x' is made of .*JAX has no structures: pass one field"),
    ],
)
def test_arrays_that_jax_does_not_take_are_refused_in_our_words(scale, array, words):
    with pytest.raises(jitload.ArgumentError, match=words):
        scale(2.0, array, 4)


@pytest.mark.parametrize(
    ("outputs", "more", "words"),
    [
        ({}, {}, r"the kernel writes 'y', and arrays of JAX never change: name it in outputs=, as \{\"y\": \"y\"\}"),
        ({"x": "x"}, {}, "outputs= names 'x', and the kernel writes 'y'"),
        ({"y": "n"}, {}, r"the name of an array argument \(x\) or a function of the arguments, got 'n'"),
        ({"y": "x"}, {"stream": 0}, "has no option stream"),
        ({"y": "x"}, {"vmap_method": "expand_dims"}, "for one element of a batch: .*'sequential'.* got 'expand_dims'"),
    ],
)
def test_what_makes_no_function(jax_function, outputs, more, words):
    with pytest.raises(jitload.errors.UsageError, match=words):
        jax_function(axpy, grid=1, block=1, outputs=outputs, **more)
