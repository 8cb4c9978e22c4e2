// Every way to read a texture, one kernel each: results of lane i at out[4 * i].
#define LANE int i = blockIdx.x * blockDim.x + threadIdx.x; if (i >= n) return
#define GIVE(v) float4 v_ = (v); out[4 * i] = v_.x; out[4 * i + 1] = v_.y; out[4 * i + 2] = v_.z; out[4 * i + 3] = v_.w
typedef cudaTextureObject_t Object;

extern "C" __global__ void one(Object t, float *out, const float *x, int n) { LANE; GIVE(tex1D<float4>(t, x[i])); }
extern "C" __global__ void two(Object t, float *out, const float *x, const float *y, int n) { LANE; GIVE(tex2D<float4>(t, x[i], y[i])); }
extern "C" __global__ void three(Object t, float *out, const float *x, const float *y, const float *z, int n) {
    LANE; GIVE(tex3D<float4>(t, x[i], y[i], z[i]));
}
extern "C" __global__ void one_layered(Object t, float *out, const float *x, const int *layer, int n) {
    LANE; GIVE(tex1DLayered<float4>(t, x[i], layer[i]));
}
extern "C" __global__ void two_layered(Object t, float *out, const float *x, const float *y, const int *layer, int n) {
    LANE; GIVE(tex2DLayered<float4>(t, x[i], y[i], layer[i]));
}
extern "C" __global__ void cube(Object t, float *out, const float *x, const float *y, const float *z, int n) {
    LANE; GIVE(texCubemap<float4>(t, x[i], y[i], z[i]));
}
extern "C" __global__ void cube_layered(Object t, float *out, const float *x, const float *y, const float *z, const int *layer, int n) {
    LANE; GIVE(texCubemapLayered<float4>(t, x[i], y[i], z[i], layer[i]));
}
extern "C" __global__ void level(Object t, float *out, const float *x, const float *y, int n) {
    LANE; GIVE(tex2DLod<float4>(t, x[i], y[i], 3.f));
}
extern "C" __global__ void gradient(Object t, float *out, const float *x, const float *y, int n) {
    LANE; GIVE(tex2DGrad<float4>(t, x[i], y[i], make_float2(1, 2), make_float2(3, 4)));
}
extern "C" __global__ void gather(Object t, float *out, const float *x, const float *y, int channel, int n) {
    LANE;
    if (channel == 0) { GIVE(tex2Dgather<float4>(t, x[i], y[i], 0)); }
    else { GIVE(tex2Dgather<float4>(t, x[i], y[i], 3)); }
}
template <typename T> __device__ void fetched(Object t, T *out, const int *index, int n) { LANE; out[i] = tex1Dfetch<T>(t, index[i]); }
extern "C" __global__ void fetch_float(Object t, float *out, const int *index, int n) { fetched(t, out, index, n); }
extern "C" __global__ void fetch_int(Object t, int *out, const int *index, int n) { fetched(t, out, index, n); }
extern "C" __global__ void fetch_uint(Object t, unsigned *out, const int *index, int n) { fetched(t, out, index, n); }
extern "C" __global__ void fetch_short(Object t, short *out, const int *index, int n) { fetched(t, out, index, n); }
extern "C" __global__ void fetch_uchar(Object t, unsigned char *out, const int *index, int n) { fetched(t, out, index, n); }
extern "C" __global__ void fetch_pair(Object t, short2 *out, const int *index, int n) { fetched(t, out, index, n); }

// Lanes that read through different objects, and lanes that have none.
extern "C" __global__ void several(const Object *objects, float *out, const float *x, int n) {
    LANE;
    out[i] = i % 5 == 0 ? -1.f : tex1D<float>(objects[i % 5], x[i]);
}
extern "C" __global__ void same(Object t, float *out) { if (threadIdx.x == 0) out[0] = tex2D<float>(t, 1.f, 0.5f); }
