"""What nothing of jitload uses, found by vulture: functions, classes, methods, attributes, names.

    python .ci/dead_code.py

A use by a test is none. A name in a text counts where it is all of the text, as keys of dictionaries are, and where the
text is a piece of the code that `jitload/cpu` puts together; so do public names.
What is left is to be removed, or stands in ALLOWED with the reason.
"""

from __future__ import annotations

import ast
import re
import sys
from fnmatch import fnmatch
from keyword import iskeyword
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "jitload"
#: Registered by what stands above them.
DECORATORS = ["@emits*", "@*.command", "@*.command(*", "@app.callback*", "@overload", "@*.callback"]
#: Name, or pattern -> why it stays.
ALLOWED = {
    "__getattr__": "Python asks for it",
    "__dir__": "Python asks for it",
    "__call__": "Python asks for it",
    "readable": "BufferedReader asks for it",
    "readinto": "BufferedReader asks for it",
    "exc_info": "what Python hands to __exit__",
    "argv": "of sys, for the script that is profiled",
    "_repr_html_": "notebooks ask for it",
    "_render_traceback_": "IPython asks for it",
    "_torchdynamo_disable*": "torch's compiler reads them",
    "manager_class": "a knob of Triton",
    "allocType": "a field of the driver's structure",
    **dict.fromkeys(
        (
            "addressMode",
            "filterMode",
            "resType",
            "devPtr",
            "hArray",
            "numChannels",
            "hMipmappedArray",
            "mipmapFilterMode",
            "maxMipmapLevelClamp",
            "sizeInBytes",
            "Width",
            "Height",
            "Depth",
            "Format",
            "NumChannels",
            "Flags",
            "src*",
            "dst*",
        ),
        "fields of the driver's structures for textures",
    ),
    "_sql_retry": "diskcache asks for it",
    "_connect": "redis-py asks for it",
    "redirect_request": "urllib asks for it",
    "unsigned_bytes": "of Bundle, for users",
    "to_object_code": "of Artifact, for users",
    "copy_to": "of DeviceGlobal, for users",
    "is_binary_serializable": "of Module, for users",
    "is_runnable": "of Module, for users",
    "get_bytes": "of a system library, for users",
    "CHARACTER": "a kind of token, as the lexer's table has it",
    "*Function": "a protocol: what a device may offer beside the least",
    "CheckedMemory": "a protocol: what a device may offer beside the least",
    "takes_integers": "read by native code",
    "takes_none": "read by native code",
    "is_written": "read by native code",
    "families": "for the page docs/cpu.md and the tests, which go through all rows",
    "tells": "the column of docs/cpu.md, which the tests write",
    "loaded_libraries": "shows whether libraries are let go",
}
_NAME = re.compile(r"[A-Za-z_]\w*")


def names_in_texts() -> set[str]:
    """What string constants name: one name alone (a key, a field), and all in those that code is put together from."""
    found: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        generates = path.is_relative_to(PACKAGE / "cpu") or path == PACKAGE / "compiler" / "isolate.py"
        tree = ast.parse(path.read_text())
        statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
                names = _NAME.findall(node.value)
                if generates or names == [node.value]:
                    found.update(name for name in names if not iskeyword(name))
    return found


def unused() -> list[str]:
    """A line for each find that is not allowed; what is allowed and not found any more is printed."""
    finder = Vulture(ignore_decorators=DECORATORS)
    finder.scavenge([PACKAGE, PACKAGE / "__init__.pyi"])
    finder.scan("\n".join(sorted(names_in_texts())), filename="names in generated code")
    lines, seen = [], set()
    for item in finder.get_unused_code(min_confidence=60):
        pattern = next((one for one in ALLOWED if fnmatch(str(item.name), one)), None)
        seen.add(pattern)
        if pattern is None and item.filename.suffix == ".py":
            lines.append(f"{item.filename.relative_to(ROOT)}:{item.first_lineno}: {item.message}")
    print(
        "".join(f"note: {name!r} is allowed, and is used now, or gone\n" for name in ALLOWED if name not in seen),
        end="",
    )
    return lines


if __name__ == "__main__":
    found = unused()
    print("\n".join(found) or "nothing is unused")
    sys.exit(bool(found))
