//! `Module::load_from_bytes` for the crate `tvm-ffi`, as an extension trait.
//!
//! ```ignore
//! use load_from_bytes::LoadFromBytes;
//! let module = Module::load_from_bytes("cubin", &image)?;
//! let saxpy = module.get_function("saxpy")?;
//! ```

use tvm_ffi::{Bytes, Function, Module, Result, String};

const ENTRY: &str = "ffi.ModuleLoadFromBytes";

/// Modules that are already in memory.
pub trait LoadFromBytes: Sized {
    /// The module that the loader registered as `ffi.Module.load_from_bytes.<kind>` makes of `bytes`.
    ///
    /// # Errors
    /// A `RuntimeError` that names the key when no loader is registered; else what the loader raised.
    fn load_from_bytes(kind: &str, bytes: &[u8]) -> Result<Self>;
}

impl LoadFromBytes for Module {
    fn load_from_bytes(kind: &str, bytes: &[u8]) -> Result<Self> {
        // Looked up at every call: `cached_global_func!` panics where the global is missing, and keeps it for the life
        // of the process, while this one comes and goes with jitload's install() and uninstall().
        Function::get_global(ENTRY)?
            .call_tuple((String::from(kind), Bytes::from(bytes)))?
            .try_into()
    }
}
