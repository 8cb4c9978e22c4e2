/* A libcuda for tests: device memory is host memory, and the one kernel, saxpy(float, const float *, float *, int),
   runs on the spot. It remembers the last launch, and any function can be told to fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int R;
typedef struct { uint32_t id, pad, value[16]; } Attribute;
typedef struct { uint32_t grid[3], block[3], shared; void *stream; Attribute *attributes; uint32_t count; } Config;

/* What tests look at and set, through ctypes. */
struct {
  uint32_t grid[3], block[3], shared, attribute_count, attributes[4][4];
  uint64_t stream, function;
  unsigned char parameters[32];
} stub_launch_record;
static int copying; // a copy to the device that nobody has waited for
int stub_overtaken;
int stub_launches, stub_unloads, stub_allocations, stub_loads, stub_syncs, stub_retains;
int stub_version = 12090, stub_devices = 1, stub_layout = 1;
int stub_dynamic_shared, stub_non_portable;
char stub_loaded[64];

static struct { char name[48]; int code; } failing;
void stub_fail(const char *name, int code) { snprintf(failing.name, sizeof failing.name, "%s", name); failing.code = code; }
#define MAY_FAIL if (failing.code && !strcmp(failing.name, __func__)) return failing.code

static int process;
static __thread void *context;
#define NEEDS_INIT if (process != getpid()) return 3

R cuInit(unsigned flags) {
  MAY_FAIL;
  if (process && process != getpid()) return 3;
  if (!stub_devices) return 100;
  process = getpid();
  return 0;
}
R cuDriverGetVersion(int *v) { *v = stub_version; return 0; }
R cuDeviceGetCount(int *n) { NEEDS_INIT; *n = stub_devices; return 0; }
R cuDeviceGet(int *d, int o) { NEEDS_INIT; if (o >= stub_devices) return 101; *d = o; return 0; }
R cuDeviceGetName(char *name, int size, int d) { snprintf(name, size, "Stub GPU"); return 0; }
R cuDeviceGetAttribute(int *v, int a, int d) {
  *v = a == 75 ? 9 : a == 76 ? 0 : a == 97 ? 232448 : 0;
  return 0;
}
R cuCtxGetCurrent(void **c) { NEEDS_INIT; *c = context; return 0; }
R cuCtxSetCurrent(void *c) { NEEDS_INIT; context = c; return 0; }
R cuCtxGetDevice(int *d) { if (!context) return 201; *d = 0; return 0; }
R cuDevicePrimaryCtxRetain(void **c, int d) { MAY_FAIL; stub_retains++; *c = (void *)0x1000; return 0; }

R cuLibraryLoadData(void **l, const void *code, int *options, void **values, unsigned n, void *a, void *b, unsigned m) {
  MAY_FAIL;
  if (!context) return 201;
  memcpy(stub_loaded, code, sizeof stub_loaded);
  if (n && strstr(code, "BROKEN")) {
    for (unsigned i = 0; i < n; i++)
      if (options[i] == 5) strcpy(values[i], "ptxas application ptx input, line 3; fatal : Parsing error");
    return 218;
  }
  stub_loads++;
  *l = (void *)0x2000;
  return 0;
}
R cuLibraryUnload(void *l) { MAY_FAIL; stub_unloads++; return 0; }
R cuLibraryGetKernel(void **k, void *l, const char *name) {
  MAY_FAIL;
  if (strcmp(name, "saxpy") && strcmp(name, "_Z5saxpyIfEvT_PKS0_PS0_i")) return 500;
  *k = (void *)0x3000;
  return 0;
}
R cuLibraryGetGlobal(uint64_t *p, size_t *size, void *l, const char *name) {
  MAY_FAIL;
  if (strcmp(name, "table")) return 500;
  *p = 0x5000; *size = 64;
  return 0;
}
R cuKernelGetParamInfo(void *k, size_t i, size_t *offset, size_t *size) {
  static const size_t offsets[] = {0, 8, 16, 24}, sizes[] = {4, 8, 8, 4};
  if (i >= (stub_layout ? 4 : 1)) return 1;
  *offset = offsets[i]; *size = sizes[i];
  return 0;
}
R cuKernelGetFunction(void **f, void *k) { MAY_FAIL; if (!context) return 201; *f = k; return 0; }
R cuThreadExchangeStreamCaptureMode(int *mode) { static __thread int now; int old = now; now = *mode; *mode = old; return 0; }
R cuStreamIsCapturing(void *s, int *state) { *state = 0; return 0; }
R cuStreamGetCaptureInfo(void *s, int *state) { *state = 0; return 0; }
R cuKernelGetAttribute(int *v, int a, void *k, int d) { *v = a < 2 ? 1024 : 0; return 0; } /* most threads, static shared */
R cuKernelSetAttribute(int a, int v, void *k, int d) {
  MAY_FAIL;
  if (a == 8) stub_dynamic_shared = v;
  if (a == 14) stub_non_portable = v;
  return 0;
}

