import warnings
import jitload

try:
    jitload.compile("__global__ void k() { int a }", arch="sm_90")
except jitload.CompileError as error:
    said: jitload.Diagnostic = error.diagnostics[0]
    assert (said.line, said.severity) == (1, "error")

warnings.simplefilter("error", jitload.CompileWarning)          # what NVRTC warns of as an error
