"""`python -m benchmarks`: everything that has a budget, beside its peers, with the machine and the versions.

    python -m benchmarks                              # all of it, in under 15 minutes on two cores
    python -m benchmarks --only hits,launch           # a part
    python -m benchmarks --json F --plot F.png        # the figures as data, and as a picture
    python -m benchmarks --keep                       # into benchmarks/results/, and into docs/performance.md

Peers come with the extra `bench`; what is not installed is named. Nothing here needs a GPU: what does is asked by
benchmarks/gpu_day.py.
"""

import sys
from pathlib import Path

# The programs of this directory are no package: each of them runs by itself too.
sys.path.insert(0, str(Path(__file__).parent))

from suite.command import main

sys.exit(main())
