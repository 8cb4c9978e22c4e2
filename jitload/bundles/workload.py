"""The older path of `jitload.workloads.workload`, kept for programs that name it."""

from __future__ import annotations

from jitload.workloads.program import encode_line as encode_line
from jitload.workloads.workload import Workload as Workload
from jitload.workloads.workload import decode_workload as decode_workload
