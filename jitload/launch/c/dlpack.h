/* The binary layout of DLPack 1.x that a launch reads (dmlc/dlpack, include/dlpack/dlpack.h, 1.0 for the tensors and 1.2
 * for the exchange API), written out here so that no package is needed to build with. */
#ifndef JITLOAD_DLPACK_H
#define JITLOAD_DLPACK_H

#include <stdint.h>

enum { DLPACK_CPU = 1, DLPACK_CUDA = 2, DLPACK_CUDA_HOST = 3, DLPACK_CUDA_MANAGED = 13 }; /* DLDeviceType */
enum { DLPACK_READ_ONLY = 1 };                                                             /* of `flags` */
enum { DLPACK_MAJOR = 1 };

typedef struct {
    void *data;
    int32_t device_type, device_id;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape;
    int64_t *strides; /* in elements; NULL for rows behind each other, before DLPack 1.2 */
    uint64_t byte_offset;
} DlTensor;

typedef struct {
    uint32_t major, minor;
} DlVersion;

/* What a "dltensor" capsule holds. */
typedef struct DlManaged {
    DlTensor tensor;
    void *context;
    void (*deleter)(struct DlManaged *);
} DlManaged;

/* What a "dltensor_versioned" capsule holds. */
typedef struct DlVersioned {
    DlVersion version;
    void *context;
    void (*deleter)(struct DlVersioned *);
    uint64_t flags;
    DlTensor tensor;
} DlVersioned;

/* An object of tvm-ffi 0.1 (include/tvm/ffi/c_api.h, TVMFFIObject); behind that of a tensor lies its DlTensor. */
typedef struct {
    uint64_t references;
    int32_t type_index;
    uint32_t padding;
    void (*deleter)(void *, int);
} TvmObject;

enum { TVM_TENSOR = 70 }; /* the type_index of a tensor */

/* What a "dlpack_exchange_api" capsule holds, on the type as `__dlpack_c_exchange_api__`; it lives as long as the process.
 * The functions give 0, or -1 with a Python exception set; none of them waits for a stream. */
typedef struct DlExchange {
    DlVersion version;
    struct DlExchange *older; /* of an earlier major version */
    void *allocate;
    int (*export_managed)(void *object, DlVersioned **out);
    void *import_managed;
    int (*export_borrowed)(void *object, DlTensor *out); /* may be NULL; valid until control is given back */
    int (*current_stream)(int32_t device_type, int32_t device_id, void **out);
} DlExchange;

#endif
