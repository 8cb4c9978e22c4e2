"""One table of the kernels: inputs, launches, references in float64, and how far from them a result may be.

A `Case` is a kernel with its template arguments. Its `build` turns a shape into a `Problem`: arrays, launches, and what
each array must hold afterwards. Bounds are the ones that the header comments of the .cu files promise.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

KERNELS = Path(__file__).parents[2] / "kernels"
#: Elements behind the end of every array that no kernel may touch: a whole block of the widest launch, and some.
GUARD = 300

Shape = tuple[int, ...]
#: How many blocks to launch for that many tiles.
Spread = Callable[[int], int]

SPREADS: dict[str, Spread] = {
    "cover": lambda tiles: max(tiles, 1),
    "single": lambda tiles: 1,
    "surplus": lambda tiles: tiles + 3,
}


@dataclass(frozen=True)
class Launch:
    """One launch; a string among `args` names an array, anything else goes by value."""

    name: str
    grid: int | tuple[int, ...]
    block: int | tuple[int, ...]
    args: tuple[str | int | float, ...]
    shared_bytes: int = 0


@dataclass(frozen=True)
class Expected:
    """What an array must hold, elementwise within `bound` (0: exactly)."""

    value: np.ndarray
    bound: np.ndarray | float


@dataclass(frozen=True)
class Problem:
    """Arrays before the launches, and what those named in `expected` hold after them; the others do not change."""

    arrays: Mapping[str, np.ndarray]
    launches: tuple[Launch, ...]
    expected: Mapping[str, Expected]


@dataclass(frozen=True)
class Case:
    """One kernel with its template arguments, and the shapes to try it on; the last shape spans several blocks."""

    file: str
    names: tuple[str, ...]
    build: Callable[[np.random.Generator, Shape, Spread], Problem]
    shapes: tuple[Shape, ...]
    empty: tuple[Shape, ...]

    @property
    def id(self) -> str:
        return f"{self.file.removesuffix('.cu')}:{self.names[0]}"

    def problem(self, shape: Shape, spread: str) -> Problem:
        rng = np.random.default_rng([zlib.crc32(self.id.encode()), *shape])
        return self.build(rng, shape, SPREADS[spread])


def poisoned(count: int, dtype: Any) -> np.ndarray:
    """What an output holds before, and what lies behind an input: NaN, or bytes 0xa5; a sum with it is no good."""
    dtype = np.dtype(dtype)
    return np.full(count, np.nan, dtype) if dtype.kind == "f" else sentinels(count, dtype)


def sentinels(count: int, dtype: Any) -> np.ndarray:
    """What lies behind an output: bytes 0xa5. Not NaN, which an update in place would turn into NaN again."""
    dtype = np.dtype(dtype)
    return np.frombuffer(b"\xa5" * (count * dtype.itemsize), dtype)


def unit(dtype: Any) -> float:
    """The unit roundoff u: half the distance from 1 to the next number; 0 for integers."""
    return float(np.finfo(dtype).eps) / 2 if np.dtype(dtype).kind == "f" else 0.0


def random(rng: np.random.Generator, count: int, dtype: Any) -> np.ndarray:
    """Both signs, several magnitudes; integers small enough that no sum overflows."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        low = 0 if dtype.kind == "u" else -100
        return rng.integers(low, 101, count).astype(dtype)
    return (rng.standard_normal(count) * 4.0 ** rng.integers(-3, 4, count)).astype(dtype)


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def sums(terms: np.ndarray, tile: int) -> np.ndarray:
    """The sum of each tile, rounded once."""
    return np.array([math.fsum(terms[i : i + tile]) for i in range(0, len(terms), tile)])


