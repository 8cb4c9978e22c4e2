// The same functions for NVRTC (its own intrinsics) and for a host C++ compiler (their definitions in plain C++).
typedef signed char i8; typedef unsigned char u8; typedef short i16; typedef unsigned short u16;
typedef int i32; typedef unsigned int u32; typedef long long i64; typedef unsigned long long u64;
typedef float f32; typedef double f64;

#ifdef __CUDACC_RTC__
#define DEVICE static __device__
#define CALLED static __device__ __noinline__
DEVICE u32 raw(f32 x) { return __float_as_uint(x); }
DEVICE u64 raw(f64 x) { return __double_as_longlong(x); }
DEVICE f32 as_f32(u32 x) { return __uint_as_float(x); }
DEVICE f64 as_f64(u64 x) { return __longlong_as_double(x); }
#define ROUNDED(T, letter, name, mode, ...) __##letter##name##_##mode(__VA_ARGS__)
#define ENTRY(k, body, inputs, outputs) \
    extern "C" __global__ void k(const u64 *x, u64 *o, int n) { \
        int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) body(x + i * inputs, o + i * outputs, i); }
#else
#include <cfenv>
#include <cmath>
#include <cstring>
#define DEVICE static inline
#define CALLED static __attribute__((noinline))
DEVICE u32 raw(f32 x) { u32 y; memcpy(&y, &x, 4); return y; }
DEVICE u64 raw(f64 x) { u64 y; memcpy(&y, &x, 8); return y; }
DEVICE f32 as_f32(u32 x) { f32 y; memcpy(&y, &x, 4); return y; }
DEVICE f64 as_f64(u64 x) { f64 y; memcpy(&y, &x, 8); return y; }
#define ENTRY(k, body, inputs, outputs) \
    extern "C" void k(const u64 *x, u64 *o, int n) { for (int i = 0; i < n; i++) body(x + i * inputs, o + i * outputs, i); }

DEVICE int __popc(u32 x) { int n = 0; for (; x; x &= x - 1) n++; return n; }
DEVICE int __popcll(u64 x) { return __popc(x) + __popc(x >> 32); }
DEVICE int __clz(u32 x) { int n = 0; while (n < 32 && !(x >> (31 - n) & 1)) n++; return n; }
DEVICE int __clzll(u64 x) { return x >> 32 ? __clz(x >> 32) : 32 + __clz(x); }
DEVICE int __ffs(u32 x) { int n = 0; while (n < 32 && !(x >> n & 1)) n++; return n == 32 ? 0 : n + 1; }
DEVICE int __ffsll(u64 x) { return (u32)x ? __ffs(x) : x ? 32 + __ffs(x >> 32) : 0; }
DEVICE u32 __brev(u32 x) { u32 y = 0; for (int k = 0; k < 32; k++) y |= (x >> k & 1) << (31 - k); return y; }
DEVICE u64 __brevll(u64 x) { return (u64)__brev(x) << 32 | __brev(x >> 32); }
DEVICE u32 __byte_perm(u32 a, u32 b, u32 s) {
    u64 both = (u64)b << 32 | a; u32 y = 0;
    for (int k = 0; k < 4; k++) y |= (u32)(both >> (s >> 4 * k & 7) * 8 & 255) << 8 * k;
    return y; }
