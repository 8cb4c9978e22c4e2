/* Two things that cost nothing themselves, for what is measured in front of them: a libcuda.so.1 that takes every call
 * (with -DDRIVER; with -DCOUNT too it counts them), and functions for tensors and for tvm-ffi (without). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DRIVER

#ifdef COUNT
long launches, other_calls;
#define LAUNCHED launches++;
#define CALLED other_calls++;
#else
#define LAUNCHED
#define CALLED
#endif

static int nothing(void) { CALLED return 0; }
int cuInit(unsigned flags) { CALLED return 0; }
int cuDriverGetVersion(int *version) { CALLED *version = 12090; return 0; }
int cuDeviceGetCount(int *count) { CALLED *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { CALLED *device = ordinal; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { CALLED
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 1024; /* compute capability 9.0 */
    return 0;
}
int cuCtxGetCurrent(void **context) { CALLED *context = (void *)0x1000; return 0; }
int cuCtxGetDevice(int *device) { CALLED *device = 0; return 0; }
int cuLibraryLoadData(void **library, const void *image, void *a, void *b, unsigned c, void *d, void *e, unsigned f) { CALLED
    *library = (void *)0x2000;
    return 0;
}
int cuLibraryGetKernel(void **kernel, void *library, const char *name) { CALLED
    *kernel = (void *)(strcmp(name, "wide") ? 0x3000 : 0x4000);
    return 0;
}
int cuKernelGetParamInfo(void *kernel, size_t index, size_t *offset, size_t *size) { CALLED
    static const size_t saxpy_offset[] = {0, 8, 16, 24}, saxpy_size[] = {4, 8, 8, 4};
    if (kernel == (void *)0x3000) {
        *offset = index < 4 ? saxpy_offset[index] : 0;
        *size = index < 4 ? saxpy_size[index] : 0;
        return index < 4 ? 0 : 1;
    }
    *offset = index < 5 ? 8 * index : 40 + 4 * (index - 5);
    *size = index < 5 ? 8 : 4;
    return index < 19 ? 0 : 1;
}
int cuLaunchKernel(void *function, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f,
                   unsigned shared, void *stream, void **parameters, void **extra) { LAUNCHED return 0; }
int cuLaunchKernelEx(void *configuration, void *function, void **parameters, void **extra) { LAUNCHED return 0; }

int cuGetProcAddress_v2(const char *name, void **entry, int version, uint64_t flags, int *status) {
#define ENTRY(function) {#function, (void *)function}
    static const struct { const char *name; void *entry; } known[] = {
        ENTRY(cuInit), ENTRY(cuDriverGetVersion), ENTRY(cuDeviceGetCount), ENTRY(cuDeviceGet),
        ENTRY(cuDeviceGetAttribute), ENTRY(cuCtxGetCurrent), ENTRY(cuCtxGetDevice), ENTRY(cuLibraryLoadData),
        ENTRY(cuLibraryGetKernel), ENTRY(cuKernelGetParamInfo), ENTRY(cuLaunchKernel), ENTRY(cuLaunchKernelEx),
        {"cuGetProcAddress", (void *)cuGetProcAddress_v2},
    };
    if (status) *status = 0;
    *entry = (void *)nothing;
    for (size_t index = 0; index < sizeof known / sizeof *known; index++) {
        if (!strcmp(name, known[index].name)) *entry = known[index].entry;
    }
    return 0;
}
int cuGetProcAddress(const char *name, void **entry, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, entry, version, flags, 0);
}

#else

/* DLPack 1.x, of which every tensor here is the same one: 100 floats on the first GPU. */
typedef struct {
    void *data;
    int32_t device_type, device_id, ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} Tensor;
typedef struct Managed {
    uint32_t major, minor;
    void *context;
    void (*deleter)(struct Managed *);
    uint64_t flags;
    Tensor tensor;
} Managed;

static int64_t shape[] = {100}, strides[] = {1};
static const Tensor floats = {(void *)0x7F0000000000, 2, 0, 1, 2, 32, 1, shape, strides, 0};
static void release(Managed *managed) { free(managed); }
static int export_managed(void *object, Managed **out) {
    *out = malloc(sizeof **out);
    **out = (Managed){1, 2, NULL, release, 0, floats};
    return 0;
}
static int export_borrowed(void *object, Tensor *out) { *out = floats; return 0; }
static int current_stream(int32_t device_type, int32_t device_id, void **out) { *out = NULL; return 0; }

/* DLPackExchangeAPI */
const struct {
    uint32_t major, minor;
    void *older, *allocate;
    int (*export_managed)(void *, Managed **);
    void *import_managed;
    int (*export_borrowed)(void *, Tensor *);
    int (*current_stream)(int32_t, int32_t, void **);
} exchange = {1, 2, NULL, NULL, export_managed, NULL, export_borrowed, current_stream};

/* A function of tvm-ffi, as its C interface has them. */
int __tvm_ffi_nothing(void *self, const void *arguments, int32_t count, void *result) { return 0; }

#endif
