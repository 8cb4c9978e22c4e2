/*
 * Modules from bytes in C++, by the globals that jitload.interop.tvm_ffi.install() registers with Apache TVM FFI.
 *
 *   tvm::ffi::Module module = jitload::LoadFromBytes("cubin", bytes);
 *   tvm::ffi::Function f = module->GetFunction("saxpy").value();
 *
 * Nothing here is linked to jitload: a process without it gets the error that the global is missing. The globals are
 * looked up at each call, since they come and go with install() and uninstall().
 *
 * Errors come as tvm::ffi::Error: RuntimeError naming ffi.Module.load_from_bytes.<kind> when that kind has no loader,
 * and whatever a loader raised with its own kind and text.
 */
#ifndef JITLOAD_FFI_H_
#define JITLOAD_FFI_H_

#include <tvm/ffi/any.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>
#include <tvm/ffi/string.h>

#include <string>

namespace jitload {

/*! \brief The module that the loader registered for `kind` makes of `bytes`. */
inline tvm::ffi::Module LoadFromBytes(const tvm::ffi::String& kind, const tvm::ffi::Bytes& bytes) {
  static const char* const kEntry = "ffi.ModuleLoadFromBytes";
  return tvm::ffi::Function::GetGlobalRequired(kEntry)(kind, bytes).cast<tvm::ffi::Module>();
}

/*!
 * \brief A module of a cubin or PTX with names of your own.
 * \param kind "cubin" or "ptx".
 * \param code The image.
 * \param functions The name to answer to -> the symbol in the image.
 * \param source What InspectSource shows; "" for what the image itself has.
 */
inline tvm::ffi::Module CreateModule(
    const tvm::ffi::String& kind, const tvm::ffi::Bytes& code,
    const tvm::ffi::Map<tvm::ffi::String, tvm::ffi::String>& functions = {},
    const tvm::ffi::String& source = "") {
  const std::string constructor = "ffi.Module.create." + std::string(kind);
  const auto create = tvm::ffi::Function::GetGlobalRequired(constructor);
  const auto given = source.empty() ? tvm::ffi::Any(nullptr) : tvm::ffi::Any(source);
  return create(code, functions, given).cast<tvm::ffi::Module>();
}

}  // namespace jitload

#endif  // JITLOAD_FFI_H_