DEVICE u32 __funnelshift_l(u32 lo, u32 hi, u32 s) { return ((u64)hi << 32 | lo) << (s & 31) >> 32; }
DEVICE u32 __funnelshift_r(u32 lo, u32 hi, u32 s) { return ((u64)hi << 32 | lo) >> (s & 31); }
DEVICE u32 __funnelshift_lc(u32 lo, u32 hi, u32 s) { return s >= 32 ? lo : __funnelshift_l(lo, hi, s); }
DEVICE u32 __funnelshift_rc(u32 lo, u32 hi, u32 s) { return s >= 32 ? hi : __funnelshift_r(lo, hi, s); }
DEVICE i32 __mulhi(i32 a, i32 b) { return (i64)a * b >> 32; }
DEVICE u32 __umulhi(u32 a, u32 b) { return (u64)a * b >> 32; }
DEVICE i64 __mul64hi(i64 a, i64 b) { return (__int128)a * b >> 64; }
DEVICE u64 __umul64hi(u64 a, u64 b) { return (unsigned __int128)a * b >> 64; }
DEVICE i32 __mul24(i32 a, i32 b) { return (u32)((i64)((i32)((u32)a << 8) >> 8) * ((i32)((u32)b << 8) >> 8)); }
DEVICE u32 __umul24(u32 a, u32 b) { return (u64)(a & 0xffffff) * (b & 0xffffff); }
DEVICE u32 __sad(i32 a, i32 b, u32 c) { return c + (a < b ? (u32)b - (u32)a : (u32)a - (u32)b); }
DEVICE u32 __usad(u32 a, u32 b, u32 c) { return c + (a < b ? b - a : a - b); }
DEVICE i32 __hadd(i32 a, i32 b) { return ((i64)a + b) >> 1; }
DEVICE i32 __rhadd(i32 a, i32 b) { return ((i64)a + b + 1) >> 1; }
DEVICE u32 __uhadd(u32 a, u32 b) { return ((u64)a + b) >> 1; }
DEVICE u32 __urhadd(u32 a, u32 b) { return ((u64)a + b + 1) >> 1; }
DEVICE u32 __dp4a(u32 a, u32 b, u32 c) { for (int k = 0; k < 32; k += 8) c += (a >> k & 255) * (b >> k & 255); return c; }
DEVICE u32 each(int bits, u32 a, u32 b, i64 (*f)(i64, i64), bool sign) {
    u32 y = 0;
    for (int k = 0; k < 32; k += bits) {
        u32 m = bits == 8 ? 255 : 65535; i64 p = a >> k & m, q = b >> k & m;
        if (sign) { p = p > m / 2 ? p - m - 1 : p; q = q > m / 2 ? q - m - 1 : q; }
        y |= ((u32)f(p, q) & m) << k; }
    return y; }
#define SIMD(name, bits, sign, value) DEVICE u32 name(u32 a, u32 b) { return each(bits, a, b, [](i64 p, i64 q) -> i64 { return value; }, sign); }
SIMD(__vadd2, 16, 0, p + q) SIMD(__vadd4, 8, 0, p + q) SIMD(__vsub2, 16, 0, p - q) SIMD(__vsub4, 8, 0, p - q)
SIMD(__vaddss4, 8, 1, p + q > 127 ? 127 : p + q < -128 ? -128 : p + q)
SIMD(__vaddus2, 16, 0, p + q > 65535 ? 65535 : p + q) SIMD(__vsubus4, 8, 0, p < q ? 0 : p - q)
SIMD(__vabsdiffu4, 8, 0, p < q ? q - p : p - q) SIMD(__vabsdiffs2, 16, 1, p < q ? q - p : p - q)
SIMD(__vmaxs4, 8, 1, p < q ? q : p) SIMD(__vminu2, 16, 0, p < q ? p : q) SIMD(__vcmpgts2, 16, 1, p > q ? -1 : 0)
SIMD(__vseteq4, 8, 0, p == q) SIMD(__vavgu4, 8, 0, (p + q + 1) / 2) SIMD(__vavgs2, 16, 1, (p + q + 1 - (p + q < 0)) >> 1)

#define MODE_rn FE_TONEAREST
#define MODE_rz FE_TOWARDZERO
#define MODE_ru FE_UPWARD
#define MODE_rd FE_DOWNWARD
// The operands are volatile, so that no operation moves across the change of the mode.
#define DIRECTED(T, name, formals, value) \
    CALLED T do_##name formals { fesetround(mode); volatile T y = value; fesetround(FE_TONEAREST); return y; }
#define DIRECTED_OF(T, root, fused, fma_name) \
    DIRECTED(T, add, (int mode, volatile T a, volatile T b), a + b) DIRECTED(T, sub, (int mode, volatile T a, volatile T b), a - b) \
    DIRECTED(T, mul, (int mode, volatile T a, volatile T b), a * b) DIRECTED(T, div, (int mode, volatile T a, volatile T b), a / b) \
    DIRECTED(T, rcp, (int mode, volatile T a), 1 / a) DIRECTED(T, sqrt, (int mode, volatile T a), root(a)) \
    DIRECTED(T, fused, (int mode, volatile T a, volatile T b, volatile T c), fma_name(a, b, c))
