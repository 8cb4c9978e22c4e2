// Bit tricks, wide integers, and packed arithmetic.
//
// Launch:  one thread per element, any grid.

#include <cuda_fp16.h>
#include <cuda_bf16.h>

typedef unsigned int u32;
typedef unsigned long long u64;
#define INDEX const int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= n) return;

extern "C" __global__ void count_bits(const u64 *x, int *out, int n) {
    INDEX
    const u32 w = x[i];
    const u64 d = x[i];
    int *o = out + 8 * i;
    o[0] = __clz(w); o[1] = __ffs(w); o[2] = __popc(w); o[3] = __brev(w);
    o[4] = __clzll(d); o[5] = __ffsll(d); o[6] = __popcll(d); o[7] = __brevll(d) >> 32;
}

extern "C" __global__ void shift_words(const u32 *a, const u32 *b, const u32 *s, u32 *out, int n) {
    INDEX
    u32 *o = out + 6 * i;
    o[0] = __funnelshift_l(a[i], b[i], s[i]); o[1] = __funnelshift_r(a[i], b[i], s[i]);
    o[2] = __funnelshift_lc(a[i], b[i], s[i]); o[3] = __funnelshift_rc(a[i], b[i], s[i]);
    o[4] = __byte_perm(a[i], b[i], s[i]); o[5] = a[i] << (s[i] & 31) | b[i] >> (s[i] & 31);
}

// 128 bits: products, sums with carries, and division by a shift-and-subtract loop.
extern "C" __global__ void wide_integers(const u64 *a, const u64 *b, u64 *out, int n) {
    INDEX
    u64 *o = out + 6 * i;
    o[0] = a[i] * b[i];
    o[1] = __umul64hi(a[i], b[i]);
    o[2] = __mul64hi(a[i], b[i]);
    u64 low, high;
    asm("add.cc.u64 %0, %2, %3; addc.u64 %1, %4, 0;" : "=l"(low), "=l"(high) : "l"(a[i]), "l"(b[i]), "l"(o[1]));
    o[3] = low; o[4] = high;
    u64 rest = 0, quotient = 0;
    for (int k = 63; k >= 0; k--) {
        rest = rest << 1 | (a[i] >> k & 1);
        if (rest >= (b[i] >> 33) + 1) { rest -= (b[i] >> 33) + 1; quotient |= 1ull << k; }
    }
    o[5] = quotient ^ rest;
}

// Products, and quotients by the compiler's own library functions.
extern "C" __global__ void native_int128(const u64 *a, const u64 *b, u64 *out, int n) {
    INDEX
    const unsigned __int128 p = (unsigned __int128)a[i] * b[i] + a[i];
    const __int128 s = (__int128)(long long)a[i] * (long long)b[i] - (long long)b[i];
    const unsigned __int128 q = p / (b[i] | 1), r = p % (b[i] | 1);
    u64 *o = out + 6 * i;
    o[0] = p; o[1] = p >> 64; o[2] = s; o[3] = s >> 64; o[4] = q; o[5] = r;
}

// 256-bit addition and subtraction, eight words with a carry chain of inline PTX.
extern "C" __global__ void carry_chains(const u32 *a, const u32 *b, u32 *sum, u32 *difference, u32 *product, int n) {
    INDEX
    const u32 *x = a + 4 * i, *y = b + 4 * i;
    u32 *s = sum + 5 * i, *d = difference + 4 * i, *p = product + 2 * i;
    asm("add.cc.u32 %0, %5, %9; addc.cc.u32 %1, %6, %10; addc.cc.u32 %2, %7, %11; addc.cc.u32 %3, %8, %12; addc.u32 %4, 0, 0;"
        : "=r"(s[0]), "=r"(s[1]), "=r"(s[2]), "=r"(s[3]), "=r"(s[4])
        : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]), "r"(y[2]), "r"(y[3]));
    asm("sub.cc.u32 %0, %4, %8; subc.cc.u32 %1, %5, %9; subc.cc.u32 %2, %6, %10; subc.u32 %3, %7, %11;"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(y[0]), "r"(y[1]), "r"(y[2]), "r"(y[3]));
    asm("{ .reg .u32 h; mul.lo.u32 %0, %2, %3; mul.hi.u32 h, %2, %3; mad.lo.cc.u32 %0, %4, %5, %0; madc.hi.u32 %1, %4, %5, h; }"
        : "=&r"(p[0]), "=r"(p[1]) : "r"(x[0]), "r"(y[0]), "r"(x[1]), "r"(y[1]));
}

extern "C" __global__ void simd_in_a_word(const u32 *a, const u32 *b, u32 *out, int n) {
    INDEX
    u32 *o = out + 8 * i;
    o[0] = __vadd2(a[i], b[i]); o[1] = __vsub4(a[i], b[i]); o[2] = __vaddss2(a[i], b[i]); o[3] = __vabsdiffu4(a[i], b[i]);
    o[4] = __vmaxs4(a[i], b[i]); o[5] = __vcmpgtu4(a[i], b[i]); o[6] = __vavgu4(a[i], b[i]); o[7] = __vsadu4(a[i], b[i]);
}

extern "C" __global__ void half_pairs(const __half2 *a, const __half2 *b, __half2 *sum, __half2 *product, __half2 *fused, __half *dot, u32 *less, int n) {
    INDEX
    sum[i] = __hadd2(a[i], b[i]);
    product[i] = a[i] * b[i];
    fused[i] = __hfma2(a[i], b[i], __floats2half2_rn(1.0f, -0.5f));
    const __half2 p = __hmul2(a[i], b[i]);
    dot[i] = __hadd(__low2half(p), __high2half(p));
    less[i] = __hlt(__low2half(a[i]), __low2half(b[i])) + 2 * __hbeq2(a[i], b[i]) + 4 * __hge(__high2half(a[i]), __high2half(b[i]));
}

extern "C" __global__ void bfloats(const __nv_bfloat16 *a, const __nv_bfloat16 *b, __nv_bfloat16 *sum, __nv_bfloat16 *fused, float *root, int *near, int n) {
    INDEX
    sum[i] = a[i] + b[i];
#if __CUDA_ARCH__ >= 800
    fused[i] = __hfma(a[i], b[i], a[i]);
#else
    fused[i] = __float2bfloat16(fmaf(__bfloat162float(a[i]), __bfloat162float(b[i]), __bfloat162float(a[i])));
#endif
    root[i] = __bfloat162float(hsqrt(__habs(a[i])));
    near[i] = __bfloat162int_rn(b[i]);
}

// Gray code, Morton order, next permutation of bits, and xor swaps.
extern "C" __global__ void codes(const u32 *x, u32 *out, int n) {
    INDEX
    u32 v = x[i] & 0xffff, *o = out + 4 * i;
    o[0] = x[i] ^ x[i] >> 1;
    v = (v | v << 8) & 0x00ff00ff; v = (v | v << 4) & 0x0f0f0f0f; v = (v | v << 2) & 0x33333333; v = (v | v << 1) & 0x55555555;
    o[1] = v;
    const u32 c = (x[i] >> 8 | 1), t = c | (c - 1);
    o[2] = (t + 1) | (((~t & -~t) - 1) >> __ffs(c));
    o[3] = __usad(x[i], o[0], 7) + __mulhi((int)x[i], (int)o[0]) + __hadd((int)x[i], 12345) + __mul24(x[i], 77);
}
