// axpy_half: y = a * x + y over half-precision vectors, two elements per instruction.
//
// Shapes:     x[n], y[n]; y is read and overwritten. n = 0 touches no memory.
// Types:      x, y __half; a float, rounded to half once; n size_t.
// Launch:     grid (any >= 1), block (any), no dynamic shared memory. The grid-stride loop covers every n;
//             ceil(n / (2 block)) blocks give each thread one pair.
// Reference:  y[i] <- a * x[i] + y[i]
// Tolerance:  |error| <= 2^-10 (|a x[i]| + |y[i]|) + 2^-24, as long as nothing overflows 65504: `a` and the fma round
//             once each with 2^-11, and half has subnormals down to 2^-24.

#include <cuda_fp16.h>

extern "C" __global__ void axpy_half(float a, const __half* __restrict__ x, __half* __restrict__ y, size_t n)
{
    const __half scale = __float2half_rn(a);
    const size_t thread = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    const size_t stride = size_t(gridDim.x) * blockDim.x;

    // A __half2 access needs 4-byte alignment, which a slice that starts at an odd element does not have.
    const bool paired = (reinterpret_cast<size_t>(x) | reinterpret_cast<size_t>(y)) % sizeof(__half2) == 0;
    const size_t pairs = paired ? n / 2 : 0;
    const __half2* x_pairs = reinterpret_cast<const __half2*>(x);
    __half2* y_pairs = reinterpret_cast<__half2*>(y);
    for (size_t i = thread; i < pairs; i += stride) {
        y_pairs[i] = __hfma2(__half2half2(scale), x_pairs[i], y_pairs[i]);
    }

    for (size_t i = 2 * pairs + thread; i < n; i += stride) {
        y[i] = __hfma(scale, x[i], y[i]);
    }
}
