//! Modules from bytes with the C ABI of Apache TVM FFI alone (tvm/ffi/c_api.h): no crates, plain rustc.
//!
//! The library exports one function, `load_and_scale(kind, bytes, factor, tensor) -> int`: it loads a module of that
//! kind from the bytes, calls its function `scale(factor, tensor)` on the caller's data, and gives what that returns.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

/// `TVMFFIByteArray`.
#[repr(C)]
struct ByteArray {
    data: *const u8,
    size: usize,
}

/// `TVMFFIAny`: a type index and eight bytes of value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Any {
    type_index: i32,
    padding: u32,
    value: u64,
}

const NONE: i32 = 0;
const BOOL: i32 = 2;
const RAW_STR: i32 = 8;
const STATIC_OBJECT_BEGIN: i32 = 64;
const MODULE: i32 = 73;

#[link(name = "tvm_ffi")]
extern "C" {
    fn TVMFFIFunctionGetGlobal(name: *const ByteArray, out: *mut *mut c_void) -> i32;
    fn TVMFFIFunctionCall(function: *mut c_void, args: *const Any, count: i32, result: *mut Any) -> i32;
    fn TVMFFIObjectDecRef(object: *mut c_void) -> i32;
    fn TVMFFIErrorSetRaisedFromCStr(kind: *const c_char, message: *const c_char);
}

/// An error has been raised in this thread; the caller learns it from a return value other than 0.
struct Raised;

impl Any {
    const fn none() -> Self {
        Any { type_index: NONE, padding: 0, value: 0 }
    }

    fn text(text: &'static std::ffi::CStr) -> Self {
        Any { type_index: RAW_STR, padding: 0, value: text.as_ptr() as u64 }
    }
}

/// A value that this code owns; an object in it is let go at the end of its scope.
struct Owned(Any);

impl Drop for Owned {
    fn drop(&mut self) {
        if self.0.type_index >= STATIC_OBJECT_BEGIN {
            unsafe { TVMFFIObjectDecRef(self.0.value as *mut c_void) };
        }
    }
}

impl Owned {
    /// The object inside, for a call.
    fn object(&self) -> *mut c_void {
        self.0.value as *mut c_void
    }

    /// Hand the value to somebody else.
    fn into_any(self) -> Any {
        let any = self.0;
        std::mem::forget(self);
        any
    }
}

fn raise(kind: &'static std::ffi::CStr, message: &'static std::ffi::CStr) -> Raised {
    unsafe { TVMFFIErrorSetRaisedFromCStr(kind.as_ptr(), message.as_ptr()) };
    Raised
}

fn global(name: &'static str) -> Result<Owned, Raised> {
    let mut function = null_mut();
    let key = ByteArray { data: name.as_ptr(), size: name.len() };
    if unsafe { TVMFFIFunctionGetGlobal(&key, &mut function) } != 0 {
        return Err(Raised);
    }
    if function.is_null() {
        return Err(raise(c"RuntimeError", c"a global is missing: call jitload.interop.tvm_ffi.install()"));
    }
    Ok(Owned(Any { type_index: STATIC_OBJECT_BEGIN, padding: 0, value: function as u64 }))
}

fn call(function: &Owned, args: &[Any]) -> Result<Owned, Raised> {
    let mut result = Any::none();
    let status = unsafe { TVMFFIFunctionCall(function.object(), args.as_ptr(), args.len() as i32, &mut result) };
    if status == 0 { Ok(Owned(result)) } else { Err(Raised) }
}

fn load_and_scale(args: &[Any]) -> Result<Any, Raised> {
    let &[kind, bytes, factor, tensor] = args else {
        return Err(raise(c"TypeError", c"load_and_scale takes kind, bytes, factor and tensor"));
    };
    let module = call(&global("ffi.ModuleLoadFromBytes")?, &[kind, bytes])?;
    if module.0.type_index != MODULE {
        return Err(raise(c"TypeError", c"ffi.ModuleLoadFromBytes gave no module"));
    }
    let imports_too = Any { type_index: BOOL, padding: 0, value: 1 };
    let scale = call(&global("ffi.ModuleGetFunction")?, &[module.0, Any::text(c"scale"), imports_too])?;
    if scale.0.type_index == NONE {
        return Err(raise(c"AttributeError", c"the module has no function 'scale'"));
    }
    Ok(call(&scale, &[factor, tensor])?.into_any())
}

/// The entry that `tvm_ffi.load_module(...)["load_and_scale"]` finds.
///
/// # Safety
/// As every function of this convention: `args` holds `count` values, and `result` can be written.
#[no_mangle]
pub unsafe extern "C" fn __tvm_ffi_load_and_scale(_: *mut c_void, args: *const Any, count: i32, result: *mut Any) -> i32 {
    let args = if count > 0 { std::slice::from_raw_parts(args, count as usize) } else { &[] };
    match load_and_scale(args) {
        Ok(value) => {
            *result = value;
            0
        }
        Err(Raised) => -1,
    }
}