static R launch(const Config *c, void *f, void **p) {
  if (!context) return 201;
  if (!f) return 400;
  static const int offsets[] = {0, 8, 16, 24}, sizes[] = {4, 8, 8, 4};
  stub_launches++;
  stub_overtaken += copying;
  memset(&stub_launch_record, 0, sizeof stub_launch_record);
  memcpy(stub_launch_record.grid, c->grid, 12);
  memcpy(stub_launch_record.block, c->block, 12);
  stub_launch_record.shared = c->shared;
  stub_launch_record.stream = (uint64_t)c->stream;
  stub_launch_record.function = (uint64_t)f;
  stub_launch_record.attribute_count = c->count;
  for (unsigned i = 0; i < c->count; i++) {
    stub_launch_record.attributes[i][0] = c->attributes[i].id;
    memcpy(&stub_launch_record.attributes[i][1], c->attributes[i].value, 12);
  }
  for (int i = 0; i < 4; i++) memcpy(stub_launch_record.parameters + offsets[i], p[i], sizes[i]);
  float a = *(float *)p[0], *x = *(float **)p[1], *y = *(float **)p[2];
  int n = *(int *)p[3];
  if ((uint64_t)x > 0x100000 && (uint64_t)y > 0x100000)
    for (int i = 0; i < n; i++) y[i] += a * x[i];
  return 0;
}
R cuLaunchKernelEx(const Config *c, void *f, void **p, void **x) { MAY_FAIL; NEEDS_INIT; return launch(c, f, p); }
R cuStreamSynchronize(void *s) { MAY_FAIL; stub_syncs++; copying = 0; return 0; }

R cuMemAlloc_v2(uint64_t *p, size_t n) {
  MAY_FAIL;
  if (!n) return 1;
  if (!context) return 201;
  stub_allocations++;
  *p = (uint64_t)malloc(n);
  return 0;
}
R cuMemFree_v2(uint64_t p) { MAY_FAIL; stub_allocations--; free((void *)p); return 0; }
R cuMemcpyHtoD_v2(uint64_t d, const void *s, size_t n) { MAY_FAIL; memcpy((void *)d, s, n); copying = 1; return 0; }
R cuMemcpyDtoH_v2(void *d, uint64_t s, size_t n) { MAY_FAIL; memcpy(d, (void *)s, n); return 0; }

R cuGetErrorName(int e, const char **s) { *s = "STUB"; return 0; }
R cuGetErrorString(int e, const char **s) { *s = "the stub was told to"; return 0; }
R not_supported(void) { return 801; }

R cuGetProcAddress_v2(const char *name, void **p, int version, uint64_t flags, int *status) {
  char second[96];
  snprintf(second, sizeof second, "%s_v2", name);
  void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  *p = dlsym(self, second);
  if (!*p) *p = dlsym(self, name);
  if (!*p) *p = (void *)not_supported;
  if (status) *status = 0;
  return 0;
}
R cuGetProcAddress(const char *name, void **p, int version, uint64_t flags) {
  return cuGetProcAddress_v2(name, p, version, flags, 0);
}
