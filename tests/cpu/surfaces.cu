// Every way to read and write a surface, one kernel each: lane i has its coordinates at x[i], y[i], z[i].
#define LANE int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= n) return
typedef cudaSurfaceObject_t Object;
template <int MODE> __device__ constexpr cudaSurfaceBoundaryMode mode() {
    return MODE == 0 ? cudaBoundaryModeTrap : MODE == 1 ? cudaBoundaryModeClamp : cudaBoundaryModeZero;
}
#define READ(name, call) \
    template <int M> __device__ void name##_(Object s, float *out, const int *x, const int *y, const int *z, int n) { LANE; out[i] = call; } \
    extern "C" __global__ void name##_trap(Object s, float *o, const int *x, const int *y, const int *z, int n) { name##_<0>(s, o, x, y, z, n); } \
    extern "C" __global__ void name##_clamp(Object s, float *o, const int *x, const int *y, const int *z, int n) { name##_<1>(s, o, x, y, z, n); } \
    extern "C" __global__ void name##_zero(Object s, float *o, const int *x, const int *y, const int *z, int n) { name##_<2>(s, o, x, y, z, n); }
READ(read_one, surf1Dread<float>(s, 4 * x[i], mode<M>()))
READ(read_two, surf2Dread<float>(s, 4 * x[i], y[i], mode<M>()))
READ(read_three, surf3Dread<float>(s, 4 * x[i], y[i], z[i], mode<M>()))
READ(read_one_layered, surf1DLayeredread<float>(s, 4 * x[i], y[i], mode<M>()))
READ(read_two_layered, surf2DLayeredread<float>(s, 4 * x[i], y[i], z[i], mode<M>()))
READ(read_cube, surfCubemapread<float>(s, 4 * x[i], y[i], z[i], mode<M>()))
#define WRITE(name, call) \
    template <int M> __device__ void name##_(Object s, const float *v, const int *x, const int *y, const int *z, int n) { LANE; call; } \
    extern "C" __global__ void name##_trap(Object s, float *v, const int *x, const int *y, const int *z, int n) { name##_<0>(s, v, x, y, z, n); } \
    extern "C" __global__ void name##_clamp(Object s, float *v, const int *x, const int *y, const int *z, int n) { name##_<1>(s, v, x, y, z, n); } \
    extern "C" __global__ void name##_zero(Object s, float *v, const int *x, const int *y, const int *z, int n) { name##_<2>(s, v, x, y, z, n); }
WRITE(write_one, surf1Dwrite(v[i], s, 4 * x[i], mode<M>()))
WRITE(write_two, surf2Dwrite(v[i], s, 4 * x[i], y[i], mode<M>()))
WRITE(write_three, surf3Dwrite(v[i], s, 4 * x[i], y[i], z[i], mode<M>()))
WRITE(write_one_layered, surf1DLayeredwrite(v[i], s, 4 * x[i], y[i], mode<M>()))
WRITE(write_two_layered, surf2DLayeredwrite(v[i], s, 4 * x[i], y[i], z[i], mode<M>()))
WRITE(write_cube, surfCubemapwrite(v[i], s, 4 * x[i], y[i], z[i], mode<M>()))

#define MOVE(name, T) extern "C" __global__ void name(Object from, Object to, int width) { \
    int x = threadIdx.x, y = blockIdx.x; if (x < width) surf2Dwrite(surf2Dread<T>(from, x * (int)sizeof(T), y), to, (width - 1 - x) * (int)sizeof(T), y); }
MOVE(move_uchar, unsigned char) MOVE(move_short, short) MOVE(move_int, int) MOVE(move_long, long long)
MOVE(move_uchar2, uchar2) MOVE(move_uchar4, uchar4) MOVE(move_short4, short4) MOVE(move_float4, float4) MOVE(move_long2, longlong2)

// Swaps neighbours in place: each thread reads two texels, and writes both.
extern "C" __global__ void swap(Object s) {
    int x = 8 * threadIdx.x, y = blockIdx.x;
    float a = surf2Dread<float>(s, x, y), b = surf2Dread<float>(s, x + 4, y);
    surf2Dwrite(b, s, x, y);
    surf2Dwrite(a, s, x + 4, y);
}

// One step of heat, from what the last one left to the other surface; read by texture with the edge repeated.
extern "C" __global__ void diffuse(cudaTextureObject_t from, Object to, int width, int height, float rate) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    float here = tex2D<float>(from, x, y);
    float around = tex2D<float>(from, x - 1, y) + tex2D<float>(from, x + 1, y) + tex2D<float>(from, x, y - 1) + tex2D<float>(from, x, y + 1);
    surf2Dwrite(here + rate * (around - 4 * here), to, 4 * x, y);
}

// The same by surfaces alone.
extern "C" __global__ void diffuse_surface(Object from, Object to, int width, int height, float rate) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    auto at = [=](int i, int j) { return surf2Dread<float>(from, 4 * i, j, cudaBoundaryModeClamp); };
    float here = at(x, y);
    surf2Dwrite(here + rate * (at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4 * here), to, 4 * x, y);
}

// Halves an image of bytes: each texel is the mean of four, between which a texture reads.
extern "C" __global__ void halve(cudaTextureObject_t from, Object to, int width, int height) {
    int x = threadIdx.x, y = blockIdx.x;
    if (x >= width || y >= height) return;
    uchar4 out;
    float4 mean = tex2D<float4>(from, 2 * x + 1.f, 2 * y + 1.f);
    out.x = (unsigned char)(mean.x * 255 + 0.5f), out.y = (unsigned char)(mean.y * 255 + 0.5f);
    out.z = (unsigned char)(mean.z * 255 + 0.5f), out.w = (unsigned char)(mean.w * 255 + 0.5f);
    surf2Dwrite(out, to, 4 * x, y);
}

// A histogram in a surface of one row.
extern "C" __global__ void histogram(Object bins, const unsigned char *x, int n) {
    LANE;
    asm volatile("sured.b.add.1d.u32.trap [%0, {%1}], %2;" :: "l"(bins), "r"(4 * x[i]), "r"(1u) : "memory");
}
