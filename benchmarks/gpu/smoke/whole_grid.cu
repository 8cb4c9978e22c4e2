// A kernel whose blocks wait for each other; apart from the others for the sake of its header, which takes a second.
#include <cooperative_groups.h>

extern "C" __global__ void across_the_grid(float *x, float *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] += 1;
    cooperative_groups::this_grid().sync();
    if (i < n) out[i] = x[n - 1 - i];
}
