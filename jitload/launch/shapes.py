"""Calls as other libraries have them, and what to write for them here.

kernel((grid,), (block,), (x, 2.0, n), shared_mem=64)                  CuPy
kernel(grid=(g, 1, 1), block=(b, 1, 1), args=[x, 2.0, n])              torch
kernel.prepare("Pfi"); kernel.prepared_call(grid, block, x, 2.0, n)    PyCUDA
kernel[grid](x, 2.0, n)                                                Triton, whose kernels know their block
"""

from __future__ import annotations

import numbers

from jitload.errors import LaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

#: What others call an option of a launch, and its name here.
_OPTIONS = {
    "shared_mem": "shared_bytes",
    "sharedmem": "shared_bytes",
    "shared_memory": "shared_bytes",
    "shmem_size": "shared_bytes",
    "shared": "shared_bytes",
    "smem": "shared_bytes",
    "enable_cooperative_groups": "cooperative",
    "cooperative_launch": "cooperative",
}
_DIMENSIONS = 3
_BIND = "bound = kernel.bind(grid=..., block=...) once, then bound(x, n): no types are declared"
_CALL = "kernel[grid, block](x, n), or kernel[grid, block, stream, shared_bytes](x, n)"
_DRIVERS = "on a GPU cuda.core.Kernel.from_handle(kernel.handle).attributes has all that the driver tells"
#: Attributes that the kernels of others have, and what there is here.
_ATTRIBUTES = {
    "prepare": _BIND,
    "prepared_call": _BIND,
    "prepared_async_call": f"{_BIND}; bind takes stream=, too",
    "prepared_timed_call": f"{_BIND}; time it with events of your framework",
    "launch": _CALL,
    "configure": _CALL,
    "compile": "artifact() of a jit_kernel compiles, precompile() for several archs",
    "set_block_shape": _CALL,
    "set_shared_size": _CALL,
    "launch_grid": _CALL,
    "attributes": f"kernel.resources; {_DRIVERS}",
    "num_regs": "kernel.resources.registers",
    "local_size_bytes": "kernel.resources.stack_bytes",
    "shared_size_bytes": "kernel.resources.shared_bytes",
    "const_size_bytes": "kernel.resources.constant_bytes",
    "max_threads_per_block": "kernel.resources.max_threads",
    "max_dynamic_shared_size_bytes": "nothing: a launch with shared_bytes= asks the driver for it",
    "preferred_shared_memory_carveout": "carveout_percent= at the launch",
    "binary_version": "kernel.arch",
    "ptx_version": f"artifact.arch; {_DRIVERS}",
    "cache_mode_ca": _DRIVERS,
    "occupancy": "jitload.occupancy(kernel, block), and kernel.suggest_block() for the block",
    "max_potential_block_size": "kernel.suggest_block()",
    "regs_per_thread": "kernel.resources.registers",
    "get_regs_per_thread": "kernel.resources.registers",
    "local_mem_per_thread": "kernel.resources.stack_bytes",
    "get_local_mem_per_thread": "kernel.resources.stack_bytes",
    "shared_mem_per_block": "kernel.resources.shared_bytes",
    "get_shared_mem_per_block": "kernel.resources.shared_bytes",
    "const_mem_size": "kernel.resources.constant_bytes",
    "get_const_mem_size": "kernel.resources.constant_bytes",
    "get_max_threads_per_block": "kernel.resources.max_threads",
    "n_regs": "kernel.resources.registers",
    "n_spills": "kernel.resources.spill_store_bytes",
    "inspect_asm": "module.inspect_source(), or JITLOAD_DUMP=DIR",
    "inspect_sass": "`jitload disasm FILE`, or JITLOAD_DUMP=DIR",
    "warmup": "precompile() of a jit_kernel, or kernel() to load it too",
}
#: The same of modules.
_MODULE_ATTRIBUTES = {
    "write_to_file": "path.write_bytes(module.save_to_bytes())",
    "get_write_formats": "module.save_to_bytes()",
    "get_function_metadata": "module[name].info",
    "get_function_doc": "module[name].info",
    "clear_imports": "load_module_from_bytes again, for a module without imports",
    "get_texref": "a texture object, given to the kernel: CUDA 12 has no texture references",
    "get_surfref": "a surface object, given to the kernel: CUDA 12 has no surface references",
}


class PeerAttributes:
    """What kernels of other libraries have and these do not is an AttributeError with the way to do it here."""

    __slots__ = ()

    def _advice(self, name: str) -> str | None:
        return _ATTRIBUTES.get(name)

    if not TYPE_CHECKING:  # or every misspelled attribute would have a type

        def __getattr__(self, name: str) -> object:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            advice = None if name.startswith("_") else self._advice(name)
            raise AttributeError(f"{text}: write {advice}" if advice else text, name=name, obj=self)


