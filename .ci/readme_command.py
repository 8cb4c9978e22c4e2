"""Print the README's test command: the second of the two under "Quick start"."""

import pathlib
import re

text = pathlib.Path("README.md").read_text(encoding="utf-8")
section = text.split("## Quick start", 1)[1].split("\n## ", 1)[0]
blocks = re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)
if len(blocks) != 2:
    raise SystemExit(f"expected two commands under 'Quick start', found {len(blocks)}")
print(blocks[1])
