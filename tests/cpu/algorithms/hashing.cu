// Hash functions, checksums, and a hash table.
//
// Shapes:  messages of `length` bytes, one after the other; one thread each.
// Launch:  any grid of 64 that covers the messages (or keys); crc32: one block of 256.

typedef unsigned int u32;
typedef unsigned long long u64;

extern "C" __global__ void fnv1a(const unsigned char *text, int length, u64 *out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    u64 hash = 14695981039346656037ull;
    for (int j = 0; j < length; j++) hash = (hash ^ text[i * length + j]) * 1099511628211ull;
    out[i] = hash;
}

__device__ __forceinline__ u32 rotate(u32 x, int by) { return x << by | x >> (32 - by); }

extern "C" __global__ void murmur3(const unsigned char *text, int length, u32 seed, u32 *out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const unsigned char *bytes = text + i * length;
    u32 hash = seed;
    int j = 0;
    for (; j + 4 <= length; j += 4) {
        const u32 word = bytes[j] | bytes[j + 1] << 8 | bytes[j + 2] << 16 | (u32)bytes[j + 3] << 24;
        hash = rotate(hash ^ rotate(word * 0xcc9e2d51u, 15) * 0x1b873593u, 13) * 5 + 0xe6546b64u;
    }
    u32 tail = 0;
    switch (length & 3) {
        case 3: tail ^= bytes[j + 2] << 16;
        case 2: tail ^= bytes[j + 1] << 8;
        case 1: tail ^= bytes[j]; hash ^= rotate(tail * 0xcc9e2d51u, 15) * 0x1b873593u;
    }
    hash ^= length;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    out[i] = hash ^ hash >> 16;
}

__constant__ u32 round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

__device__ u32 right(u32 x, int by) { return __funnelshift_r(x, x, by); }

// Messages of up to 55 bytes fit into one padded block.
extern "C" __global__ void sha256(const unsigned char *text, int length, u32 *out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    u32 w[64], s[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}, h[8];
    for (int j = 0; j < 16; j++) {
        u32 word = 0;
        for (int b = 4 * j; b < 4 * j + 4; b++) word = word << 8 | (b < length ? text[i * length + b] : b == length ? 0x80 : 0);
        w[j] = word;
    }
    w[15] = length * 8;
    for (int j = 16; j < 64; j++) {
        const u32 a = w[j - 15], b = w[j - 2];
        w[j] = w[j - 16] + (right(a, 7) ^ right(a, 18) ^ a >> 3) + w[j - 7] + (right(b, 17) ^ right(b, 19) ^ b >> 10);
    }
    for (int j = 0; j < 8; j++) h[j] = s[j];
    for (int j = 0; j < 64; j++) {
        const u32 t1 = h[7] + (right(h[4], 6) ^ right(h[4], 11) ^ right(h[4], 25)) + (h[4] & h[5] ^ ~h[4] & h[6]) + round_constants[j] + w[j];
        const u32 t2 = (right(h[0], 2) ^ right(h[0], 13) ^ right(h[0], 22)) + (h[0] & h[1] ^ h[0] & h[2] ^ h[1] & h[2]);
        for (int k = 7; k; k--) h[k] = h[k - 1];
        h[4] += t1;
        h[0] = t1 + t2;
    }
    for (int j = 0; j < 8; j++) out[8 * i + j] = __byte_perm(s[j] + h[j], 0, 0x0123);
}

// The table is made by the block, then every thread takes one message.
extern "C" __global__ void crc32(const unsigned char *text, int length, u32 *out, int count) {
    __shared__ u32 table[256];
    u32 entry = threadIdx.x;
    for (int bit = 0; bit < 8; bit++) entry = entry & 1 ? entry >> 1 ^ 0xedb88320u : entry >> 1;
    table[threadIdx.x] = entry;
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        u32 crc = ~0u;
        for (int j = 0; j < length; j++) crc = table[(crc ^ text[i * length + j]) & 255] ^ crc >> 8;
        out[i] = ~crc;
    }
}

// Open addressing, linear probing: a key is claimed by compare and swap, its values are added up.
extern "C" __global__ void insert(const u32 *keys, const int *values, u64 *table, int *sums, int slots, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const u64 key = keys[i] + 1ull;
    for (u32 slot = keys[i] * 2654435769u % slots;; slot = (slot + 1) % slots) {
        const u64 found = atomicCAS(&table[slot], 0ull, key);
        if (found == 0 || found == key) { atomicAdd(&sums[slot], values[i]); return; }
    }
}

extern "C" __global__ void look_up(const u32 *keys, const u64 *table, const int *sums, int *out, int slots, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    u32 slot = keys[i] * 2654435769u % slots;
    while (table[slot] && table[slot] != keys[i] + 1ull) slot = slot + 1 == slots ? 0 : slot + 1;
    out[i] = table[slot] ? sums[slot] : -1;
}