DIRECTED_OF(f32, sqrtf, maf, fmaf) DIRECTED_OF(f64, sqrt, fma, fma)
#define ROUNDED(T, letter, name, mode, ...) do_##name(MODE_##mode, __VA_ARGS__)
#endif

// NaNs differ in their bits between machines: only that it is one counts.
DEVICE u32 bits(f32 x) { return x != x ? 0x7fffffff : raw(x); }
DEVICE u64 bits(f64 x) { return x != x ? 0x7ff8000000000000ull : raw(x); }
DEVICE u64 bits(i8 x) { return x; } DEVICE u64 bits(u8 x) { return x; } DEVICE u64 bits(i16 x) { return x; }
DEVICE u64 bits(u16 x) { return x; } DEVICE u64 bits(i32 x) { return x; } DEVICE u64 bits(u32 x) { return x; }
DEVICE u64 bits(i64 x) { return x; } DEVICE u64 bits(u64 x) { return x; }

#ifdef __CUDACC_RTC__
DEVICE f32 least(f32 a, f32 b) { return fminf(a, b); } DEVICE f64 least(f64 a, f64 b) { return fmin(a, b); }
DEVICE f32 most(f32 a, f32 b) { return fmaxf(a, b); } DEVICE f64 most(f64 a, f64 b) { return fmax(a, b); }
DEVICE i32 nearest_of(f32 x) { return __float2int_rn(x); } DEVICE i64 nearest_of(f64 x) { return __double2ll_rn(x); }
DEVICE i32 below_of(f32 x) { return __float2int_rd(x); } DEVICE i64 below_of(f64 x) { return __double2ll_rd(x); }
#else
template <class F> DEVICE F least(F a, F b) { return a != a ? b : b != b ? a : a == b ? (std::signbit(a) ? a : b) : a < b ? a : b; }
template <class F> DEVICE F most(F a, F b) { return a != a ? b : b != b ? a : a == b ? (std::signbit(a) ? b : a) : a < b ? b : a; }
DEVICE i32 nearest_of(f32 x) { return std::nearbyint(x); } DEVICE i64 nearest_of(f64 x) { return std::nearbyint(x); }
DEVICE i32 below_of(f32 x) { return std::floor(x); } DEVICE i64 below_of(f64 x) { return std::floor(x); }
#endif
// Out of range the instructions clamp, but NVRTC folds what it can see to anything.
#define TO_INT(T, F, low, high) DEVICE T F##_to_##T(F x) { return x > low && x < high ? (T)x : 1; }
#define TO_INTS(F) TO_INT(i32, F, -0x1p31f, 0x1p31f) TO_INT(u32, F, -1, 0x1p32f) TO_INT(i64, F, -0x1p63f, 0x1p63f) TO_INT(u64, F, -1, 0x1p64f)
TO_INTS(f32) TO_INTS(f64)
DEVICE i32 nearest(f32 x) { return x > -0x1p31f && x < 0x1p31f ? nearest_of(x) : 1; }
DEVICE i64 nearest(f64 x) { return x > -0x1p63 && x < 0x1p63 ? nearest_of(x) : 1; }
DEVICE i32 below(f32 x) { return x > -0x1p31f && x < 0x1p31f ? below_of(x) : 1; }
DEVICE i64 below(f64 x) { return x > -0x1p63 && x < 0x1p63 ? below_of(x) : 1; }

template <class T> DEVICE T divide(T a, T b) { return b == 0 || ((T)-1 < 0 && b == (T)-1) ? (T)(0 - (u64)a) : (T)(a / b); }
template <class T> DEVICE T modulo(T a, T b) { return b == 0 || ((T)-1 < 0 && b == (T)-1) ? (T)b : (T)(a % b); }
template <class T> DEVICE T absolute(T a) { return a < 0 ? (T)(0 - (u64)a) : a; }
DEVICE f32 sign_of(f32 a, f32 b) { return copysignf(a, b != b ? 0.0f : b); }
DEVICE f64 sign_of(f64 a, f64 b) { return copysign(a, b != b ? 0.0 : b); }
