// A host library with a module tree inside: tvm_ffi.load_module opens the library, reads the tree, and calls the loader
// of each kind in it. This code then finds the submodule's kernel among the imports of its own module.
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/c_env_api.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>

namespace ffi = tvm::ffi;

extern "C" {
// tvm-ffi writes this library's module here when it has loaded it.
TVM_FFI_DLL_EXPORT void* __tvm_ffi__library_ctx = nullptr;
// What jitload.pack_module wrote, as numbers.
TVM_FFI_DLL_EXPORT extern const unsigned char __tvm_ffi__library_bin[];
const unsigned char __tvm_ffi__library_bin[] = {
#include "library_bin.inc"
};
}

/*! \brief y += a * x, by the kernel "saxpy" of the submodule. */
void scaled_add(double a, ffi::TensorView x, ffi::TensorView y) {
  TVMFFIObjectHandle saxpy = nullptr;  // borrowed: the module keeps it
  TVM_FFI_CHECK_SAFE_CALL(TVMFFIEnvModLookupFromImports(__tvm_ffi__library_ctx, "saxpy", &saxpy));
  const int64_t n = x.size(0), threads = 256, blocks = (n + threads - 1) / threads, one = 1;
  ffi::AnyView args[] = {a, x, y, n, blocks, one, one, threads, one, one};
  ffi::Any result;
  TVM_FFI_CHECK_SAFE_CALL(TVMFFIFunctionCall(saxpy, reinterpret_cast<TVMFFIAny*>(args), std::size(args),
                                             reinterpret_cast<TVMFFIAny*>(&result)));
}

TVM_FFI_DLL_EXPORT_TYPED_FUNC(scaled_add, scaled_add);
