// Graphs in compressed rows: the edges of node v are edges[starts[v]] up to edges[starts[v + 1]].
//
// Launch:  bfs, components: one block, looping until nothing changes; the others: any grid of 128 that covers the nodes.

extern "C" __global__ void bfs(const int *starts, const int *edges, int *depth, int n) {
    __shared__ int changed;
    int level = 0;
    do {
        __syncthreads();
        if (!threadIdx.x) changed = 0;
        __syncthreads();
        for (int v = threadIdx.x; v < n; v += blockDim.x) {
            if (depth[v] != level) continue;
            for (int e = starts[v]; e < starts[v + 1]; e++)
                if (atomicCAS(&depth[edges[e]], -1, level + 1) == -1) changed = 1;
        }
        level++;
        __syncthreads();
    } while (changed);
}

// One level over all blocks: a frontier in, the next frontier out.
extern "C" __global__ void bfs_frontier(const int *starts, const int *edges, int *depth, const int *frontier, int size, int *next, int *next_size, int level) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    for (int e = starts[frontier[i]]; e < starts[frontier[i] + 1]; e++)
        if (atomicCAS(&depth[edges[e]], -1, level) == -1) next[atomicAdd(next_size, 1)] = edges[e];
}

__device__ int root_of(int *parent, int v) {
    while (true) {
        const int p = ((volatile int *)parent)[v];
        if (p == v) return v;
        const int q = ((volatile int *)parent)[p];
        atomicCAS(&parent[v], p, q);
        v = p;
    }
}

// Union by compare and swap: the larger root is hung below the smaller one.
extern "C" __global__ void unite(const int2 *pairs, int count, int *parent) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int a = root_of(parent, pairs[i].x), b = root_of(parent, pairs[i].y);
    while (a != b) {
        if (a < b) { const int swap = a; a = b; b = swap; }
        const int found = atomicCAS(&parent[a], a, b);
        if (found == a) break;
        a = root_of(parent, found);
        b = root_of(parent, b);
    }
}

extern "C" __global__ void flatten(int *parent, int n) {
    const int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v < n) atomicExch(&parent[v], root_of(parent, v));  // others shorten the same path
}

// Labels spread along edges until none gets smaller.
extern "C" __global__ void components(const int *starts, const int *edges, int *label, int n) {
    while (true) {
        int smaller = 0;
        for (int v = threadIdx.x; v < n; v += blockDim.x)
            for (int e = starts[v]; e < starts[v + 1]; e++) {
                const int own = label[v];
                if (atomicMin(&label[edges[e]], own) > own) smaller = 1;
            }
        if (!__syncthreads_or(smaller)) break;
    }
}

// Bellman and Ford: as many launches as nodes, or until nothing was relaxed.
extern "C" __global__ void relax(const int *starts, const int *edges, const unsigned int *weights, unsigned int *distance, int *relaxed, int n) {
    const int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n || distance[v] == ~0u) return;
    for (int e = starts[v]; e < starts[v + 1]; e++) {
        const unsigned int through = distance[v] + weights[e];
        if (atomicMin(&distance[edges[e]], through) > through) *relaxed = 1;
    }
}

// All pairs, one launch per middle node.
extern "C" __global__ void floyd_warshall(int *d, int n, int middle) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    if (r < n && c < n) d[r * n + c] = min(d[r * n + c], d[r * n + middle] + d[middle * n + c]);
}

// Each triangle once: sorted neighbour lists are intersected.
extern "C" __global__ void triangles(const int *starts, const int *edges, unsigned long long *count, int n) {
    const int v = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned int found = 0;
    if (v < n)
        for (int e = starts[v]; e < starts[v + 1]; e++) {
            const int w = edges[e];
            if (w <= v) continue;
            int i = starts[v], j = starts[w];
            while (i < starts[v + 1] && j < starts[w + 1]) {
                if (edges[i] == edges[j]) { found += edges[i] > w; i++; j++; }
                else if (edges[i] < edges[j]) i++;
                else j++;
            }
        }
    found += __shfl_down_sync(~0u, found, 16);
    for (int step = 8; step; step >>= 1) found += __shfl_down_sync(~0u, found, step);
    if ((threadIdx.x & 31) == 0 && found) atomicAdd(count, (unsigned long long)found);
}

// One step of the power iteration, pulled along incoming edges.
extern "C" __global__ void pagerank(const int *starts, const int *edges, const int *degree, const double *rank, double *next, int n) {
    const int v = blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= n) return;
    double sum = 0;
    for (int e = starts[v]; e < starts[v + 1]; e++) sum += rank[edges[e]] / degree[edges[e]];
    next[v] = 0.15 / n + 0.85 * sum;
}
