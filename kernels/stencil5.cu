// stencil5: one explicit step of the heat equation on a grid, with the five-point Laplacian.
//
// Shapes:     u[height][width], out[height][width], row-major and not overlapping. height = 0 or width = 0 touches no
//             memory.
// Types:      u, out, alpha float; height, width unsigned int.
// Launch:     grid (any >= 1, any >= 1), block (any, any), no dynamic shared memory; x runs along the width. One thread
//             per cell is the fast choice; a smaller grid loops over the plane.
// Reference:  out = u + alpha (north + south + west + east - 4 u); a neighbour outside the plane has the value of the
//             cell itself, so that nothing flows through the edge.
// Tolerance:  |error| <= 8 u (|u| + |alpha| (|north| + |south| + |west| + |east| + 4 |u|)), u = 2^-24

extern "C" __global__ void stencil5(const float* __restrict__ u, float* __restrict__ out, unsigned int height,
                                    unsigned int width, float alpha)
{
    const size_t row_stride = size_t(gridDim.y) * blockDim.y;
    const size_t col_stride = size_t(gridDim.x) * blockDim.x;
    for (size_t row = size_t(blockIdx.y) * blockDim.y + threadIdx.y; row < height; row += row_stride) {
        for (size_t col = size_t(blockIdx.x) * blockDim.x + threadIdx.x; col < width; col += col_stride) {
            const size_t cell = row * width + col;
            const float centre = u[cell];
            const float north = row > 0 ? u[cell - width] : centre;
            const float south = row + 1 < height ? u[cell + width] : centre;
            const float west = col > 0 ? u[cell - 1] : centre;
            const float east = col + 1 < width ? u[cell + 1] : centre;
            out[cell] = centre + alpha * ((north + south) + (west + east) - 4.0f * centre);
        }
    }
}
