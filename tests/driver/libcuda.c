/* A libcuda.so.1 without a GPU behind it: every call is handed to a model in Python (checking_driver/), which refuses what the
   CUDA driver API documentation forbids and runs kernels on the CPU executor.

   It is compiled against the toolkit's own <cuda.h>, so that the compiler checks every prototype here, and the layout
   of every structure is the toolkit's. */
#define _GNU_SOURCE
#include <cuda.h>
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* <cuda.h> renames functions that have a second version; both names are exported here. */
#undef cuGetProcAddress

typedef int (*Model)(const char *name, const uint64_t *arguments, size_t count);
static Model model;
static int model_pid, over;
void driver_use_model(Model given) { model = given; model_pid = getpid(); over = !given; }
int driver_built_for(void) { return CUDA_VERSION; }

static void find_model(void) {
  /* A process that was started with this library in LD_LIBRARY_PATH: the model comes in with the first call. */
  static int busy;
  if (model || busy || over) return;
  int (*running)(void) = dlsym(RTLD_DEFAULT, "Py_IsInitialized");
  int (*ensure)(void) = dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
  void (*release)(int) = dlsym(RTLD_DEFAULT, "PyGILState_Release");
  int (*run)(const char *) = dlsym(RTLD_DEFAULT, "PyRun_SimpleString");
  if (!running || !running() || !ensure || !release || !run) return;
  busy = 1;
  int state = ensure();
  run("import sys; sys.path.append('" MODEL_DIRECTORY "'); import checking_driver");
  release(state);
  busy = 0;
}

static CUresult ask(const char *name, const uint64_t *arguments, size_t count) {
  find_model();
  if (!model) return over ? CUDA_ERROR_DEINITIALIZED : CUDA_ERROR_NO_DEVICE;
  if (model_pid != getpid()) return CUDA_ERROR_NOT_INITIALIZED; /* a fork: CUDA does not survive one */
  return (CUresult)model(name, arguments, count);
}

