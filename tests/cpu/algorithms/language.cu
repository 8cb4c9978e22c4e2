// What C++ compiles to: calls through pointers, classes, templates, structures by value, the heap, printf, assert.
//
// Launch:  one thread per element, any grid, unless a kernel says otherwise.

#include <cuda_fp16.h>

typedef float (*Function)(float, float);
__device__ float add(float a, float b) { return a + b; }
__device__ float subtract(float a, float b) { return a - b; }
__device__ float multiply(float a, float b) { return a * b; }
__device__ float mean(float a, float b) { return 0.5f * (a + b); }
__device__ Function table_in_memory[4] = {add, subtract, multiply, mean};
__constant__ Function table_in_constants[4] = {mean, multiply, subtract, add};

extern "C" __global__ void by_table(const int *which, const float *a, const float *b, float *x, float *y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    x[i] = table_in_memory[which[i]](a[i], b[i]);
    y[i] = table_in_constants[which[i]](a[i], b[i]);
}

struct Shape {
    __device__ virtual float area() const = 0;
    __device__ virtual int corners() const { return 0; }
    __device__ virtual ~Shape() {}
};
struct Circle : Shape {
    float r;
    __device__ Circle(float r) : r(r) {}
    __device__ float area() const override { return 3.0f * r * r; }
};
struct Rectangle : Shape {
    float a, b;
    __device__ Rectangle(float a, float b) : a(a), b(b) {}
    __device__ float area() const override { return a * b; }
    __device__ int corners() const override { return 4; }
};
struct Square : Rectangle {
    __device__ Square(float a) : Rectangle(a, a) {}
    __device__ float area() const override { return Rectangle::area() + 0.5f; }
};

extern "C" __global__ void virtual_functions(const float *size, float *area, int *corners, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Shape *shape;
    if (i % 3 == 0) shape = new Circle(size[i]);
    else if (i % 3 == 1) shape = new Rectangle(size[i], 2);
    else shape = new Square(size[i]);
    area[i] = shape->area();
    corners[i] = shape->corners();
    delete shape;
}

template <int N> struct Power {
    template <class T> static __device__ T of(T x) { return N & 1 ? x * Power<N / 2>::of(x * x) : Power<N / 2>::of(x * x); }
};
template <> struct Power<0> {
    template <class T> static __device__ T of(T) { return T(1); }
};
template <class... Ts> __device__ auto sum_of(Ts... values) { return (values + ... + 0); }

extern "C" __global__ void templates(const int *x, long long *out, double *real, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    auto twice = [k = x[i]](auto f) { return f(f(k)); };
    out[i] = Power<5>::of((long long)x[i]) + sum_of(x[i], 2, 3ll) + twice([](int v) { return v * 3 + 1; });
    real[i] = Power<6>::of((double)x[i]);
}

struct Inner { char tag; short pair[3]; double weight; };
struct Outer { Inner inner[2]; unsigned char bytes[5]; float matrix[3][2]; };

__device__ __noinline__ Outer turned(Outer value, int by) {
    value.inner[0].weight += by;
    value.bytes[4] ^= by;
    for (int r = 0; r < 3; r++) { const float swap = value.matrix[r][0]; value.matrix[r][0] = value.matrix[r][1]; value.matrix[r][1] = swap; }
    return value;
}

extern "C" __global__ void structure_by_value(Outer value, Outer *out, double *sum) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const Outer got = turned(value, i);
    out[i] = got;
    double total = 0;
    for (int k = 0; k < 2; k++) total += got.inner[k].tag + got.inner[k].pair[i % 3] + got.inner[k].weight;
    sum[i] = total + got.bytes[i % 5] + got.matrix[i % 3][1];
}

struct Flags { unsigned int low : 3; int middle : 7; unsigned int high : 22; };
extern "C" __global__ void bit_fields(const unsigned int *x, int *out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Flags f = *reinterpret_cast<const Flags *>(x + i);
    f.middle -= 3;
    f.low++;
    union { Flags fields; unsigned int word; } view = {f};
    out[i] = view.word + f.middle;
}

