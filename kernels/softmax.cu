// softmax: exponentials of each row, normalised to sum 1, safe against overflow.
//
// Shapes:     x[rows][cols], y[rows][cols], row-major and not overlapping. rows = 0 or cols = 0 touches no memory.
// Types:      x, y float; rows, cols unsigned int.
// Launch:     grid (any >= 1), block (any), dynamic shared memory of block * 4 bytes. One block works on one row;
//             with fewer blocks than rows each block takes several.
// Reference:  y[r][c] = exp(x[r][c] - m[r]) / sum over k of exp(x[r][k] - m[r]),  m[r] = max over k of x[r][k]
// Tolerance:  |error| <= (2 range + ceil(cols / block) + log2 block + 16) u y[r][c] + 2^-126, u = 2^-24 and range the
//             spread max - min of the row: rounding x - m moves the exponential by |x - m| u, and exponentials below
//             the smallest normal number are flushed to zero.
//
// A row of only -infinity gives NaN, as the formula does.

struct Maximum {
    __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

struct Sum {
    __device__ float operator()(float a, float b) const { return a + b; }
};

// Combines one value per thread and gives the result to all of them. Halving upwards ((width + 1) / 2) keeps every
// block size right, not only powers of two.
template <typename Op>
__device__ float block_combine(float value, Op op, float* scratch)
{
    const unsigned int thread = threadIdx.x;
    scratch[thread] = value;
    __syncthreads();
    for (unsigned int width = blockDim.x; width > 1;) {
        const unsigned int half = (width + 1) / 2;
        if (thread + half < width) {
            scratch[thread] = op(scratch[thread], scratch[thread + half]);
        }
        __syncthreads();
        width = half;
    }
    const float result = scratch[0];
    __syncthreads();  // the next call overwrites scratch[0]
    return result;
}

extern "C" __global__ void softmax(const float* __restrict__ x, float* __restrict__ y, unsigned int rows,
                                   unsigned int cols)
{
    extern __shared__ float scratch[];
    const float negative_infinity = __int_as_float(0xff800000);

    for (size_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const float* x_row = x + row * cols;
        float* y_row = y + row * cols;

        float maximum = negative_infinity;
        for (size_t c = threadIdx.x; c < cols; c += blockDim.x) {
            maximum = fmaxf(maximum, x_row[c]);
        }
        maximum = block_combine(maximum, Maximum{}, scratch);

        float total = 0.0f;
        for (size_t c = threadIdx.x; c < cols; c += blockDim.x) {
            const float power = expf(x_row[c] - maximum);
            y_row[c] = power;  // kept for the last pass: each thread meets its own elements again
            total += power;
        }
        total = block_combine(total, Sum{}, scratch);

        for (size_t c = threadIdx.x; c < cols; c += blockDim.x) {
            y_row[c] /= total;
        }
    }
}
