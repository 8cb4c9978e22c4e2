"""Headers and names that people bring along from host code, and what device code has in their place.

NVRTC compiles device code alone and has no host headers: what stands in the standard library for others stands in
`cuda/std` for it, where it stands at all, and in std where the standard headers of jitload bring it there. These are
facts of NVRTC 12.9 with CCCL 2.8, got by trying each; tests/compiler/test_advice.py tries them again.
"""

from __future__ import annotations

import re

_MATH = "the functions of math are built in (sqrtf, expf, fmaxf, ...), without std::"
_STDIO = "printf is built in"
_MEMORY = "malloc, free, memcpy and memset are built in"
HOST = "it is for host code, and NVRTC compiles device code alone"
_NO_CONTAINERS = "device code has no containers that grow: pass a pointer and a length, or use cuda::std::array<T, N>"
_NO_THREADS = "threads of the host are not known to device code: its blocks meet by __syncthreads() or cuda/barrier"
_RANDOM = "random numbers in device code come from <curand_kernel.h>"
_FLOAT = "the limits of float and double are those of cuda::std::numeric_limits<float>"
_TENSORS = "tensors stay in Python: the kernel takes pointers and sizes, and the launch takes the tensors themselves"

#: Names that need no header, and are often misspelt.
BUILTIN_NAMES = (
    *("threadIdx", "blockIdx", "blockDim", "gridDim", "warpSize"),
    *("__syncthreads", "__syncwarp", "__threadfence", "__shared__", "__device__", "__global__", "__constant__"),
    *("__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync", "__ballot_sync", "__any_sync"),
    *("__all_sync", "__activemask", "__popc", "__ldg", "printf"),
    *("atomicAdd", "atomicSub", "atomicMin", "atomicMax", "atomicExch", "atomicCAS", "atomicAnd", "atomicOr"),
)