def saxpy(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
    (n,) = shape
    block = 128
    a = np.float32(1.7)
    x, y = random(rng, n, np.float32), random(rng, n, np.float32)
    product, y64 = np.float64(a) * x, y.astype(np.float64)
    return Problem(
        {"x": x, "y": y},
        (Launch("saxpy", spread(ceil_div(n, block)), block, (float(a), "x", "y", n)),),
        {"y": Expected(product + y64, 3 * unit(np.float32) * (abs(product) + abs(y64)))},
    )


def axpy_half(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
    (n,) = shape
    block = 96
    a = 1.7
    x, y = random(rng, n, np.float16), random(rng, n, np.float16)
    product, y64 = a * x.astype(np.float64), y.astype(np.float64)
    return Problem(
        {"x": x, "y": y},
        (Launch("axpy_half", spread(ceil_div(n, 2 * block)), block, (a, "x", "y", n)),),
        {"y": Expected(product + y64, 2.0**-10 * (abs(product) + abs(y64)) + 2.0**-24)},
    )


def reduce(dtype: Any, block: int, name: str) -> Callable[[np.random.Generator, Shape, Spread], Problem]:
    """Launches until one sum is left, so that `reduce` also meets its own output."""

    def build(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
        (n,) = shape
        x = random(rng, n, dtype)
        arrays, launches, expected = {"x": x}, [], {}
        source, left, magnitude = "x", n, abs(x.astype(np.float64))
        for level in itertools.count(1):
            tiles = ceil_div(left, 2 * block)
            covered = (2 * block) ** level  # elements of x under one sum of this level
            out = f"sums{level}"
            arrays[out] = poisoned(tiles, dtype)
            launches.append(Launch(name, spread(tiles), block, (source, out, left)))
            magnitude = sums(magnitude, 2 * block)
            additions = level * (2 + math.log2(block))
            expected[out] = Expected(sums(x, covered), additions * unit(dtype) * magnitude)
            source, left = out, tiles
            if tiles <= 1:
                return Problem(arrays, tuple(launches), expected)
        raise AssertionError

    return build


def warp_reduce(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
    (n,) = shape
    block = 96
    grid = spread(ceil_div(n, 4 * block))
    x = random(rng, n, np.float32)
    before = np.array([0.75], np.float32)
    additions = ceil_div(n, grid * block) + grid + 11
    magnitude = math.fsum(abs(x)) + 0.75
    return Problem(
        {"x": x, "out": before},
        (Launch("warp_reduce", grid, block, ("x", "out", n)),),
        {"out": Expected(np.array([math.fsum(x) + 0.75]), additions * unit(np.float32) * magnitude)},
    )


def tile_dot(dtype: Any, block: int, items: int, name: str) -> Callable[[np.random.Generator, Shape, Spread], Problem]:
    def build(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
        (n,) = shape
        tile = block * items
        tiles = ceil_div(n, tile)
        x, y = random(rng, n, dtype), random(rng, n, dtype)
        products = x.astype(np.float64) * y  # for doubles this rounds once too; the bound has room for it
        additions = items + ceil_div(block, 32) + 7
        return Problem(
            {"x": x, "y": y, "out": poisoned(tiles, dtype)},
            (Launch(name, spread(tiles), block, ("x", "y", "out", n)),),
            {"out": Expected(sums(products, tile), additions * unit(dtype) * sums(abs(products), tile))},
        )

    return build


def softmax(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
    rows, cols = shape
    block = 80  # neither a power of two nor whole warps
    x = rng.uniform(-20, 20, shape).astype(np.float32)
    if rows > 1:
        x[1] += 5000  # exp(5000) overflows without the shift
    if rows > 2 and cols > 1:
        x[2, ::2] = -np.inf  # masked
    x64 = x.astype(np.float64)
    if cols:
        shifted = x64 - x64.max(axis=1, keepdims=True)
        powers = np.exp(shifted)
        y = powers / powers.sum(axis=1, keepdims=True)
        spans = np.where(np.isfinite(shifted), -shifted, 0).max(axis=1, keepdims=True)
    else:
        y, spans = x64, 0.0
    factor = 2 * spans + ceil_div(cols, block) + math.log2(block) + 16
    return Problem(
        {"x": x, "y": poisoned(x.size, np.float32)},
        (Launch("softmax", spread(rows), block, ("x", "y", rows, cols), shared_bytes=block * 4),),
        {"y": Expected(y, factor * unit(np.float32) * y + 2.0**-126)},
    )


def layernorm(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
    rows, cols = shape
    block = 64
    eps = np.float32(1e-5)
    x = rng.standard_normal(shape).astype(np.float32)
    if rows > 1:
        x[1] += 300  # mean(x^2) - mean(x)^2 would lose all digits of the variance
    if rows > 2:
        x[2] *= np.float32(1e-3)  # a variance below eps
    gamma = rng.uniform(-2, 2, cols).astype(np.float32)
    beta = rng.standard_normal(cols).astype(np.float32)
    x64 = x.astype(np.float64)
    if cols:
        scale = 1 / np.sqrt(x64.var(axis=1, keepdims=True) + np.float64(eps))
        normal = (x64 - x64.mean(axis=1, keepdims=True)) * scale
        largest = abs(x64).max(axis=1, keepdims=True)
    else:
        scale, normal, largest = 0.0, x64, 0.0
    magnitude = abs(gamma) * (abs(normal) + largest * scale) + abs(beta)
    return Problem(
        {"x": x, "gamma": gamma, "beta": beta, "y": poisoned(x.size, np.float32)},
        (Launch(f"layernorm<{block}>", spread(rows), block, ("x", "gamma", "beta", "y", rows, cols, float(eps))),),
        {
            "y": Expected(
                normal * gamma.astype(np.float64) + beta, (ceil_div(cols, block) + 24) * unit(np.float32) * magnitude
            )
        },
    )


def transpose(dtype: Any, name: str) -> Callable[[np.random.Generator, Shape, Spread], Problem]:
    def build(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
        rows, cols = shape
        x = random(rng, rows * cols, dtype).reshape(shape)
        grid = (spread(ceil_div(cols, 32)), spread(ceil_div(rows, 32)))
        return Problem(
            {"x": x, "y": poisoned(x.size, dtype)},
            (Launch(name, grid, (32, 8), ("x", "y", rows, cols)),),
            {"y": Expected(x.T, 0)},
        )

    return build


def matmul(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
    m, n, k = shape
    a, b = random(rng, m * k, np.float32).reshape(m, k), random(rng, k * n, np.float32).reshape(k, n)
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    grid = (spread(ceil_div(n, 16)), spread(ceil_div(m, 16)))
    return Problem(
        {"a": a, "b": b, "c": poisoned(m * n, np.float32)},
        (Launch("matmul", grid, (16, 16), ("a", "b", "c", m, n, k)),),
        {"c": Expected(a64 @ b64, (k + 2) * unit(np.float32) * (abs(a64) @ abs(b64)))},
    )


def histogram(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
    n, bins = shape
    block = 128
    bin_of = rng.integers(-2, bins + 2, n).astype(np.int32)  # some below and above the bins
    bin_of[n // 2 :] = bins // 2  # and a crowded one
    before = rng.integers(0, 10, bins).astype(np.uint32)
    inside = bin_of[(bin_of >= 0) & (bin_of < bins)]
    return Problem(
        {"bin_of": bin_of, "counts": before},
        (Launch("histogram", spread(ceil_div(n, block)), block, ("bin_of", "counts", n, bins), shared_bytes=bins * 4),),
        {"counts": Expected(before + np.bincount(inside, minlength=bins), 0)},
    )


def prefix_scan(dtype: Any, block: int, arguments: str) -> Callable[[np.random.Generator, Shape, Spread], Problem]:
    def build(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
        (n,) = shape
        tiles = ceil_div(n, block)
        x = random(rng, n, dtype)
        scan = np.cumsum(x, dtype=np.longdouble)
        magnitude = np.cumsum(abs(x.astype(np.longdouble)))
        ends = np.minimum(np.arange(1, tiles + 1) * block, n) - 1
        additions = ceil_div(tiles, block) + 24
        return Problem(
            {"x": x, "y": poisoned(n, dtype), "tile_sums": poisoned(tiles, dtype)},
            (
                Launch(f"scan_tiles<{arguments}>", spread(tiles), block, ("x", "y", "tile_sums", n)),
                Launch(f"scan_tile_sums<{arguments}>", spread(1), block, ("tile_sums", tiles)),
                Launch(f"add_tile_offsets<{arguments}>", spread(tiles), block, ("y", "tile_sums", n)),
            ),
            {
                "y": Expected(scan, additions * unit(dtype) * magnitude),
                "tile_sums": Expected(scan[ends], additions * unit(dtype) * magnitude[ends]),
            },
        )

    return build


def stencil5(rng: np.random.Generator, shape: Shape, spread: Spread) -> Problem:
    height, width = shape
    alpha = np.float32(0.2)
    u = random(rng, height * width, np.float32).reshape(shape)
    u64 = u.astype(np.float64)

    def neighbours(plane: np.ndarray) -> np.ndarray:
        if not plane.size:
            return plane
        edged = np.pad(plane, 1, mode="edge")
        return edged[:-2, 1:-1] + edged[2:, 1:-1] + edged[1:-1, :-2] + edged[1:-1, 2:]

    magnitude = abs(u64) + np.float64(alpha) * (neighbours(abs(u64)) + 4 * abs(u64))
    return Problem(
        {"u": u, "out": poisoned(u.size, np.float32)},
        (
            Launch(
                "stencil5",
                (spread(ceil_div(width, 32)), spread(ceil_div(height, 4))),
                (32, 4),
                ("u", "out", height, width, float(alpha)),
            ),
        ),
        {"out": Expected(u64 + np.float64(alpha) * (neighbours(u64) - 4 * u64), 8 * unit(np.float32) * magnitude)},
    )


def scan_names(arguments: str) -> tuple[str, ...]:
    return tuple(f"{kernel}<{arguments}>" for kernel in ("scan_tiles", "scan_tile_sums", "add_tile_offsets"))


LENGTHS: tuple[Shape, ...] = ((1,), (31,), (128,), (131,), (1001,), (2311,))
PLANES: tuple[Shape, ...] = ((1, 1), (1, 37), (37, 1), (32, 32), (33, 31), (67, 101))
NO_LENGTH: tuple[Shape, ...] = ((0,),)
NO_PLANE: tuple[Shape, ...] = ((0, 0), (0, 7), (7, 0))

CASES: tuple[Case, ...] = (
    Case("saxpy.cu", ("saxpy",), saxpy, LENGTHS, NO_LENGTH),
    Case("axpy_half.cu", ("axpy_half",), axpy_half, LENGTHS, NO_LENGTH),
    *(
        Case("block_reduce.cu", (name,), reduce(dtype, block, name), LENGTHS, NO_LENGTH)
        for name, dtype, block in (
            ("reduce<float, 256>", np.float32, 256),
            ("reduce<double, 32>", np.float64, 32),
            ("reduce<int, 64>", np.int32, 64),
        )
    ),
    Case("warp_reduce.cu", ("warp_reduce",), warp_reduce, LENGTHS, NO_LENGTH),
    *(
        Case("cub_block_reduce.cu", (name,), tile_dot(dtype, block, items, name), LENGTHS, NO_LENGTH)
        for name, dtype, block, items in (
            ("tile_dot<float, 128, 4>", np.float32, 128, 4),
            ("tile_dot<double, 96, 2>", np.float64, 96, 2),
            ("tile_dot<int, 64, 3>", np.int32, 64, 3),
        )
    ),
    Case("softmax.cu", ("softmax",), softmax, ((1, 1), (1, 33), (2, 80), (3, 81), (5, 203)), NO_PLANE),
    Case("layernorm.cu", ("layernorm<64>",), layernorm, ((1, 1), (1, 33), (2, 64), (3, 65), (5, 203)), NO_PLANE),
    *(
        Case("transpose.cu", (name,), transpose(dtype, name), PLANES, NO_PLANE)
        for name, dtype in (
            ("transpose<float>", np.float32),
            ("transpose<double>", np.float64),
            ("transpose<unsigned char>", np.uint8),
        )
    ),
    Case(
        "matmul.cu",
        ("matmul",),
        matmul,
        ((1, 1, 1), (16, 16, 16), (1, 33, 5), (17, 1, 31), (3, 5, 0), (37, 50, 33)),
        ((0, 0, 0), (0, 5, 3), (5, 0, 3)),
    ),
    Case("histogram.cu", ("histogram",), histogram, ((1, 1), (31, 7), (1000, 129), (2311, 300)), ((0, 7),)),
    *(
        Case("prefix_scan.cu", scan_names(arguments), prefix_scan(dtype, block, arguments), LENGTHS, NO_LENGTH)
        for arguments, dtype, block in (
            ("float, 128", np.float32, 128),
            ("double, 64", np.float64, 64),
            ("int, 32", np.int32, 32),  # 2311 elements are more tiles than one pass over the sums takes
        )
    ),
    Case("stencil5.cu", ("stencil5",), stencil5, PLANES, NO_PLANE),
)

#: Every file with the names that its cases use: each file is compiled once, for all of them.
NAMES: dict[str, tuple[str, ...]] = {
    file: tuple(itertools.chain.from_iterable(case.names for case in cases))
    for file, cases in itertools.groupby(CASES, key=lambda case: case.file)
}

#: Every shape on a grid that covers it; the last one also on a single block, and on more blocks than there are tiles.
SAMPLES: tuple[tuple[Case, Shape, str], ...] = tuple(
    (case, shape, spread)
    for case in CASES
    for shape in case.shapes
    for spread in (("cover", "single", "surplus") if shape == case.shapes[-1] else ("cover",))
)
EMPTY_SAMPLES: tuple[tuple[Case, Shape, str], ...] = tuple(
    (case, shape, spread) for case in CASES for shape in case.empty for spread in ("cover", "surplus")
)


def sample_id(sample: tuple[Case, Shape, str]) -> str:
    case, shape, spread = sample
    return f"{case.id}-{'x'.join(map(str, shape))}-{spread}"


def run(problem: Problem, module: Any) -> None:
    """Launch on guarded arrays and compare: results, inputs, and the guards behind both."""
    buffers = {}
    for name, array in problem.arrays.items():
        guard = sentinels if name in problem.expected else poisoned
        buffers[name] = np.concatenate([array.ravel(), guard(GUARD, array.dtype)])
    before = {name: buffer.copy() for name, buffer in buffers.items()}
    launch_all(problem, module, buffers)
    for name, buffer in buffers.items():
        count = problem.arrays[name].size
        assert_same_bytes(buffer[count:], before[name][count:], f"guard behind {name!r}")
        if name in problem.expected:
            assert_within(buffer[:count], problem.expected[name], name)
        else:
            assert_same_bytes(buffer[:count], before[name][:count], f"input {name!r}")


def launch_all(problem: Problem, module: Any, pointers: Mapping[str, Any]) -> None:
    """Run the launches in order; `pointers` holds what to pass for each array."""
    for launch in problem.launches:
        args = [pointers[arg] if isinstance(arg, str) else arg for arg in launch.args]
        module[launch.name][launch.grid, launch.block, None, launch.shared_bytes](*args)


def assert_same_bytes(after: np.ndarray, before: np.ndarray, what: str) -> None:
    changed = np.flatnonzero((after.view(np.uint8) != before.view(np.uint8)).reshape(-1, after.itemsize).any(axis=1))
    assert not changed.size, f"{what}: {changed.size} elements changed, the first at {changed[0]}"


def assert_within(actual: np.ndarray, expected: Expected, name: str) -> None:
    value = np.ravel(expected.value)
    bound = np.broadcast_to(np.ravel(expected.bound), value.shape)
    error = abs(actual.astype(np.longdouble) - value)
    wrong = np.flatnonzero(~(error <= bound))  # a NaN compares false, so it counts as wrong
    if wrong.size:
        i = wrong[np.argmax(error[wrong])]
        raise AssertionError(
            f"{name!r}: {wrong.size} of {value.size} elements are off, the worst at {i}: "
            f"expected {value[i]} within {bound[i]}, got {actual[i]}"
        )