struct Node { int value; Node *next; };
// A list per thread on the heap, reversed in place, summed with positions, freed.
extern "C" __global__ void linked_list(const int *lengths, long long *out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Node *head = nullptr;
    for (int k = 0; k < lengths[i]; k++) {
        Node *node = (Node *)malloc(sizeof(Node));
        node->value = i + k;
        node->next = head;
        head = node;
    }
    Node *turned = nullptr;
    while (head) { Node *next = head->next; head->next = turned; turned = head; head = next; }
    long long sum = 0;
    for (int k = 1; turned; k++) {
        sum += (long long)k * turned->value;
        Node *next = turned->next;
        free(turned);
        turned = next;
    }
    out[i] = sum;
}

__device__ Node *stack_top;
// A stack that threads push onto at once, by compare and swap on a pointer.
extern "C" __global__ void push_all(int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Node *node = new Node{i, nullptr};
    unsigned long long seen, want;
    do {
        seen = *(volatile unsigned long long *)&stack_top;
        node->next = (Node *)seen;
        want = atomicCAS((unsigned long long *)&stack_top, seen, (unsigned long long)node);
    } while (want != seen);
}
extern "C" __global__ void pop_all(int *seen, int *count) {
    for (Node *node = stack_top; node;) {
        seen[node->value]++;
        ++*count;
        Node *next = node->next;
        delete node;
        node = next;
    }
    stack_top = nullptr;
}

extern "C" __global__ void report(const float *x, int n) {
    const int i = threadIdx.x;
    if (i < n) printf("%d: %5.2f %s %c %llx %%\n", i, x[i], i & 1 ? "odd" : "even", 'a' + i, 0xfull << 4 * i);
}

extern "C" __global__ void insist(const int *x, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && x[i] < 0) __assertfail("x[i] >= 0", "language.cu", 7, "insist", 1);
}

// A state machine in a switch large enough for a jump table: words, numbers and signs of a text.
extern "C" __global__ void tokens(const char *text, int length, int *counts, int rows) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    int state = 0;
    for (int j = 0; j < length; j++) {
        int kind;
        switch (text[row * length + j]) {
            case ' ': case '\t': case '\n': kind = 0; break;
            case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9': kind = 1; break;
            case '+': case '-': case '*': case '/': case '=': kind = 2; break;
            default: kind = 3;
        }
        if (kind && (kind == 2 || kind != state)) atomicAdd(&counts[4 * row + kind], 1);
        state = kind;
    }
}

// Goto, do, continue and early return in one loop nest.
extern "C" __global__ void control_flow(const int *x, int *out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int v = x[i], steps = 0;
again:
    do {
        steps++;
        if (v % 7 == 3) { v -= 2; continue; }
        for (int k = 0; k < v % 5; k++) {
            if ((v + k) % 11 == 0) { v -= k + 1; goto again; }
            if (k == 3) break;
            v--;
        }
        v -= 4;
    } while (v > 0);
    out[i] = steps * 1000 + v;
}

// Several arrays of different types in one piece of dynamic shared memory.
extern "C" __global__ void shared_layout(const double *x, double *y, int n) {
    extern __shared__ __align__(16) unsigned char raw[];
    double *values = (double *)raw;
    int *order = (int *)(values + blockDim.x);
    unsigned short *marks = (unsigned short *)(order + blockDim.x);
    unsigned char *odd = (unsigned char *)(marks + blockDim.x);
    const int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    values[t] = i < n ? x[i] : 0;
    order[t] = blockDim.x - 1 - t;
    marks[t] = t * 3;
    odd[t] = t & 1;
    __syncthreads();
    const int o = order[t];
    if (i < n) y[i] = values[o] + marks[o] + 0.5 * odd[o];
}
