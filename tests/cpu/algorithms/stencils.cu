// Stencils and convolutions.
//
// Launch:  1-D: blocks of 128; 2-D: blocks of 16 x 16; 3-D: blocks of 8 x 4 x 4; grids that cover the arrays.
// Types:   float; game_of_life: unsigned char; box_filter: uchar4 pixels; jacobi: double.

#define RADIUS 3
#define TILE 16
__constant__ float taps[2 * RADIUS + 1] = {0.03125f, 0.109375f, 0.21875f, 0.28125f, 0.21875f, 0.109375f, 0.03125f};
__device__ float sharpen[3][3] = {{0, -1, 0}, {-1, 5, -1}, {0, -1, 0}};

// 1-D, with a halo in shared memory and zeros outside.
extern "C" __global__ void stencil_1d(const float *x, float *y, int n) {
    __shared__ float tile[128 + 2 * RADIUS];
    const int i = blockIdx.x * 128 + threadIdx.x, t = threadIdx.x + RADIUS;
    tile[t] = i < n ? x[i] : 0.0f;
    if (threadIdx.x < RADIUS) {
        tile[t - RADIUS] = i >= RADIUS && i - RADIUS < n ? x[i - RADIUS] : 0.0f;
        tile[t + 128] = i + 128 < n ? x[i + 128] : 0.0f;
    }
    __syncthreads();
    float sum = 0;
#pragma unroll
    for (int k = -RADIUS; k <= RADIUS; k++) sum += taps[k + RADIUS] * tile[t + k];
    if (i < n) y[i] = sum;
}

// Five points in double, boundary kept.
extern "C" __global__ void jacobi(const double *x, double *y, int height, int width) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    if (r >= height || c >= width) return;
    const int i = r * width + c;
    const bool edge = r == 0 || c == 0 || r == height - 1 || c == width - 1;
    y[i] = edge ? x[i] : 0.25 * (x[i - 1] + x[i + 1] + x[i - width] + x[i + width]);
}

// Seven points of a volume, marching along z with the neighbours in registers.
extern "C" __global__ void stencil_3d(const float *x, float *y, int nz, int ny, int nx) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y, k = blockIdx.z * blockDim.z + threadIdx.z;
    if (i >= nx || j >= ny || k >= nz) return;
    const int at = (k * ny + j) * nx + i;
    float sum = -6.0f * x[at];
    sum += i ? x[at - 1] : 0.0f;
    sum += i < nx - 1 ? x[at + 1] : 0.0f;
    sum += j ? x[at - nx] : 0.0f;
    sum += j < ny - 1 ? x[at + nx] : 0.0f;
    sum += k ? x[at - nx * ny] : 0.0f;
    sum += k < nz - 1 ? x[at + nx * ny] : 0.0f;
    y[at] = sum;
}

// Life on a torus.
extern "C" __global__ void game_of_life(const unsigned char *x, unsigned char *y, int height, int width) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    if (r >= height || c >= width) return;
    int around = 0;
    for (int dr = -1; dr <= 1; dr++)
        for (int dc = -1; dc <= 1; dc++)
            if (dr || dc) around += x[(r + dr + height) % height * width + (c + dc + width) % width];
    y[r * width + c] = around == 3 || (around == 2 && x[r * width + c]);
}

// A filter given at run time, every output by itself; "valid" region only.
extern "C" __global__ void convolve_direct(const float *x, const float *filter, float *y, int height, int width, int rows, int columns) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    const int out_width = width - columns + 1;
    if (r > height - rows || c >= out_width) return;
    float sum = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) sum = fmaf(filter[i * columns + j], x[(r + i) * width + c + j], sum);
    y[r * out_width + c] = sum;
}

// 3 x 3 out of a shared tile with a halo, edges repeated.
extern "C" __global__ void convolve_tiled(const float *x, float *y, int height, int width) {
    __shared__ float tile[TILE + 2][TILE + 2 + 1];
    const int left = blockIdx.x * TILE - 1, top = blockIdx.y * TILE - 1;
    for (int k = threadIdx.y * TILE + threadIdx.x; k < (TILE + 2) * (TILE + 2); k += TILE * TILE) {
        const int r = min(max(top + k / (TILE + 2), 0), height - 1), c = min(max(left + k % (TILE + 2), 0), width - 1);
        tile[k / (TILE + 2)][k % (TILE + 2)] = x[r * width + c];
    }
    __syncthreads();
    const int c = left + 1 + threadIdx.x, r = top + 1 + threadIdx.y;
    if (r >= height || c >= width) return;
    float sum = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) sum += sharpen[i][j] * tile[threadIdx.y + i][threadIdx.x + j];
    y[r * width + c] = sum;
}

// The constant taps along one axis of an image; twice makes the two-dimensional filter.
template <bool Vertical>
__device__ void separable(const float *x, float *y, int height, int width) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    if (r >= height || c >= width) return;
    float sum = 0;
    for (int k = -RADIUS; k <= RADIUS; k++) {
        const int rr = Vertical ? r + k : r, cc = Vertical ? c : c + k;
        if (rr >= 0 && rr < height && cc >= 0 && cc < width) sum += taps[k + RADIUS] * x[rr * width + cc];
    }
    y[r * width + c] = sum;
}
extern "C" __global__ void separable_rows(const float *x, float *y, int height, int width) { separable<false>(x, y, height, width); }
extern "C" __global__ void separable_columns(const float *x, float *y, int height, int width) { separable<true>(x, y, height, width); }

// Mean of 3 x 3 RGBA pixels, rounded down, edges repeated.
extern "C" __global__ void box_filter(const uchar4 *x, uchar4 *y, int height, int width) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    if (r >= height || c >= width) return;
    uint4 sum = make_uint4(0, 0, 0, 0);
    for (int i = -1; i <= 1; i++)
        for (int j = -1; j <= 1; j++) {
            const uchar4 p = x[min(max(r + i, 0), height - 1) * width + min(max(c + j, 0), width - 1)];
            sum.x += p.x; sum.y += p.y; sum.z += p.z; sum.w += p.w;
        }
    y[r * width + c] = make_uchar4(sum.x / 9, sum.y / 9, sum.z / 9, sum.w / 9);
}