#define A(x) (uint64_t)(uintptr_t)(x)
#define ASK(name, v) ask(name, v, sizeof v / sizeof *v)
#define F0(name) CUresult CUDAAPI name(void) { return ask(#name, NULL, 0); }
#define F1(name, T) CUresult CUDAAPI name(T a) { uint64_t v[] = {A(a)}; return ASK(#name, v); }
#define F2(name, T, U) CUresult CUDAAPI name(T a, U b) { uint64_t v[] = {A(a), A(b)}; return ASK(#name, v); }
#define F3(name, T, U, V) \
  CUresult CUDAAPI name(T a, U b, V c) { uint64_t v[] = {A(a), A(b), A(c)}; return ASK(#name, v); }
#define F4(name, T, U, V, W) \
  CUresult CUDAAPI name(T a, U b, V c, W d) { uint64_t v[] = {A(a), A(b), A(c), A(d)}; return ASK(#name, v); }

F1(cuInit, unsigned)
F1(cuDriverGetVersion, int *)
F2(cuGetErrorName, CUresult, const char **)
F2(cuGetErrorString, CUresult, const char **)
F1(cuDeviceGetCount, int *)
F2(cuDeviceGet, CUdevice *, int)
F3(cuDeviceGetName, char *, int, CUdevice)
F3(cuDeviceGetAttribute, int *, CUdevice_attribute, CUdevice)
F2(cuDeviceTotalMem, size_t *, CUdevice)
F2(cuDevicePrimaryCtxRetain, CUcontext *, CUdevice)
F1(cuDevicePrimaryCtxRelease, CUdevice)
F1(cuCtxGetCurrent, CUcontext *)
F1(cuCtxSetCurrent, CUcontext)
F1(cuCtxPushCurrent, CUcontext)
F1(cuCtxPopCurrent, CUcontext *)
F1(cuCtxGetDevice, CUdevice *)
#undef cuCtxSynchronize
F0(cuCtxSynchronize)

F2(cuStreamCreate, CUstream *, unsigned)
F3(cuStreamCreateWithPriority, CUstream *, unsigned, int)
F1(cuStreamDestroy, CUstream)
F1(cuStreamSynchronize, CUstream)
F1(cuStreamQuery, CUstream)
F2(cuStreamGetCtx, CUstream, CUcontext *)
F3(cuStreamWaitEvent, CUstream, CUevent, unsigned)
F2(cuStreamIsCapturing, CUstream, CUstreamCaptureStatus *)
F1(cuThreadExchangeStreamCaptureMode, CUstreamCaptureMode *)
F2(cuStreamBeginCapture, CUstream, CUstreamCaptureMode)
F2(cuStreamEndCapture, CUstream, CUgraph *)
#if CUDA_VERSION >= 12080
F2(cuStreamGetDevice, CUstream, CUdevice *)
#endif
F3(cuGraphInstantiateWithFlags, CUgraphExec *, CUgraph, unsigned long long)
F2(cuGraphLaunch, CUgraphExec, CUstream)
F1(cuGraphDestroy, CUgraph)
F1(cuGraphExecDestroy, CUgraphExec)
F2(cuEventCreate, CUevent *, unsigned)
F2(cuEventRecord, CUevent, CUstream)
F1(cuEventSynchronize, CUevent)
F1(cuEventQuery, CUevent)
F1(cuEventDestroy, CUevent)

F2(cuMemAlloc, CUdeviceptr *, size_t)
F1(cuMemFree, CUdeviceptr)
F3(cuMemAllocAsync, CUdeviceptr *, size_t, CUstream)
F2(cuMemFreeAsync, CUdeviceptr, CUstream)
F1(cuMemPoolDestroy, CUmemoryPool)
F3(cuMemPoolSetAttribute, CUmemoryPool, CUmemPool_attribute, void *)
F4(cuMemAllocFromPoolAsync, CUdeviceptr *, size_t, CUmemoryPool, CUstream)
F3(cuMemcpyHtoD, CUdeviceptr, const void *, size_t)
F3(cuMemcpyDtoH, void *, CUdeviceptr, size_t)
F4(cuMemcpyHtoDAsync, CUdeviceptr, const void *, size_t, CUstream)
F4(cuMemcpyDtoHAsync, void *, CUdeviceptr, size_t, CUstream)
F4(cuMemcpyDtoDAsync, CUdeviceptr, CUdeviceptr, size_t, CUstream)
F3(cuMemHostAlloc, void **, size_t, unsigned)
F1(cuMemFreeHost, void *)
F3(cuPointerGetAttribute, void *, CUpointer_attribute, CUdeviceptr)

F1(cuArrayDestroy, CUarray)
F1(cuMipmappedArrayDestroy, CUmipmappedArray)
F3(cuMipmappedArrayGetLevel, CUarray *, CUmipmappedArray, unsigned)
F1(cuTexObjectDestroy, CUtexObject)
F1(cuSurfObjectDestroy, CUsurfObject)

CUresult CUDAAPI cuArray3DCreate(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *d) {
  uint64_t v[] = {A(array), d->Width, d->Height, d->Depth, d->Format, d->NumChannels, d->Flags};
  return ASK("cuArray3DCreate", v);
}

CUresult CUDAAPI cuMipmappedArrayCreate(CUmipmappedArray *made, const CUDA_ARRAY3D_DESCRIPTOR *d, unsigned levels) {
  uint64_t v[] = {A(made), levels, d->Width, d->Height, d->Depth, d->Format, d->NumChannels, d->Flags};
  return ASK("cuMipmappedArrayCreate", v);
}

CUresult CUDAAPI cuMemcpy3D(const CUDA_MEMCPY3D *c) {
  if (c->srcXInBytes || c->srcY || c->srcZ || c->srcLOD || c->dstXInBytes || c->dstY || c->dstZ || c->dstLOD)
    return CUDA_ERROR_NOT_SUPPORTED;
  int out = c->dstMemoryType == CU_MEMORYTYPE_HOST;
  uint64_t v[] = {c->srcMemoryType, c->dstMemoryType, out ? A(c->dstHost) : A(c->srcHost), out ? c->dstPitch : c->srcPitch,
                  out ? c->dstHeight : c->srcHeight, out ? A(c->srcArray) : A(c->dstArray), c->WidthInBytes, c->Height,
                  c->Depth};
  return ASK("cuMemcpy3D", v);
}

CUresult CUDAAPI cuTexObjectCreate(CUtexObject *made, const CUDA_RESOURCE_DESC *r, const CUDA_TEXTURE_DESC *d,
                                   const CUDA_RESOURCE_VIEW_DESC *view) {
  int linear = r->resType == CU_RESOURCE_TYPE_LINEAR;
  int levels = r->resType == CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
  if (view || r->flags || (!linear && !levels && r->resType != CU_RESOURCE_TYPE_ARRAY)) return CUDA_ERROR_NOT_SUPPORTED;
  uint64_t v[] = {A(made), r->resType, linear ? r->res.linear.devPtr : levels ? A(r->res.mipmap.hMipmappedArray) : A(r->res.array.hArray),
                  linear ? r->res.linear.format : 0, linear ? r->res.linear.numChannels : 0,
                  linear ? r->res.linear.sizeInBytes : 0, d->addressMode[0], d->addressMode[1], d->addressMode[2],
                  d->filterMode, d->flags, d->mipmapFilterMode, (uint64_t)d->maxMipmapLevelClamp};
  return ASK("cuTexObjectCreate", v);
}

CUresult CUDAAPI cuSurfObjectCreate(CUsurfObject *made, const CUDA_RESOURCE_DESC *r) {
  if (r->flags || r->resType != CU_RESOURCE_TYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
  uint64_t v[] = {A(made), A(r->res.array.hArray)};
  return ASK("cuSurfObjectCreate", v);
}

CUresult CUDAAPI cuTensorMapEncodeTiled(CUtensorMap *made, CUtensorMapDataType type, cuuint32_t rank, void *address,
                                        const cuuint64_t *extents, const cuuint64_t *strides, const cuuint32_t *boxes,
                                        const cuuint32_t *steps, CUtensorMapInterleave interleave,
                                        CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
                                        CUtensorMapFloatOOBfill fill) {
  uint64_t v[] = {A(made), type, rank, A(address), A(extents), A(strides), A(boxes), A(steps), interleave, swizzle,
                  promotion, fill};
  return ASK("cuTensorMapEncodeTiled", v);
}

F1(cuLibraryUnload, CUlibrary)
F3(cuLibraryGetKernel, CUkernel *, CUlibrary, const char *)
F4(cuLibraryGetGlobal, CUdeviceptr *, size_t *, CUlibrary, const char *)
F2(cuKernelGetFunction, CUfunction *, CUkernel)
F4(cuKernelGetParamInfo, CUkernel, size_t, size_t *, size_t *)
F4(cuKernelGetAttribute, int *, CUfunction_attribute, CUkernel, CUdevice)
F4(cuKernelSetAttribute, CUfunction_attribute, int, CUkernel, CUdevice)
F3(cuFuncGetAttribute, int *, CUfunction_attribute, CUfunction)
F3(cuFuncSetAttribute, CUfunction, CUfunction_attribute, int)
F4(cuOccupancyMaxActiveBlocksPerMultiprocessor, int *, CUfunction, int, size_t)

CUresult CUDAAPI cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *names, void **values,
                                   unsigned count, CUlibraryOption *more, void **more_values, unsigned more_count) {
  (void)more; (void)more_values;
  uint64_t log[4] = {0, 0, 0, 0}; /* error buffer, its bytes, info buffer, its bytes */
  uint64_t strange = more_count || (count && (!names || !values));
  for (unsigned i = 0; i < count && !strange; i++) switch (names[i]) {
    case CU_JIT_ERROR_LOG_BUFFER: log[0] = A(values[i]); break;
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES: log[1] = A(values[i]); break;
    case CU_JIT_INFO_LOG_BUFFER: log[2] = A(values[i]); break;
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES: log[3] = A(values[i]); break;
    default: strange = 1;
  }
  uint64_t v[] = {A(library), A(code), strange, log[0], log[1], log[2], log[3]};
  return ASK("cuLibraryLoadData", v);
}

CUresult CUDAAPI cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *p) {
  uint64_t v[] = {A(pool), p->allocType, p->handleTypes, p->location.type, (uint64_t)p->location.id};
  return ASK("cuMemPoolCreate", v);
}

#if CUDA_VERSION >= 13000
#define EDGES const CUgraphEdgeData **edges,
#else
#define EDGES
#endif
CUresult CUDAAPI cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                        const CUgraphNode **nodes, EDGES size_t *count) {
  if (graph) *graph = NULL;
  if (nodes) *nodes = NULL;
  if (count) *count = 0;
#if CUDA_VERSION >= 13000
  if (edges) *edges = NULL;
#endif
  uint64_t v[] = {A(stream), A(status), A(id)};
  return ASK("cuStreamGetCaptureInfo", v);
}

enum { MOST_ATTRIBUTES = 16 };

CUresult CUDAAPI cuLaunchKernelEx(const CUlaunchConfig *c, CUfunction f, void **parameters, void **extra) {
  if (!c || c->numAttrs > MOST_ATTRIBUTES || (c->numAttrs && !c->attrs)) return CUDA_ERROR_INVALID_VALUE;
  uint64_t v[] = {c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX, c->blockDimY, c->blockDimZ, c->sharedMemBytes,
                  A(c->hStream), A(f), A(parameters), A(extra), c->numAttrs, A(c->attrs)};
  return ASK("cuLaunchKernelEx", v);
}

CUresult CUDAAPI cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                                unsigned bz, unsigned shared, CUstream stream, void **parameters, void **extra) {
  uint64_t v[] = {gx, gy, gz, bx, by, bz, shared, A(stream), A(f), A(parameters), A(extra), 0, 0};
  return ASK("cuLaunchKernelEx", v);
}

/* What NVIDIA's own libraries share under the table: NVRTC looks for its cache on the disk here, and goes without it. */
CUresult CUDAAPI cuGetExportTable(const void **table, const CUuuid *id) {
  (void)id;
  *table = NULL;
  return CUDA_ERROR_NOT_FOUND;
}

_Static_assert(sizeof(CUlaunchAttribute) == 72 && offsetof(CUlaunchAttribute, value) == 8, "as launch.py reads them");

/* The newest version of a function first, as the driver does; the flags (per-thread streams) are not modelled. */
CUresult CUDAAPI cuGetProcAddress_v2(const char *name, void **function, int version, cuuint64_t flags,
                                     CUdriverProcAddressQueryResult *found) {
  (void)version; (void)flags;
  static const char *endings[] = {"_v3", "_v2", ""};
  char full[128];
  void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  *function = NULL;
  for (int i = 0; i < 3 && !*function && self; i++) {
    snprintf(full, sizeof full, "%s%s", name, endings[i]);
    *function = dlsym(self, full);
  }
  if (!strcmp(name, "cuGetProcAddress")) *function = (void *)cuGetProcAddress_v2;
  if (found) *found = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  if (self) dlclose(self);
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult CUDAAPI cuGetProcAddress(const char *name, void **function, int version, cuuint64_t flags) {
  return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
