// Layers of neural networks and their gradients.
//
// Shapes:  rows x width, row-major; attention: q, k, v, out [n][D] with D = 32.
// Types:   float.
// Launch:  row kernels: one block of 64 per row (softmax_warp: one warp per row); element kernels: any grid of 128;
//          attention_naive: one block of 64 per query, 4 n bytes of shared memory; attention_online: one block of 32
//          queries, whatever n.

#define D 32

__device__ float block_sum(float value) {
    __shared__ float sums[2];
    for (int step = 16; step; step >>= 1) value += __shfl_xor_sync(0xffffffffu, value, step);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = value;
    __syncthreads();
    return sums[0] + sums[1];
}

extern "C" __global__ void layernorm_forward(const float *x, const float *gain, const float *bias, float *y, float *mean, float *rstd, int width, float epsilon) {
    const float *row = x + blockIdx.x * width;
    float sum = 0, squares = 0;
    for (int c = threadIdx.x; c < width; c += 64) sum += row[c];
    const float m = block_sum(sum) / width;
    for (int c = threadIdx.x; c < width; c += 64) { const float d = row[c] - m; squares += d * d; }
    const float s = rsqrtf(block_sum(squares) / width + epsilon);
    for (int c = threadIdx.x; c < width; c += 64) y[blockIdx.x * width + c] = (row[c] - m) * s * gain[c] + bias[c];
    if (!threadIdx.x) { mean[blockIdx.x] = m; rstd[blockIdx.x] = s; }
}

// Gradients of x per row; those of gain and bias gather over the rows with atomics.
extern "C" __global__ void layernorm_backward(const float *dy, const float *x, const float *gain, const float *mean, const float *rstd, float *dx, float *dgain, float *dbias, int width) {
    const int at = blockIdx.x * width;
    const float m = mean[blockIdx.x], s = rstd[blockIdx.x];
    float first = 0, second = 0;
    for (int c = threadIdx.x; c < width; c += 64) {
        const float unit = (x[at + c] - m) * s, g = dy[at + c] * gain[c];
        first += g;
        second += g * unit;
        atomicAdd(&dgain[c], dy[at + c] * unit);
        atomicAdd(&dbias[c], dy[at + c]);
    }
    first = block_sum(first) / width;
    second = block_sum(second) / width;
    for (int c = threadIdx.x; c < width; c += 64)
        dx[at + c] = s * (dy[at + c] * gain[c] - first - (x[at + c] - m) * s * second);
}

extern "C" __global__ void rmsnorm(const float *x, const float *gain, float *y, int width, float epsilon) {
    float squares = 0;
    for (int c = threadIdx.x; c < width; c += 64) squares += x[blockIdx.x * width + c] * x[blockIdx.x * width + c];
    const float s = 1.0f / sqrtf(block_sum(squares) / width + epsilon);
    for (int c = threadIdx.x; c < width; c += 64) y[blockIdx.x * width + c] = x[blockIdx.x * width + c] * s * gain[c];
}

extern "C" __global__ void softmax_warp(const float *x, float *y, int rows, int width) {
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) >> 5, lane = threadIdx.x & 31;
    if (row >= rows) return;
    float largest = -__int_as_float(0x7f800000), sum = 0;
    for (int c = lane; c < width; c += 32) largest = fmaxf(largest, x[row * width + c]);
    for (int step = 16; step; step >>= 1) largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, step));
    for (int c = lane; c < width; c += 32) sum += expf(x[row * width + c] - largest);
    for (int step = 16; step; step >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    for (int c = lane; c < width; c += 32) y[row * width + c] = expf(x[row * width + c] - largest) / sum;
}

extern "C" __global__ void gelu(const float *x, float *exact, float *by_tanh, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const float v = x[i];
    exact[i] = 0.5f * v * (1.0f + erff(v * 0.70710678f));
    by_tanh[i] = 0.5f * v * (1.0f + tanhf(0.79788456f * (v + 0.044715f * v * v * v)));
}

