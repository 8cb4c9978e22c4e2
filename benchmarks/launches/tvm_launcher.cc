// saxpy as tvm-ffi's own launcher for cubins launches it, in the way its documentation shows.
#define TVM_FFI_CUBIN_LAUNCHER_USE_DRIVER_API 1
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/c_env_api.h>
#include <tvm/ffi/extra/cuda/cubin_launcher.h>
#include <tvm/ffi/function.h>

namespace ffi = tvm::ffi;

// Never unloaded: at the end of a process the driver may have gone before.
static ffi::CubinKernel* kernel;

void Load(const ffi::Bytes& image) {
  auto* library = new ffi::CubinModule(image);
  kernel = new ffi::CubinKernel(library->GetKernel("saxpy"));
}

static void Launch(double a, void* x, void* y, int64_t n, void* stream) {
  float factor = static_cast<float>(a);
  int32_t count = static_cast<int32_t>(n);
  void* arguments[] = {&factor, &x, &y, &count};
  TVM_FFI_CHECK_CUBIN_LAUNCHER_CUDA_ERROR(
      kernel->Launch(arguments, ffi::dim3(1), ffi::dim3(256), static_cast<CUstream>(stream)));
}

void Tensors(double a, ffi::TensorView x, ffi::TensorView y, int64_t n) {
  Launch(a, x.data_ptr(), y.data_ptr(), n, TVMFFIEnvGetStream(kDLCUDA, x.device().device_id));
}

void Addresses(double a, int64_t x, int64_t y, int64_t n) {
  Launch(a, reinterpret_cast<void*>(x), reinterpret_cast<void*>(y), n, TVMFFIEnvGetStream(kDLCUDA, 0));
}

TVM_FFI_DLL_EXPORT_TYPED_FUNC(load, Load);
TVM_FFI_DLL_EXPORT_TYPED_FUNC(tensors, Tensors);
TVM_FFI_DLL_EXPORT_TYPED_FUNC(addresses, Addresses);
