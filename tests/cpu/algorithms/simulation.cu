// Random numbers, fractals, particles and clustering.
//
// Launch:  one thread per pixel, particle, point or stream; pi_*: one atomic per block of 128.

typedef unsigned int u32;
typedef unsigned long long u64;

extern "C" __global__ void mandelbrot(unsigned short *out, int height, int width, int limit) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    if (r >= height || c >= width) return;
    const double x = -2.0 + 3.0 * c / width, y = -1.5 + 3.0 * r / height;
    double a = 0, b = 0;
    int k = 0;
    for (; k < limit && a * a + b * b <= 4.0; k++) {
        const double next = a * a - b * b + x;
        b = 2 * a * b + y;
        a = next;
    }
    out[r * width + c] = k;
}

struct Lcg {
    u64 state;
    __device__ Lcg(u64 seed) : state(seed * 6364136223846793005ull + 1442695040888963407ull) {}
    __device__ u32 next() { state = state * 6364136223846793005ull + 1442695040888963407ull; return state >> 32; }
};

struct Xorshift {
    u32 x, y, z, w;
    __device__ Xorshift(u64 seed) : x(seed | 1), y(362436069), z(521288629), w(88675123) {}
    __device__ u32 next() { const u32 t = x ^ x << 11; x = y; y = z; z = w; return w = w ^ w >> 19 ^ t ^ t >> 8; }
};

// Philox 4x32-10, one counter block for every four numbers.
struct Philox {
    uint4 counter, out;
    uint2 key;
    int left;
    __device__ Philox(u64 seed) : counter(make_uint4(0, 0, 0, 0)), key(make_uint2(seed, seed >> 32)), left(0) {}
    __device__ u32 next() {
        if (!left) {
            uint4 c = counter;
            uint2 k = key;
#pragma unroll
            for (int round = 0; round < 10; round++) {
                const u32 high0 = __umulhi(0xD2511F53u, c.x), low0 = 0xD2511F53u * c.x, high1 = __umulhi(0xCD9E8D57u, c.z), low1 = 0xCD9E8D57u * c.z;
                c = make_uint4(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
                k.x += 0x9E3779B9u;
                k.y += 0xBB67AE85u;
            }
            out = c;
            counter.x++;
            left = 4;
        }
        left--;
        return left == 3 ? out.x : left == 2 ? out.y : left == 1 ? out.z : out.w;
    }
};

template <class Generator>
__device__ void estimate(u64 *inside, u32 *last, int rounds) {
    const u64 i = blockIdx.x * blockDim.x + threadIdx.x;
    Generator random(i);
    u32 hits = 0, x = 0;
    for (int k = 0; k < rounds; k++) {
        x = random.next();
        const u64 a = x >> 8, b = random.next() >> 8;
        hits += a * a + b * b < 1ull << 48;
    }
    last[i] = x;
    __shared__ u32 total;
    if (!threadIdx.x) total = 0;
    __syncthreads();
    atomicAdd(&total, hits);
    __syncthreads();
    if (!threadIdx.x) atomicAdd(inside, (u64)total);
}
extern "C" __global__ void pi_lcg(u64 *inside, u32 *last, int rounds) { estimate<Lcg>(inside, last, rounds); }
extern "C" __global__ void pi_xorshift(u64 *inside, u32 *last, int rounds) { estimate<Xorshift>(inside, last, rounds); }
extern "C" __global__ void pi_philox(u64 *inside, u32 *last, int rounds) { estimate<Philox>(inside, last, rounds); }

// Accelerations, with the bodies of a tile in shared memory.
extern "C" __global__ void nbody(const float4 *bodies, float3 *out, int n) {
    __shared__ float4 tile[64];
    const int i = blockIdx.x * 64 + threadIdx.x;
    const float4 me = i < n ? bodies[i] : make_float4(0, 0, 0, 0);
    float3 sum = make_float3(0, 0, 0);
    for (int start = 0; start < n; start += 64) {
        __syncthreads();
        tile[threadIdx.x] = start + threadIdx.x < n ? bodies[start + threadIdx.x] : make_float4(0, 0, 0, 0);
        __syncthreads();
        for (int j = 0; j < 64; j++) {
            const float x = tile[j].x - me.x, y = tile[j].y - me.y, z = tile[j].z - me.z;
            const float inverse = rsqrtf(x * x + y * y + z * z + 1e-3f), s = tile[j].w * inverse * inverse * inverse;
            sum.x += x * s; sum.y += y * s; sum.z += z * s;
        }
    }
    if (i < n) out[i] = sum;
}

// Assignment to the nearest of `clusters` centres, and the sums for the next ones.
extern "C" __global__ void kmeans(const float2 *points, const float2 *centres, int *nearest, float2 *sums, int *counts, int n, int clusters) {
    extern __shared__ float2 own[];
    for (int c = threadIdx.x; c < clusters; c += blockDim.x) own[c] = centres[c];
    __syncthreads();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int best = 0;
    float least = 1e30f;
    for (int c = 0; c < clusters; c++) {
        const float d = hypotf(points[i].x - own[c].x, points[i].y - own[c].y);
        if (d < least) { least = d; best = c; }
    }
    nearest[i] = best;
    atomicAdd(&sums[best].x, points[i].x);
    atomicAdd(&sums[best].y, points[i].y);
    atomicAdd(&counts[best], 1);
}

// Black and Scholes, in double.
__device__ double phi(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }
extern "C" __global__ void options(const double *spot, const double *strike, const double *years, double *call, double rate, double sigma, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const double root = sigma * sqrt(years[i]), d1 = (log(spot[i] / strike[i]) + (rate + 0.5 * sigma * sigma) * years[i]) / root;
    call[i] = spot[i] * phi(d1) - strike[i] * exp(-rate * years[i]) * phi(d1 - root);
}

// Fourth-order Runge-Kutta of a pendulum.
extern "C" __global__ void pendulum(double2 *state, double step, int steps, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double a = state[i].x, w = state[i].y;
    for (int k = 0; k < steps; k++) {
        const double a1 = w, w1 = -sin(a), a2 = w + 0.5 * step * w1, w2 = -sin(a + 0.5 * step * a1);
        const double a3 = w + 0.5 * step * w2, w3 = -sin(a + 0.5 * step * a2), a4 = w + step * w3, w4 = -sin(a + step * a3);
        a += step / 6 * (a1 + 2 * a2 + 2 * a3 + a4);
        w += step / 6 * (w1 + 2 * w2 + 2 * w3 + w4);
    }
    state[i] = make_double2(a, w);
}