#: C header -> (the header of cuda/std that has it, or "", and what else there is to say).
C_HEADERS = {
    "assert.h": ("", "assert is built in"),
    "complex.h": ("complex", ""),
    "ctype.h": ("", "device code has no functions of characters: compare with '0', 'a', ... instead"),
    "errno.h": ("", "functions of device code set no errno"),
    "fenv.h": ("", "device code rounds by its instructions: __fadd_rz, __fmul_ru, ..."),
    "float.h": ("limits", _FLOAT),
    "inttypes.h": ("cstdint", ""),
    "limits.h": ("climits", ""),
    "locale.h": ("", HOST),
    "math.h": ("", f"{_MATH}; M_PI is CUDART_PI of <math_constants.h>"),
    "memory.h": ("", _MEMORY),
    "setjmp.h": ("", HOST),
    "signal.h": ("", HOST),
    "stdarg.h": ("", "va_list and its macros are built in"),
    "stdatomic.h": ("atomic", ""),
    "stdbool.h": ("", "bool is built in"),
    "stddef.h": ("cstddef", "size_t is built in"),
    "stdint.h": ("cstdint", ""),
    "stdio.h": ("", _STDIO),
    "stdlib.h": ("cstdlib", _MEMORY),
    "string.h": ("", _MEMORY),
    "time.h": ("ctime", "clock() and clock64() are built in"),
    "uchar.h": ("", HOST),
    "wchar.h": ("", HOST),
    "wctype.h": ("", HOST),
}
#: C++ header -> what to say where cuda/std has none of that name.
CPP_HEADERS = {
    "algorithm": "min() and max() are built in",
    "cassert": "assert is built in",
    "cfloat": _FLOAT,
    "cmath": _MATH,
    "cstdio": _STDIO,
    "cstring": _MEMORY,
    "exception": "device code has no exceptions: use assert or __trap()",
    "future": _NO_THREADS,
    "iostream": _STDIO,
    "map": _NO_CONTAINERS,
    "mutex": _NO_THREADS,
    "numbers": "constants such as CUDART_PI are in <math_constants.h>",
    "random": _RANDOM,
    "stdexcept": "device code has no exceptions: use assert or __trap()",
    "string": "device code has no std::string: char arrays and printf are there",
    "thread": _NO_THREADS,
    "vector": _NO_CONTAINERS,
}
CPP_HEADERS |= dict.fromkeys(("condition_variable", "shared_mutex", "stop_token"), _NO_THREADS)
CPP_HEADERS |= dict.fromkeys(("deque", "forward_list", "list", "queue", "set", "stack"), _NO_CONTAINERS)
CPP_HEADERS |= dict.fromkeys(("unordered_map", "unordered_set"), _NO_CONTAINERS)
CPP_HEADERS |= dict.fromkeys(("format", "fstream", "iomanip", "ios", "iosfwd", "istream", "ostream", "print"), _STDIO)
CPP_HEADERS |= dict.fromkeys(("sstream", "streambuf", "syncstream"), _STDIO)
CPP_HEADERS |= dict.fromkeys(("any", "codecvt", "filesystem", "locale", "regex", "system_error", "typeindex"), HOST)
CPP_HEADERS |= dict.fromkeys(("typeinfo", "valarray", "string_view", "memory_resource"), HOST)
CPP_HEADERS |= dict.fromkeys(("charconv", "execution", "scoped_allocator"), HOST)
#: Headers that are for host code, by exact name and by beginning.
HOST_HEADERS = {
    "cuda.h": "the driver API is for host code; leave it out (CUtensorMap can be declared as 128 bytes aligned to 64)",
    "cudaTypedefs.h": "the driver API is for host code; leave it out",
    "cub/cub.cuh": "it is for the host as well; include what the kernel uses, e.g. <cub/block/block_reduce.cuh>",
    "cuda_occupancy.h": HOST,
    "helper_cuda.h": "it is of NVIDIA's samples, and for host code; leave it out",
    "helper_math.h": "it is of NVIDIA's samples: put it beside the source, or name its directory in include_dirs=",
    "omp.h": "device code has no OpenMP; leave it out",
    "thrust/complex.h": "it needs host headers here; include <cuda/std/complex>",
    "unistd.h": f"{HOST}; leave it out",
}
HOST_BEGINNINGS = (
    (
        ("cub/device/", "cub/grid/"),
        "it launches kernels from the host; in a kernel use <cub/block/...> and <cub/warp/...>",
    ),
    (("thrust/",), "it is for host code; in a kernel use <cub/block/...>, <cub/warp/...> and <cuda/std/...>"),
    (("torch/", "ATen/", "c10/", "pybind11/", "Python.h", "numpy/", "nanobind/", "tvm/"), _TENSORS),
    (("cublas", "cudnn", "cufft", "cusolver", "cusparse", "nccl", "nvrtc", "npp", "nvjpeg", "nvml", "mpi"), f"{HOST}"),
    (("cutlass/", "cute/"), "CUTLASS is a package of its own: name its include directory in include_dirs="),
    (("sys/", "pthread", "windows", "nvtx3/", "nvToolsExt", "driver_", "boost/"), f"{HOST}; leave it out"),
)
#: What belongs to the toolkit, and the component of it that brings it.
COMPONENTS = (
    (("curand",), "curand"),
    (("cub/", "thrust/", "cuda/", "nv/"), "cuda-cccl"),
    (("crt/",), "cuda-crt"),
    (
        ("cuda_", "cuComplex.h", "mma.h", "cooperative_groups", "math_constants.h", "vector_", "texture_"),
        "cuda-runtime",
    ),
    (("device_launch_parameters.h", "builtin_types.h", "surface_", "sm_"), "cuda-runtime"),
)

