import jitload
try:
    jitload.compile("__global__ void k() { int a }", arch="sm_90")
except jitload.CompileError as error:
    for said in error.diagnostics:              # warnings are here and in error.log; the message has the errors alone
        print(said.file, said.line, said.column, said.severity, said.message)
