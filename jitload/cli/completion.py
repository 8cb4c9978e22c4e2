"""`jitload completion`: a script for a shell, made from the commands and options that there are.

The script knows them by itself: a TAB starts no Python.
"""

from enum import Enum
from shlex import quote
from typing import Annotated, NamedTuple

import typer

from jitload.cli.console import Parsed, new_app

PROGRAM = "jitload"

app = new_app()


class Shell(str, Enum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


class Node(NamedTuple):
    """A command, with what may stand behind it.

    Attributes:
        place: the words up to it: "jitload cache ls".
        commands: name -> what it does, of a group; words of an argument that takes one of a few.
        options: (spellings, what it takes, what it means) of each option; the words that it takes, None for anything
            else, and () for nothing.
    """

    place: str
    commands: dict[str, str]
    options: list[tuple[list[str], tuple[str, ...] | None, str]]


@app.command()
def completion(
    context: typer.Context,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print a script that completes this command in a shell.

    \b
    jitload completion bash >~/.local/share/bash-completion/completions/jitload
    jitload completion zsh >~/.zfunc/_jitload          # in a directory of $fpath
    jitload completion fish >~/.config/fish/completions/jitload.fish
    """  # noqa: D301 - the help's own mark for lines that stay as they are
    assert context.parent is not None
    nodes = list(walk(context.parent.command, PROGRAM, context))
    typer.echo({Shell.BASH: bash, Shell.ZSH: zsh, Shell.FISH: fish}[shell](nodes), nl=False)


def walk(command: Parsed, place: str, context: Parsed) -> list[Node]:
    """A command, and all below it."""
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    below = {name: command.get_command(context, name) for name in names}
    options = [_option(parameter) for parameter in command.params if parameter.param_type_name == "option"]
    options.append((["--help", "-h"], (), "Show this message and exit."))
    words = {name: one.get_short_help_str(80) for name, one in below.items()}
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words.update(dict.fromkeys(_choices(parameter) or (), parameter.help or ""))
    node = Node(place, words, options)
    return [node, *(found for name, one in below.items() for found in walk(one, f"{place} {name}", context))]


def _option(parameter: Parsed) -> tuple[list[str], tuple[str, ...] | None, str]:
    takes = () if parameter.is_flag else _choices(parameter)
    text = " ".join((parameter.help or "").split())
    return [*parameter.opts, *parameter.secondary_opts], takes, text


def _choices(parameter: Parsed) -> tuple[str, ...] | None:
    """The words that an option takes, where they are listed; versions of the parser keep them in two places."""
    annotated = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    choices = getattr(getattr(parameter, "type", None), "choices", None)
    if choices is None and isinstance(annotated, type) and issubclass(annotated, Enum):
        choices = list(annotated)
    return None if choices is None else tuple([str(getattr(choice, "value", choice)) for choice in choices])


def bash(nodes: list[Node]) -> str:
    """The script for bash."""
    return _BASH.format(find=_find(nodes, "${COMP_WORDS[@]:1:COMP_CWORD-1}"))


def zsh(nodes: list[Node]) -> str:
    """The script for zsh."""
    return _ZSH.format(find=_find(nodes, "${words[@]:1:CURRENT-2}"))


def _find(nodes: list[Node], earlier: str) -> str:
    """The part that both shells read alike.

    Args:
        nodes: the commands.
        earlier: the words between the program and the cursor, as the shell has them.
    """
    places = [f'"{node.place}"' for node in nodes[1:]]
    words, groups, values, others = [], [], [], []
    for node in nodes:
        spelled = " ".join(sorted(spelling for spellings, _, _ in node.options for spelling in spellings))
        words.append(f'    "{node.place}") options="{spelled}" ;;')
        if node.commands:
            groups.append(f'    "{node.place}") commands="{" ".join(node.commands)}" ;;')
        for spellings, takes, _ in node.options:
            pattern = "|".join(f'"{node.place} {spelling}"' for spelling in spellings)
            if takes:
                values.append(f'    {pattern}) choices="{" ".join(takes)}" ;;')
            elif takes is None:
                others.append(pattern)
    values.append(f"    {'|'.join(others)}) value=1 ;;")
    lines = {"words": words, "groups": groups, "values": values}
    told = {name: "\n".join(rows) for name, rows in lines.items()}
    return _FIND.format(earlier=earlier, places="|".join(places), **told)


def fish(nodes: list[Node]) -> str:
    """The script for fish."""
    places = " ".join(quote(node.place) for node in nodes)
    lines = [_FISH.format(places=places)]
    for node in nodes:
        here = f"complete -c {PROGRAM} -n {quote(f'__jitload_at {quote(node.place)}')}"
        lines += [f"{here} -f -a {name} -d {_told(text)}" for name, text in node.commands.items()]
        for spellings, takes, text in node.options:
            flags = " ".join(f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in spellings)
            value = "" if takes == () else f" -x -a {quote(' '.join(takes))}" if takes else " -r"
            lines.append(f"{here} {flags}{value} -d {_told(text)}")
    return "\n".join(lines) + "\n"


def _told(text: str) -> str:
    return quote(text.partition(". ")[0].rstrip("."))


# What both shells read alike: where on the command line the cursor is, and what there is to choose from there.
_FIND = """\
  local place=jitload before= word options= commands= choices= value=
  for word in "{earlier}"; do
    case "$place $word" in
    ({places}) place="$place $word" ;;
    esac
    before=$word
  done
  case "$place $before" in
{values}
  esac
  case "$place" in
{words}
  esac
  case "$place" in
{groups}
  esac
"""

_BASH = """\
_jitload() {{
{find}\
  local current=${{COMP_WORDS[COMP_CWORD]}}
  COMPREPLY=()
  if [ -n "$choices" ]; then
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
  elif [ -n "$value" ]; then
    return
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [ -n "$commands" ]; then
    COMPREPLY=($(compgen -W "$commands" -- "$current"))
  fi
}}
complete -o bashdefault -o default -F _jitload jitload
"""

_ZSH = """\
#compdef jitload
_jitload() {{
{find}\
  if [[ -n $choices ]]; then
    compadd -- ${{=choices}}
  elif [[ -n $value ]]; then
    _files
  elif [[ $PREFIX == -* ]]; then
    compadd -- ${{=options}}
  elif [[ -n $commands ]]; then
    compadd -- ${{=commands}}
  else
    _files
  fi
}}
if [[ $funcstack[1] == _jitload ]]; then _jitload "$@"; else compdef _jitload jitload; fi
"""

_FISH = """\
function __jitload_at
    set -l place jitload
    set -l places {places}
    for word in (commandline -opc)[2..-1]
        if contains -- "$place $word" $places
            set place "$place $word"
        end
    end
    test "$place" = "$argv[1]"
end"""
