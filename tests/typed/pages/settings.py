import jitload

with jitload.configure(device="cpu", cpu_check="race"):
    ...                                # launches here
with jitload.Session(compile="never"):
    assert jitload.stats().compiles == 0
