"""Kernels with one planted fault each, marked with `// FAULT` (and `// OTHER`), and the twin that is right.

A twin is made from the faulty kernel by replacing text, so that nothing else differs.
"""

from __future__ import annotations

from typing import NamedTuple


class Planted(NamedTuple):
    """A kernel `k(int *out, const int *in, int n)` over 128 elements, its fault, and what makes it right.

    Attributes:
        check: the check that finds it, or "" for those that are always on.
        text: part of the message.
        source: CUDA C.
        wrong: text in it that is the fault.
        right: what stands in its place in the twin.
        other: whether `CpuFault.other` names the line marked OTHER.
        grid: thread blocks.
        block: threads.
    """

    check: str
    text: str
    source: str
    wrong: str
    right: str
    other: bool = False
    grid: int = 2
    block: int = 64


HEAD = 'extern "C" __global__ void k(int *out, const int *in, int n)\n{\n    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;\n'

PLANTED = {
    "off by one": Planted(
        "", "out of bounds", HEAD + "    if (i <= n)\n        out[i] = 2; // FAULT\n}", "i <= n", "i < n", grid=3
    ),
    "misaligned": Planted(
        "",
        "misaligned",
        HEAD + "    char *p = (char *)out + (1);\n    if (i < 8)\n        ((int *)p)[i] = 1; // FAULT\n}",
        "(1)",
        "(4)",
    ),
    "null": Planted(
        "",
        "null pointer",
        HEAD + "    int *p = (int *)(n > 1 ? 0 : (size_t)out);\n    p[i] = 1; // FAULT\n}",
        "n > 1",
        "n < 1",
    ),
    "use after free": Planted(
        "",
        "use after free",
        HEAD
        + "    volatile int *p = (volatile int *)malloc(8);\n    int early = 1;\n    p[0] = i;\n"
        + "    if (n > early) free((void *)p);\n    out[i] = p[0]; // FAULT\n    if (n <= early) free((void *)p);\n}",
        "early = 1;",
        "early = 1000;",
    ),
    "divergent barrier": Planted(
        "",
        "barrier divergence",
        HEAD
        + "    __shared__ int s[64];\n    s[t] = in[i];\n    if (t < 32)\n        __syncthreads(); // FAULT\n"
        + '    else\n        asm volatile("bar.sync 1;" ::: "memory"); // FAULT\n    out[i] = s[63 - t];\n}',
        "bar.sync 1",
        "bar.sync 0",
    ),
    "second free": Planted(
        "memory",
        "second free",
        HEAD
        + "    int *p = (int *)malloc(16);\n    p[0] = i;\n    out[i] = p[0];\n    free(p); // OTHER\n"
        + "    if (n > 1)\n        free(p); // FAULT\n}",
        "n > 1",
        "n < 1",
        other=True,
    ),
    "leak": Planted(
        "memory",
        "leak: 16 bytes",
        HEAD
        + "    int *p = (int *)malloc(16); // FAULT\n    p[1] = i;\n    out[i] = p[1];\n    if (n < 1)\n        free(p);\n}",
        "n < 1",
        "n > 1",
    ),
    "write to a constant": Planted(
        "memory",
        "write to constant memory",
        "__constant__ int c[64];\n__device__ int g[64];\n"
        + HEAD
        + "    int *p = n > 1 ? (int *)c : g;\n    if (i < 64)\n        p[i] = 1; // FAULT\n}",
        "n > 1",
        "n < 1",
    ),
    "shuffle from threads that left": Planted(
        "",
        "not in the member mask or has left",
        HEAD
        + "    int v = in[i], last = 48;\n    if (t % 32 >= last - 28)\n        return;\n"
        + "    out[i] = __shfl_xor_sync(0xffffffffu, v, 16); // FAULT\n}",
        "last = 48",
        "last = 60",
    ),
    "shuffle from threads outside the mask": Planted(
        "",
        "not in the member mask or has left",
        HEAD
        + "    int v = in[i], first = 16;\n    unsigned some = __ballot_sync(0xffffffffu, t % 32 < 4);\n"
        + "    if (t % 32 < 4)\n        for (int d = first; d; d /= 2)\n"
        + "            v += __shfl_xor_sync(some, v, d); // FAULT\n    out[i] = v;\n}",
        "first = 16",
        "first = 2",
    ),
    "shuffle from threads that a partial warp never had": Planted(
        "memory",
        "takes no part",
        HEAD + "    int v = in[i], far = 16;\n    out[i] = __shfl_xor_sync(0xffffffffu, v, far); // FAULT\n}",
        "far = 16",
        "far = 1",
        block=48,
    ),
    "a vote of a thread that its mask leaves out": Planted(
        "",
        "is not in the member mask 0x0000ffff",
        HEAD + "    unsigned some = 0xffffu;\n    out[i] = __ballot_sync(some, in[i] > 3); // FAULT\n}",
        "some = 0xffffu",
        "some = 0xffffffffu",
    ),
    "masks that do not agree": Planted(
        "",
        "others wait at 'vote.sync",
        HEAD
        + "    unsigned some = t % 32 < 16 ? 0xffffu : n > 1 ? 0xffffffffu : 0xffff0000u;\n"
        + "    int any = __any_sync(some, in[i] > 3);\n    __syncthreads(); // FAULT\n    out[i] = any;\n}",
        "n > 1",
        "n < 1",
    ),
    "missing __syncthreads": Planted(
        "race",
        "race: it reads 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[64];\n    s[t] = in[i]; // OTHER\n    /* here */\n    out[i] = s[(t + 40) % 64]; // FAULT\n}",
        "/* here */",
        "__syncthreads();",
        other=True,
    ),
    "missing second __syncthreads": Planted(
        "race",
        "race: it writes 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[64];\n    int sum = 0;\n    for (int k = 0; k < 3; k++) {\n        s[t] = in[i] + k; // FAULT\n"
        + "        __syncthreads();\n        sum += s[63 - t]; // OTHER\n        /* here */\n    }\n    out[i] = sum;\n}",
        "/* here */",
        "__syncthreads();",
        other=True,
    ),
    "missing __syncwarp": Planted(
        "race",
        "race: it reads 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[64];\n    s[t] = in[i]; // OTHER\n    /* here */\n    out[i] = s[t ^ 1]; // FAULT\n}",
        "/* here */",
        "__syncwarp();",
        other=True,
    ),
    "__syncwarp where the block must meet": Planted(
        "race",
        "race: it reads 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[64];\n    s[t] = in[i]; // OTHER\n    __syncwarp();\n    out[i] = s[(t + 32) % 64]; // FAULT\n}",
        "__syncwarp();",
        "__syncthreads();",
        other=True,
    ),
    "atomics and a plain read": Planted(
        "race",
        "race: it reads 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[8];\n    if (t < 8) s[t] = 0;\n    __syncthreads();\n    atomicAdd(&s[in[i] & 7], 1); // OTHER\n"
        + "    /* here */\n    out[i] = s[t & 7]; // FAULT\n}",
        "/* here */",
        "__syncthreads();",
        other=True,
    ),
    "two blocks write one place": Planted(
        "race",
        "race: it writes 4 bytes at global address",
        HEAD + "    if (t == 0)\n        out[0 * blockIdx.x] = in[i] + i; // FAULT OTHER\n}",
        "0 * blockIdx.x",
        "1 * blockIdx.x",
        other=True,
    ),
    "a sum without atomics": Planted(
        "race",
        "race: it writes 4 bytes at global address",
        HEAD + "    out[n - 1] += in[i]; // FAULT OTHER\n}",
        "out[n - 1] += in[i];",
        "atomicAdd(&out[n - 1], in[i]);",
        other=True,
    ),
    "neighbours in global memory": Planted(
        "race",
        "race: it reads 4 bytes at global address",
        HEAD
        + "    out[i] = in[i]; // OTHER\n    /* here */\n    int left = t ? out[i - 1] : 0; // FAULT\n    __syncthreads();\n    out[i] = left;\n}",
        "/* here */",
        "__syncthreads();",
        other=True,
    ),
    "last block without a fence": Planted(
        "race",
        "race: it reads 4 bytes at global address",
        "__device__ unsigned int tickets;\n"
        + HEAD
        + "    __shared__ bool last;\n    if (t == 0) {\n        out[blockIdx.x] = in[i]; // OTHER\n        /* here */\n"
        + "        last = atomicInc(&tickets, gridDim.x - 1) == gridDim.x - 1;\n    }\n    __syncthreads();\n"
        + "    if (last && t == 0) {\n        int sum = 0;\n        for (int b = 0; b < gridDim.x; b++)\n"
        + "            sum += ((volatile int *)out)[b]; // FAULT\n        out[64] = sum;\n    }\n}",
        "/* here */",
        "__threadfence();",
        other=True,
        grid=4,
        block=32,
    ),
    "a lock without a fence": Planted(
        "race",
        "race: it",
        "__device__ int lock;\n"
        + HEAD
        + "    if (t == 0) {\n        while (atomicCAS(&lock, 0, 1) != 0) ;\n        __threadfence();\n"
        + "        out[0] += in[t]; // FAULT OTHER\n        /* here */\n        atomicExch(&lock, 0);\n    }\n}",
        "/* here */",
        "__threadfence();",
        other=True,
        grid=8,
    ),
    "a flag without a fence": Planted(
        "race",
        "race: it reads 4 bytes at global address",
        "__device__ volatile int ready;\n"
        + HEAD
        + "    if (t == 0 && blockIdx.x == 0) {\n        out[1] = in[5]; // OTHER\n        /* here */\n        ready = 1;\n"
        + "    }\n    if (t == 0 && blockIdx.x == 1) {\n        while (!ready) ;\n        __threadfence();\n"
        + "        out[2] = out[1]; // FAULT\n    }\n}",
        "/* here */",
        "__threadfence();",
        other=True,
    ),
    "a store that should release": Planted(
        "race",
        "race: it reads 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[64], flag;\n    if (t == 0)\n        flag = 0;\n    __syncthreads();\n"
        + "    unsigned a = (unsigned)__cvta_generic_to_shared(&flag);\n    if (t == 0) {\n        s[0] = in[1]; // OTHER\n"
        + '        asm volatile("st.relaxed.cta.shared.u32 [%0], 1;" ::"r"(a) : "memory");\n    }\n'
        + "    if (t == 40) {\n        int seen = 0;\n        while (!seen)\n"
        + '            asm volatile("ld.acquire.cta.shared.u32 %0, [%1];" : "=r"(seen) : "r"(a) : "memory");\n'
        + "        out[i] = s[0]; // FAULT\n    }\n}",
        "st.relaxed",
        "st.release",
        other=True,
    ),
    "a consumer that does not wait for producers": Planted(
        "race",
        "race: it",
        "#define WAITS 0\n"
        + HEAD
        + "    __shared__ int s[32];\n    if (t < 32) {\n        s[t] = in[i]; // FAULT OTHER\n"
        + '        asm volatile("bar.arrive 1, 64;" ::: "memory");\n    } else {\n        if (WAITS)\n'
        + '            asm volatile("bar.sync 1, 64;" ::: "memory");\n        out[i] = s[t - 32]; // FAULT OTHER\n    }\n}',
        "WAITS 0",
        "WAITS 1",
        other=True,
    ),
    "bytes beside each other": Planted(
        "race",
        "race: it writes 1 bytes at shared address",
        HEAD
        + "    __shared__ char s[64];\n#pragma unroll 1\n    for (int k = 0; k < 2; k++)\n        if (t % 2 == k)\n"
        + "            s[t / 2 * 2] = t; // FAULT OTHER\n    __syncthreads();\n    out[i] = s[t & ~1];\n}",
        "t / 2 * 2",
        "t",
        other=True,
    ),
    "a write by one of those who read": Planted(
        "race",
        "race: it writes 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[1];\n    if (t == 0)\n        s[0] = in[5];\n    __syncthreads();\n"
        + "    out[i] = s[0]; // OTHER\n    /* here */\n    if (t == 63)\n        s[0] = i; // FAULT\n"
        + "    __syncthreads();\n    out[i] += s[0];\n}",
        "/* here */",
        "__syncthreads();",
        other=True,
    ),
    "uninitialised shared memory": Planted(
        "init",
        "nobody wrote",
        HEAD
        + "    __shared__ int s[64];\n    if (t < 63)\n        s[t] = in[i];\n    __syncthreads();\n    out[i] = s[63 - t]; // FAULT\n}",
        "t < 63",
        "t < 64",
    ),
    "a write that the shuffle with another thread does not order": Planted(
        "race",
        "race: it writes 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[64];\n    s[t] = in[i];\n    __syncthreads();\n    int v = s[t]; // OTHER\n"
        + "    int w = __shfl_xor_sync(0xffffffffu, v, 1);\n    s[t ^ 2] = w; // FAULT\n"
        + "    __syncthreads();\n    out[i] = s[t];\n}",
        "t ^ 2",
        "t ^ 1",
        other=True,
    ),
    "a write that no vote orders": Planted(
        "race",
        "race: it writes 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[64];\n    s[t] = in[i];\n    __syncthreads();\n    int v = s[t]; // OTHER\n"
        + "    if ((v >= 0))\n        s[t ^ 21] = v; // FAULT\n    __syncthreads();\n    out[i] = s[t];\n}",
        "(v >= 0)",
        "__all_sync(0xffffffffu, v >= 0)",
        other=True,
    ),
    "a write that a shuffle does not publish": Planted(
        "race",
        "race: it reads 4 bytes at shared address",
        HEAD
        + "    __shared__ int s[64];\n    s[t] = in[i]; // OTHER\n    int w = __shfl_xor_sync(0xffffffffu, in[i], 1);;\n"
        + "    out[i] = s[t ^ 1] + w; // FAULT\n}",
        ";;",
        "; __syncwarp();",
        other=True,
    ),
    "a tile that nobody wrote": Planted(
        "init",
        "uninitialised: nobody wrote what this reads",
        HEAD
        + "    __shared__ __align__(16) int s[2][8][4];\n    int rows = 0, w = t / 32, r;\n"
        + "    if (t % 32 < rows * 4)\n        s[w][t % 32 / 4][t % 4] = in[i];\n    __syncthreads();\n"
        + "    unsigned a = __cvta_generic_to_shared(&s[w][t % 8][0]);\n"
        + '    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r) : "r"(a)); // FAULT\n'
        + "    out[i] = r;\n}",
        "rows = 0",
        "rows = 5",
    ),
    "an element past the end that is not thrown away": Planted(
        "init",
        "nobody wrote",
        HEAD
        + "    __shared__ int s[65];\n    s[t] = in[i];\n    __syncthreads();\n    int a = s[t];\n"
        + "    int b = s[t + 1]; // FAULT\n    out[i] = t + 1 < 65 && (b > a || n < 0) ? b : a;\n}",
        "< 65 &&",
        "< 64 &&",
    ),
    "an element past the end that is compared alone": Planted(
        "init",
        "nobody wrote",
        HEAD
        + "    __shared__ int s[65];\n    s[t] = in[i];\n    __syncthreads();\n    int a = s[t];\n"
        + "    int b = s[t + 1]; // FAULT\n    out[i] = b > a ? b : a;\n}",
        "s[t + 1]",
        "s[t & 62]",
    ),
    "uninitialised stack": Planted(
        "init",
        "nobody wrote",
        HEAD
        + "    int own[8];\n    for (int k = 1; k < 8; k++)\n        own[(k * n) & 7] = k + i;\n"
        + "    out[i] = own[in[i] & 7]; // FAULT\n}",
        "own[(k * n) & 7]",
        "own[k - 1] = own[k]",
    ),
    "uninitialised heap": Planted(
        "init",
        "nobody wrote",
        HEAD + "    int *p = (int *)malloc(16);\n    p[n > 1] = i;\n    out[i] = p[0]; // FAULT\n    free(p);\n}",
        "n > 1",
        "n < 1",
    ),
}
