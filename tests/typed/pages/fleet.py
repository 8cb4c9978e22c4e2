
import jitload
from jitload.workloads.workload import Workload
with jitload.record("app.jlw"):
    jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', kind="cubin", arch="sm_90")
archs = ["sm_80"]

from distributed import Client

with Client("tcp://scheduler:8786") as client:
    report = jitload.precompile(Workload.read("app.jlw"), archs, executor=client.get_executor())