#: Integers of a width, and the builtin types of that width.
INTEGERS = re.compile(r"u?int(?:_fast|_least)?(8|16|32|64)_t|u?int(?:ptr|max)_t")
BUILTIN_INTEGERS = {"8": "char", "16": "short", "32": "int", "64": "long long"}
#: Name -> the standard header that has it, where those of jitload are not off.
STANDARD_NAMES = (
    (rf"{INTEGERS.pattern}|(?:U?INT(?:_LEAST|_FAST)?(?:8|16|32|64|PTR|MAX)|SIZE|PTRDIFF)_(?:MAX|MIN)", "cstdint"),
    (r"(?:U?(?:INT|LONG|LLONG|SHRT|CHAR)|SCHAR)_(?:MAX|MIN)|CHAR_BIT", "climits"),
    (r"(?:FLT|DBL)_[A-Z0-9_]+", "cfloat"),
    (r"INFINITY|NAN|HUGE_VALF?|M_[A-Z0-9_]+", "cmath"),
    (r"str(?:len|n?cmp|n?cpy|chr)|memmove|memcmp", "cstring"),
    (r"nullptr_t|max_align_t|offsetof", "cstddef"),
    (r"PRI[dioxXu](?:LEAST|FAST)?(?:8|16|32|64|MAX|PTR)", "cinttypes"),
    (r"CUtensorMap|CUdeviceptr", "cuda.h"),
)
#: Name -> the header that declares it, and what to write for it, or "" for the name itself.
NAMES = (
    (
        r"__half2?(?:_raw)?|half2?|__float2half\w*|__half2\w+|h(?:exp|log|sqrt|rsqrt|sin|cos|max|min)\w*",
        "cuda_fp16.h",
        "",
    ),
    (r"__nv_bfloat16\w*|nv_bfloat16\w*|__float2bfloat16\w*|__bfloat16\w+", "cuda_bf16.h", ""),
    (r"__nv_fp8\w*", "cuda_fp8.h", ""),
    (r"__nv_fp6\w*", "cuda_fp6.h", ""),
    (r"__nv_fp4\w*", "cuda_fp4.h", ""),
    (r"cu(?:Float|Double)?Complex|make_cu\w*Complex|cuC\w+", "cuComplex.h", ""),
    (r"nvcuda|wmma", "mma.h", "nvcuda::wmma"),
    (r"cooperative_groups", "cooperative_groups.h", ""),
    (r"cg", "cooperative_groups.h", "namespace cg = cooperative_groups;"),
    (r"cub", "cub/block/block_reduce.cuh", ""),
    (r"curand\w*", "curand_kernel.h", ""),
    (r"(?:FLT|DBL)_(?:MAX|MIN|EPSILON)", "cuda/std/limits", "cuda::std::numeric_limits<float>::max(), or ::epsilon()"),
    (r"(?:U?(?:INT|LONG|LLONG|SHRT|CHAR)|SCHAR)_(?:MAX|MIN)|CHAR_BIT", "cuda/std/climits", ""),
    (r"U?INT(?:8|16|32|64)_(?:MAX|MIN)", "cuda/std/cstdint", ""),
    (r"INFINITY|NAN", "cuda/std/cmath", ""),
    (r"HUGE_VALF?", "math_constants.h", "CUDART_INF, or CUDART_INF_F"),
    (r"M_PI(?:_[24])?|M_E", "math_constants.h", "CUDART_PI, or CUDART_PI_F"),
)
#: Name -> what else there is to say about it.
ELSEWHERE = (
    (r"(?:s|f|sn)printf|puts|putchar|fputs", _STDIO),
    (r"exit|abort|terminate", "device code ends with __trap() or assert, or a thread by return"),
    (r"s?rand", _RANDOM),
    (r"ssize_t|uchar|ushort|uint|ulong", "write the builtin type: unsigned char, unsigned int, long long, ..."),
    (r"True|False", "C++ has true and false"),
    (r"None", "C++ has nullptr"),
    (r"print", "C++ has printf, which is built in"),
    (r"len|range|enumerate|zip", "it is of Python: a pointer has no length, so give it to the kernel as an argument"),
    (r"np|numpy|math|cp|cupy|torch|jnp|jax|tl", f"it is a module of Python, and a kernel is CUDA C++: {_MATH}"),
    (r"let|var", "C++ has auto, or the type: int, float, ..."),
    (r"def|elif|lambda|self|pass", "it is of Python, and a kernel is CUDA C++"),
    (r"SIZE_MAX", "write ~size_t(0)"),
    (
        r"str(?:len|cmp|ncmp|cpy|cat|chr)|memmove|memcmp",
        "device code has memcpy and memset, and no other functions of strings",
    ),
    (r"nullptr_t", "write decltype(nullptr)"),
    (r"CUtensorMap", "declare it: struct __align__(64) CUtensorMap { char bytes[128]; };"),
    (r"cuda[A-Z]\w*", "the runtime API is for host code, and Python is the host here: allocate and launch from there"),
)
#: Of namespace std: the header of cuda/std -> what it declares.
STD = {
    "array": "array",
    "atomic": "atomic|atomic_\\w+|memory_order\\w*",
    "bit": "bit_cast|popcount|countl_\\w+|countr_\\w+|bit_ceil|bit_floor|bit_width|has_single_bit|rotl|rotr|endian",
    "complex": "complex",
    "cstddef": "size_t|ptrdiff_t|nullptr_t|byte|max_align_t",
    "cstdint": INTEGERS.pattern,
    "functional": "plus|minus|multiplies|divides|modulus|negate|less|greater|less_equal|greater_equal|equal_to|bit_and|"
    "bit_or|bit_xor|logical_and|logical_or|logical_not|invoke|reference_wrapper|ref|cref",
    "limits": "numeric_limits",
    "optional": "optional|nullopt|make_optional",
    "span": "span|dynamic_extent",
    "tuple": "tuple|make_tuple|tie|tuple_size|tuple_element|get|apply",
    "type_traits": "is_\\w+|enable_if(?:_t)?|conditional(?:_t)?|remove_\\w+|add_\\w+|decay(?:_t)?|"
    "make_(?:un)?signed(?:_t)?|integral_constant|bool_constant|true_type|false_type|common_type(?:_t)?|underlying_type(?:_t)?|void_t|conjunction\\w*|"
    "disjunction\\w*|negation\\w*|invoke_result(?:_t)?|aligned_storage\\w*|extent\\w*|rank\\w*",
    "utility": "pair|make_pair|swap|exchange|declval|integer_sequence|index_sequence|make_index_sequence|in_place\\w*",
    "variant": "variant|visit|monostate",
}
#: Of namespace std: name -> what else there is to say.
STD_ELSEWHERE = (
    (r"min|max", "min() and max() are built in, without std::"),
    (
        r"abs|f(?:abs|ma|max|min|mod)|sqrt|cbrt|pow|exp\w*|log\w*|sin\w*|cos\w*|tan\w*|a(?:sin|cos|tan)\w*|floor|ceil",
        _MATH,
    ),
    (r"round|trunc|hypot|l?l?rint|copysign|is(?:nan|inf|finite)|signbit|erf\w*|tgamma|lgamma|ldexp|frexp", _MATH),
    (r"cout|cerr|endl|clog|printf|format|print|println|to_string", _STDIO),
    (r"vector|map|set|deque|list|queue|stack|unordered_\w+", _NO_CONTAINERS),
    (r"string|string_view", CPP_HEADERS["string"]),
    (r"thread|mutex|lock_guard|unique_lock|async|future|condition_variable", _NO_THREADS),
    (r"mt19937\w*|uniform_\w+|normal_distribution|random_device", _RANDOM),
    (r"memcpy|memset|malloc|free", f"{_MEMORY}, without std::"),
)
#: Of namespace std: name -> the standard header that has it, besides those of `STD`.
STANDARD_STD = (
    (
        (
            r"(?:min|max|minmax)(?:_element)?|clamp|(?:all|any|none)_of|for_each|count(?:_if)?|find(?:_if)?|equal|"
            r"copy(?:_n|_if)?|fill(?:_n)?|transform|reverse|rotate|(?:low|upp)er_bound|binary_search"
        ),
        "algorithm",
    ),
    ("|".join(names for names, text in STD_ELSEWHERE if text == _MATH), "cmath"),
    (r"mem(?:cpy|set|move|cmp)|str(?:len|n?cmp|n?cpy|chr)", "cstring"),
    (r"malloc|free|l?labs", "cstdlib"),
    (r"printf", "cstdio"),
    (r"accumulate|reduce|iota|gcd|lcm|inner_product|partial_sum|midpoint", "numeric"),
    (r"addressof|destroy(?:_at|_n)?|uninitialized_\w+", "memory"),
    (r"bitset", "bitset"),
    (r"chrono", "chrono"),
    (r"next|prev|advance|distance|begin|end|size|data|iterator_traits|reverse_iterator", "iterator"),
)
