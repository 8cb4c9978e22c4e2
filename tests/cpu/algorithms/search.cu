// Backtracking, strings and dynamic programming.
//
// Launch:  queens_*: one thread per first column (or pair of columns), counts added with an atomic; find: any grid of 128;
//          levenshtein: one block, one thread per character of a, dynamic shared memory of 12 (na + 1) bytes;
//          knapsack: one block; the rest: one thread per query.

__device__ int place_queens(int n, unsigned int columns, unsigned int left, unsigned int right) {
    if (columns == (1u << n) - 1) return 1;
    int count = 0;
    for (unsigned int open = ~(columns | left | right) & ((1u << n) - 1); open; open &= open - 1) {
        const unsigned int bit = open & -open;
        count += place_queens(n, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

extern "C" __global__ void queens_recursive(int n, int *count) {
    if (threadIdx.x >= n) return;
    const unsigned int bit = 1u << threadIdx.x;
    atomicAdd(count, place_queens(n, bit, bit << 1, bit >> 1));
}

// An explicit stack of open columns, in local memory.
extern "C" __global__ void queens_iterative(int n, int *count) {
    const int first = blockIdx.x, second = threadIdx.x;
    if (second >= n || abs(first - second) < 2) return;
    const unsigned int all = (1u << n) - 1;
    unsigned int columns[20], left[20], right[20], open[20];
    int depth = 2, found = 0;
    columns[2] = 1u << first | 1u << second;
    left[2] = (1u << first << 1 | 1u << second) << 1;
    right[2] = (1u << first >> 1 | 1u << second) >> 1;
    open[2] = ~(columns[2] | left[2] | right[2]) & all;
    while (depth >= 2) {
        if (depth == n) { found++; depth--; continue; }
        if (!open[depth]) { depth--; continue; }
        const unsigned int bit = open[depth] & -open[depth];
        open[depth] ^= bit;
        columns[depth + 1] = columns[depth] | bit;
        left[depth + 1] = (left[depth] | bit) << 1;
        right[depth + 1] = (right[depth] | bit) >> 1;
        depth++;
        open[depth] = ~(columns[depth] | left[depth] | right[depth]) & all;
    }
    if (found) atomicAdd(count, found);
}

__device__ int ackermann(int m, int n) { return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }
extern "C" __global__ void recurse(int *out) { out[threadIdx.x] = ackermann(threadIdx.x & 1 ? 1 : 2, threadIdx.x / 2); }

// Every place where the pattern starts, and the first of them.
extern "C" __global__ void find(const char *text, int n, const char *pattern, int m, int *hits, int *first) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i + m > n) return;
    for (int j = 0; j < m; j++)
        if (text[i + j] != pattern[j]) return;
    atomicAdd(hits, 1);
    atomicMin(first, i);
}

// Edit distance along antidiagonals: thread i holds row i + 1.
extern "C" __global__ void levenshtein(const char *a, int na, const char *b, int nb, int *distance) {
    extern __shared__ int lines[];
    int *before_last = lines, *last = lines + na + 1, *now = lines + 2 * (na + 1);
    const int row = threadIdx.x + 1;
    for (int d = 0; d <= na + nb; d++) {
        for (int r = threadIdx.x; r <= na; r += blockDim.x) {
            const int c = d - r;
            if (c < 0 || c > nb) continue;
            if (r == 0) now[r] = c;
            else if (c == 0) now[r] = r;
            else now[r] = min(min(last[r - 1], last[r]) + 1, before_last[r - 1] + (a[r - 1] != b[c - 1]));
        }
        __syncthreads();
        int *swap = before_last; before_last = last; last = now; now = swap;
    }
    if (row == 1) *distance = last[na];
}

// 0/1 knapsack: one barrier pair per item.
extern "C" __global__ void knapsack(const int *weights, const int *worths, int items, int *best, int room) {
    for (int item = 0; item < items; item++) {
        int better[8], count = 0;
        for (int c = threadIdx.x; c <= room; c += blockDim.x)
            better[count++] = c >= weights[item] ? max(best[c], best[c - weights[item]] + worths[item]) : best[c];
        __syncthreads();
        count = 0;
        for (int c = threadIdx.x; c <= room; c += blockDim.x) best[c] = better[count++];
        __syncthreads();
    }
}

extern "C" __global__ void lower_bound(const double *sorted, int n, const double *queries, int *out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int low = 0, size = n;
    while (size > 0) {
        const int half = size >> 1;
        if (sorted[low + half] < queries[i]) { low += half + 1; size -= half + 1; } else size = half;
    }
    out[i] = low;
}

// How many steps the 3n + 1 sequence takes: threads leave their loop at very different times.
extern "C" __global__ void collatz(const unsigned long long *start, int *steps, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    unsigned long long value = start[i];
    int taken = 0;
    while (value != 1) { value = value & 1 ? 3 * value + 1 : value >> 1; taken++; }
    steps[i] = taken;
}

__device__ unsigned long long gcd(unsigned long long a, unsigned long long b) { return b ? gcd(b, a % b) : a; }
extern "C" __global__ void greatest_divisor(const unsigned long long *a, const unsigned long long *b, unsigned long long *out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = gcd(a[i], b[i]);
}
