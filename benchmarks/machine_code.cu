// Kernels in which threads of a warp part, or meet often: what lanes are slow at.

// Attention with online softmax: 64 queries to a block, a thread each; keys and values come in tiles of 64.
constexpr int WIDTH = 32, TILE = 64;

extern "C" __global__ void attention(const float *q, const float *k, const float *v, float *out, int keys, float scale)
{
    __shared__ float k_tile[TILE][WIDTH], v_tile[TILE][WIDTH];
    const int row = blockIdx.x * TILE + threadIdx.x;
    float query[WIDTH], sums[WIDTH], most = -3.0e38f, total = 0.0f;
    #pragma unroll
    for (int d = 0; d < WIDTH; ++d) { query[d] = q[row * WIDTH + d] * scale; sums[d] = 0.0f; }
    for (int first = 0; first < keys; first += TILE) {
        #pragma unroll
        for (int d = 0; d < WIDTH; d += 4) {
            *(float4 *)&k_tile[threadIdx.x][d] = *(const float4 *)&k[(first + threadIdx.x) * WIDTH + d];
            *(float4 *)&v_tile[threadIdx.x][d] = *(const float4 *)&v[(first + threadIdx.x) * WIDTH + d];
        }
        __syncthreads();
        for (int j = 0; j < TILE; ++j) {
            float score = 0.0f;
            #pragma unroll
            for (int d = 0; d < WIDTH; ++d) score = fmaf(query[d], k_tile[j][d], score);
            const float top = fmaxf(most, score), less = exp2f(most - top), part = exp2f(score - top);
            total = total * less + part;
            #pragma unroll
            for (int d = 0; d < WIDTH; ++d) sums[d] = fmaf(part, v_tile[j][d], sums[d] * less);
            most = top;
        }
        __syncthreads();
    }
    #pragma unroll
    for (int d = 0; d < WIDTH; ++d) out[row * WIDTH + d] = sums[d] / total;
}

// Queens on n x n: a thread for each place of the first two, a stack in local memory.
extern "C" __global__ void queens(int n, int *count)
{
    const int first = blockIdx.x, second = threadIdx.x;
    if (second >= n || abs(first - second) < 2) return;
    const unsigned all = (1u << n) - 1;
    unsigned columns[20], left[20], right[20], open[20];
    int depth = 2, found = 0;
    columns[2] = 1u << first | 1u << second;
    left[2] = (1u << first << 1 | 1u << second) << 1;
    right[2] = (1u << first >> 1 | 1u << second) >> 1;
    open[2] = ~(columns[2] | left[2] | right[2]) & all;
    while (depth >= 2) {
        if (depth == n) { found++; depth--; continue; }
        if (!open[depth]) { depth--; continue; }
        const unsigned bit = open[depth] & -open[depth];
        open[depth] ^= bit;
        columns[depth + 1] = columns[depth] | bit;
        left[depth + 1] = (left[depth] | bit) << 1;
        right[depth + 1] = (right[depth] | bit) >> 1;
        depth++;
        open[depth] = ~(columns[depth] | left[depth] | right[depth]) & all;
    }
    if (found) atomicAdd(count, found);
}
