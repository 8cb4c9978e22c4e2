// A consumer's own loader of cubins, for the whole process: with the launcher that comes with tvm-ffi, which is a header
// alone. To load this library is to register it. It takes tensors, integers and floats of 32 bits, then blocks and threads.
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/cuda/cubin_launcher.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>
#include <tvm/ffi/reflection/registry.h>

#include <deque>
#include <memory>
#include <vector>

namespace ffi = tvm::ffi;

class CubinObj : public ffi::ModuleObj {
 public:
  explicit CubinObj(ffi::Bytes image) : image_(std::move(image)) {}

  const char* kind() const final { return "consumer_cubin"; }
  int GetPropertyMask() const final { return ffi::Module::kBinarySerializable | ffi::Module::kRunnable; }
  ffi::Bytes SaveToBytes() const final { return image_; }

  ffi::Optional<ffi::Function> GetFunction(const ffi::String& name) final {
    // Loaded with the first kernel, so that a machine without a driver can look at a module and save it.
    if (loaded_ == nullptr) loaded_ = std::make_shared<ffi::CubinModule>(image_);
    auto kernel = std::make_shared<ffi::CubinKernel>(loaded_->GetKernel(name.c_str()));
    return ffi::Function::FromPacked([library = loaded_, kernel](ffi::PackedArgs args, ffi::Any* result) {
      std::deque<uint64_t> values;  // stay where they are while more are added
      std::vector<void*> pointers;
      for (int n = 0; n + 2 < args.size(); ++n) {
        values.push_back(0);
        void* at = &values.back();
        if (auto tensor = args[n].as<ffi::TensorView>()) {
          *static_cast<void**>(at) = tensor->data_ptr();
        } else if (auto number = args[n].as<int64_t>()) {
          *static_cast<int32_t*>(at) = static_cast<int32_t>(*number);
        } else {
          *static_cast<float*>(at) = args[n].cast<float>();
        }
        pointers.push_back(at);
      }
      const auto grid = args[args.size() - 2].cast<int64_t>(), block = args[args.size() - 1].cast<int64_t>();
      TVM_FFI_CHECK_CUBIN_LAUNCHER_CUDA_ERROR(
          kernel->Launch(pointers.data(), ffi::dim3(grid), ffi::dim3(block), nullptr));
    });
  }

 private:
  ffi::Bytes image_;
  std::shared_ptr<ffi::CubinModule> loaded_;
};

TVM_FFI_STATIC_INIT_BLOCK() {
  tvm::ffi::reflection::GlobalDef().def("ffi.Module.load_from_bytes.cubin", [](ffi::Bytes image) {
    return ffi::Module(ffi::make_object<CubinObj>(std::move(image)));
  });
}