class PeerModuleAttributes(PeerAttributes):
    """The same of modules, whose functions are attributes elsewhere."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def functions(self) -> tuple[str, ...]:
            """Their names."""

    def _advice(self, name: str) -> str | None:
        if name != "functions" and name in self.functions:  # which is missing itself in one that is half made
            return f"module[{name!r}]"
        return _MODULE_ATTRIBUTES.get(name)


def refuse_foreign_call(
    kernel: str,
    parameters: Sequence[str],
    arguments: Sequence[object],
    keywords: Mapping[str, object],
    own: Container[str] = (),
) -> None:
    """Refuse a call that is written as another library has it; any other is for others to judge.

    Args:
        kernel: the name of the kernel.
        parameters: the names of its parameters, as far as they are known.
        arguments: those by position.
        keywords: those by keyword, options of the launch among them.
        own: keywords that are the kernel's, whatever they mean elsewhere.

    Raises:
        LaunchError: it is such a call; the text has it as it is written here, with its own values.
    """
    options = {word: value for word, value in keywords.items() if value is not None}
    foreign = [word for word in (*_OPTIONS, "args") if word in options and word not in own]
    rest = list(arguments)
    values = options.pop("args") if "args" in foreign else None
    if "grid" not in options and "block" not in options and _leading_shape(rest, values):
        options.update(grid=rest[0], block=rest[1])
        del rest[:2]
        foreign.append("grid")
        if values is None and rest and isinstance(rest[0], tuple | list):
            values = rest.pop(0)
        if values is not None and rest:  # CuPy's fourth by position
            options["shared_mem"] = rest.pop(0)
    if not foreign:
        return
    if isinstance(values, tuple | list):
        rest += values
    elif values is not None:
        rest.append(values)
    for word in [word for word in options if word in _OPTIONS and word not in own]:
        options[_OPTIONS[word]] = options.pop(word)
    call = _written(kernel, parameters, rest, options)
    raise LaunchError(f"kernel {kernel!r} is called as kernels of another library are; write {call}")


def refused_configuration(kernel: str, key: object) -> LaunchError:
    """What to raise for `kernel[key]`, where the key is no grid and block, nor these with a stream and more.

    Args:
        kernel: the name of the kernel.
        key: what stood in the brackets.
    """
    parts = key if isinstance(key, tuple) else (key,)
    hint = ""
    if len(parts) < 2:
        grid = _size(parts[0]) if parts and _is_shape(parts[0]) else "grid"
        name = kernel if kernel.isidentifier() else "kernel"
        hint = f": grid and block stand in one pair of brackets, write {name}[{grid}, 256](...) for 256 threads a block"
    return LaunchError(
        f"kernel {kernel!r} is launched as kernel[grid, block](...) or kernel[grid, block, stream, shared_bytes](...), "
        f"got kernel[{key!r:.60}]{hint}"
    )


def spread_hint(arguments: Sequence[object]) -> str:
    """What to add where a kernel got one list in the place of its arguments."""
    if len(arguments) == 1 and isinstance(arguments[0], tuple | list):
        return "; they are given one by one: write kernel[grid, block](*args)"
    return ""


def _leading_shape(arguments: list[object], values: object) -> bool:
    """Whether the first two arguments are grid and block."""
    if len(arguments) < 2:
        return False
    are_tuples = all(_is_shape(one) and isinstance(one, tuple | list) for one in arguments[:2])
    brings_values = values is not None or (len(arguments) > 2 and isinstance(arguments[2], tuple | list))
    return are_tuples or (brings_values and all(map(_is_shape, arguments[:2])))


def _is_shape(value: object) -> bool:
    sizes = list(value) if isinstance(value, tuple | list) else [value]
    return 1 <= len(sizes) <= _DIMENSIONS and all(
        isinstance(size, numbers.Integral) and not isinstance(size, bool) for size in sizes
    )


def _written(kernel: str, parameters: Sequence[str], values: list[object], options: dict[str, object]) -> str:
    name = kernel if kernel.isidentifier() else "kernel"
    names = [*parameters, *[""] * len(values)]
    texts = [_text(value, names[index]) for index, value in enumerate(values)]
    grid, block = (_size(options.pop(word, None)) for word in ("grid", "block"))
    more = {word: value for word, value in options.items() if value not in (0, False)}
    if not more:
        return f"{name}[{grid or 'grid'}, {block or 'block'}]({', '.join(texts)})"
    texts += [f"grid={grid or '...'}", f"block={block or '...'}"]
    texts += [f"{word}={_text(value, word)}" for word, value in more.items()]
    return f"{name}({', '.join(texts)})"


def _size(value: object) -> str:
    """A grid or block in its shortest form."""
    if not isinstance(value, tuple | list):
        return "" if value is None else str(value)
    sizes = [str(size) for size in value]
    while len(sizes) > 1 and sizes[-1] == "1":
        sizes.pop()
    return sizes[0] if len(sizes) == 1 else f"({', '.join(sizes)})"


def _text(value: object, name: str) -> str:
    """A value as it can be written: a number itself, an array by the name of its parameter."""
    if value is None or isinstance(value, bool | int | float | complex | str):
        return repr(value)
    item = getattr(value, "item", None)
    if getattr(value, "shape", None) == () and item is not None:  # the width of a NumPy scalar is the parameter's
        return repr(item())
    return name or type(value).__name__
