"""Names of GPUs and of their generations -> the archs that they are: from NVIDIA's list of compute capabilities.

Looked at where a name is no arch. A name that is not here is only not explained.
"""

from __future__ import annotations

import re

#: (what a name has in it, the archs). Where several fit, the first counts.
_CARDS = tuple(
    (re.compile(rf"(?<![a-z0-9])(?:{name})(?![0-9])"), archs)
    for name, archs in (
        (r"gb10|spark", "sm_121"),
        (r"g?b300", "sm_103"),
        (r"g?b[12]00", "sm_100"),
        (r"rtx ?pro ?[2456]0+|(?:rtx ?)?50[5-9]0", "sm_120"),
        (r"g?h(?:20|100|200|800)", "sm_90"),
        (r"l2|l4|l20|l40s?|rtx ?[2456]0+ ?ada|(?:rtx ?)?40[5-9]0", "sm_89"),
        (r"orin", "sm_87"),
        (r"a100|a800|a30", "sm_80"),
        (r"a2|a10|a16|a40|(?:rtx ?)?a[2456]000|(?:rtx ?)?30[5-9]0", "sm_86"),
        (r"t4|t[1246]00|titan ?rtx|quadro ?rtx|(?:rtx ?)?20[5-9]0|(?:gtx ?)?16[5-9]0", "sm_75"),
        (r"xavier", "sm_72"),
        (r"v100|titan ?v", "sm_70"),
        (r"p4|p40|(?:gtx ?)?10[1-9]0|titan ?xp", "sm_61"),
        (r"p100", "sm_60"),
        (r"blackwell", "sm_100, sm_103, sm_120 and sm_121"),
        (r"hopper", "sm_90"),
        (r"ada|lovelace", "sm_89"),
        (r"ampere", "sm_80, sm_86 and sm_87"),
        (r"turing", "sm_75"),
        (r"volta", "sm_70 and sm_72"),
        (r"pascal", "sm_60, sm_61 and sm_62"),
    )
)


def archs_called(name: str) -> str:
    """The archs of GPUs of that name, as text; "" where it is not known.

    Args:
        name: as people and drivers write it: "H100", "NVIDIA GeForce RTX 4090", "a100-sxm4-80gb", "hopper".
    """
    spelled = re.sub(r"[\s_-]+", " ", name.lower())
    return next((archs for card, archs in _CARDS if card.search(spelled)), "")
