// saxpy: y = a * x + y over single-precision vectors.
//
// Shapes:     x[n], y[n]; y is read and overwritten. n = 0 touches no memory.
// Types:      a, x, y float; n size_t.
// Launch:     grid (any >= 1), block (any), no dynamic shared memory. The grid-stride loop covers every n;
//             ceil(n / block) blocks give each thread one element.
// Reference:  y[i] <- a * x[i] + y[i]
// Tolerance:  |error| <= 3 u (|a x[i]| + |y[i]|), u = 2^-24: the product and the sum round once each, or once together
//             when the compiler contracts them to an fma.

extern "C" __global__ void saxpy(float a, const float* __restrict__ x, float* __restrict__ y, size_t n)
{
    const size_t stride = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {
        y[i] = a * x[i] + y[i];
    }
}
