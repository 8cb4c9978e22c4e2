/* <cuda.h> for device code: what kernels have for parameters of the driver API's types.

   NVRTC does not take the toolkit's <cuda.h>: it declares functions of the host. */
#ifndef JITLOAD_STANDARD_CUDA_H
#define JITLOAD_STANDARD_CUDA_H

#ifndef CUDA_VERSION
#define CUDA_VERSION (__CUDACC_VER_MAJOR__ * 1000 + __CUDACC_VER_MINOR__ * 10)
#endif

typedef unsigned int cuuint32_t;
typedef unsigned long long cuuint64_t;
typedef unsigned long long CUdeviceptr;
typedef unsigned long long CUtexObject;
typedef unsigned long long CUsurfObject;

/* A descriptor that the host makes by cuTensorMapEncodeTiled, for a `const __grid_constant__ CUtensorMap` parameter. */
typedef struct alignas(64) CUtensorMap_st {
  cuuint64_t opaque[16];
} CUtensorMap;

#endif