// Loss and the gradient of the logits.
extern "C" __global__ void cross_entropy(const float *logits, const int *labels, float *loss, float *grad, int width) {
    const float *row = logits + blockIdx.x * width;
    float largest = row[0], sum = 0;
    for (int c = 1; c < width; c++) largest = fmaxf(largest, row[c]);
    for (int c = threadIdx.x; c < width; c += 64) sum += __expf(row[c] - largest);
    sum = block_sum(sum);
    for (int c = threadIdx.x; c < width; c += 64) grad[blockIdx.x * width + c] = __expf(row[c] - largest) / sum - (c == labels[blockIdx.x]);
    if (!threadIdx.x) loss[blockIdx.x] = logf(sum) + largest - row[labels[blockIdx.x]];
}

struct Hyper { float rate, beta1, beta2, epsilon, decay; int step; };

extern "C" __global__ void adam(float *p, const float *g, float *m, float *v, Hyper h, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    m[i] = h.beta1 * m[i] + (1 - h.beta1) * g[i];
    v[i] = h.beta2 * v[i] + (1 - h.beta2) * g[i] * g[i];
    const float unbiased_m = m[i] / (1 - powf(h.beta1, h.step)), unbiased_v = v[i] / (1 - powf(h.beta2, h.step));
    p[i] -= h.rate * (unbiased_m / (sqrtf(unbiased_v) + h.epsilon) + h.decay * p[i]);
}

extern "C" __global__ void attention_naive(const float *q, const float *k, const float *v, float *out, int n, int causal) {
    extern __shared__ float scores[];
    const int row = blockIdx.x, limit = causal ? row + 1 : n;
    float largest = -1e30f, sum = 0;
    for (int j = threadIdx.x; j < limit; j += 64) {
        float dot = 0;
        for (int d = 0; d < D; d++) dot += q[row * D + d] * k[j * D + d];
        scores[j] = dot * 0.17677670f;
    }
    __syncthreads();
    for (int j = 0; j < limit; j++) largest = fmaxf(largest, scores[j]);
    __syncthreads();
    for (int j = threadIdx.x; j < limit; j += 64) sum += scores[j] = expf(scores[j] - largest);
    sum = block_sum(sum);
    if (threadIdx.x < D) {
        float total = 0;
        for (int j = 0; j < limit; j++) total += scores[j] * v[j * D + threadIdx.x];
        out[row * D + threadIdx.x] = total / sum;
    }
}

// Keys and values pass by in tiles of 32; maximum, sum and output are corrected as larger scores appear.
extern "C" __global__ void attention_online(const float *q, const float *k, const float *v, float *out, int n, int causal) {
    __shared__ float keys[32][D], values[32][D];
    const int row = blockIdx.x * 32 + threadIdx.x;
    float query[D], total[D], largest = -1e30f, sum = 0;
    for (int d = 0; d < D; d++) { query[d] = row < n ? q[row * D + d] * 0.17677670f : 0; total[d] = 0; }
    for (int start = 0; start < n; start += 32) {
        __syncthreads();
        for (int d = 0; d < D; d++) {
            const int j = start + threadIdx.x;
            keys[threadIdx.x][d] = j < n ? k[j * D + d] : 0;
            values[threadIdx.x][d] = j < n ? v[j * D + d] : 0;
        }
        __syncthreads();
        const int limit = min(32, n - start);
        for (int j = 0; j < limit; j++) {
            if (causal && start + j > row) break;
            float score = 0;
#pragma unroll
            for (int d = 0; d < D; d++) score += query[d] * keys[j][d];
            const float larger = fmaxf(largest, score), scale = expf(largest - larger), p = expf(score - larger);
            largest = larger;
            sum = sum * scale + p;
#pragma unroll
            for (int d = 0; d < D; d++) total[d] = total[d] * scale + p * values[j][d];
        }
    }
    if (row < n)
        for (int d = 0; d < D; d++) out[row * D + d] = total[d] / sum;
}
