"""Types of the toolkit's headers, by their names alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.compiler.types.cpptype import Node, spell
from jitload.compiler.types.lowered.instantiate import NotKnown
from jitload.compiler.types.places import qualified
from jitload.compiler.types.toolkit_names import CLASSES, TYPEDEFS, words_of
from jitload.compiler.types.words import split_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jitload.compiler.types.toolkit_names import ToolkitNames
    from jitload.compiler.types.written import Part

    #: The words of a type or of a number -> what they mean where they stand.
    Read = Callable[[Sequence[str]], Node]
    Compute = Callable[[Sequence[str]], str]

#: libcu++ declares these by a macro, as the types of just that size; a system's own <stdint.h> is a user's header.
_SIZED = re.compile(r"(u?int)_(?:fast|least)(8|16|32|64)_t")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F']+|0[bB][01']+|[0-9][0-9']*)[uUlLzZ]*|-|\(|sizeof")


def foreign_type(
    names: ToolkitNames, paths: Sequence[str], part: Part, read: Read, compute: Compute, read_alias: Read
) -> Node:
    """A type of the toolkit's headers.

    Args:
        names: what they declare.
        paths: the namespaces that it may be in, "" for the global one.
        part: its name and template arguments.
        read: reads a template argument that is a type.
        compute: reads one that is a number.
        read_alias: reads the type in one of their typedefs.

    Raises:
        NotKnown: there is none, or they have several meanings for it.
    """
    name = part.name
    if "" in paths and part.arguments is None and (name in TYPEDEFS or CLASSES.fullmatch(name)):
        return Node("name", TYPEDEFS.get(name, name))
    found = names.find(name)
    if found.is_macro or not (found.aliases or found.classes):
        if not found.is_macro and name in TYPEDEFS:  # cuda::std::size_t
            return Node("name", TYPEDEFS[name])
        if not found.is_macro and part.arguments is None and (sized := _SIZED.fullmatch(name)):
            return read_alias((f"{sized[1]}{sized[2]}_t",))
        raise NotKnown(name)
    nodes = [_class(names, paths, part, read, compute)] if found.classes else []
    if found.aliases and part.arguments is not None:
        raise NotKnown(name)
    for words in dict.fromkeys(found.aliases):
        if words == ("struct", name) or (words == (name,) and found.classes):
            nodes.append(Node("name", name) if not found.classes else nodes[0])
        else:
            nodes.append(read_alias(words))
    if any(node != nodes[0] for node in nodes):
        raise NotKnown(f"{name} has several meanings")
    return nodes[0]


def _class(names: ToolkitNames, paths: Sequence[str], part: Part, read: Read, compute: Compute) -> Node:
    found = names.find(part.name)
    open_ = dict.fromkeys(path for path in paths if path)
    if found.is_global and "" in paths:
        path = ""
    elif len(open_) == 1:
        path = next(iter(open_))
    else:  # which of the namespaces that are open has it, cannot be told
        raise NotKnown(part.name)
    name = qualified(path, part.name)
    if found.usings and name not in found.usings:
        raise NotKnown(name)
    if part.arguments is None:
        if any(found.classes):
            raise NotKnown("a template without arguments")
        return Node("name", name)
    texts = [_argument(words, read, compute) for words in part.arguments]
    for head in found.classes:
        if "=" in head and len(split_list(words_of(head))) > len(texts):
            raise NotKnown("arguments by default")
    return Node("name", f"{name}<{', '.join(texts)}>")


def _argument(words: Sequence[str], read: Read, compute: Compute) -> str:
    if tuple(words) in {("true",), ("false",)}:
        return words[0]
    if words and _NUMBER.fullmatch(words[0]):
        return compute(words)
    return spell(read(words))
