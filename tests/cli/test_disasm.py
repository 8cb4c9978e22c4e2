"""`jitload disasm`: machine code of whatever file a kernel is in."""

import jitload
from jitload.images.check import cubin_arch


def test_every_file_with_a_kernel_is_disassembled(invoke, workdir):
    made = jitload.compile((workdir / "saxpy.cu").read_text(), kind="cubin", arch="sm_80")
    text = jitload.compile((workdir / "saxpy.cu").read_text(), kind="ptx", arch="compute_80")
    fat = jitload.compile((workdir / "saxpy.cu").read_text(), arch=["sm_80", "sm_90"])
    (workdir / "a.cubin").write_bytes(made.data)
    (workdir / "a.ptx").write_bytes(text.data)
    (workdir / "a.fatbin").write_bytes(fat.data)
    made.save(workdir / "a.jle")
    assert cubin_arch(made.data) == "sm_80"
    for arguments, archs in (
        (("saxpy.cu", "--arch", "sm_80,sm_90"), ["sm_80", "sm_90"]), (("a.cubin",), ["sm_80"]), (("a.jle",), ["sm_80"]),
        (("a.ptx", "--arch", "sm_86"), ["sm_86"]), (("a.fatbin",), ["sm_80", "sm_90"]),
    ):  # fmt: skip
        result = invoke("disasm", *arguments)
        assert result.exit_code == 0, result.stderr
        assert result.stdout.count(".text.saxpy") >= len(archs)
        assert "EXIT" in result.stdout
    result = invoke("disasm", "a.ptx")
    assert result.exit_code == 1
    assert "--arch sm_90" in result.stderr
    assert invoke("disasm", "none.cubin").stderr == "jitload: none.cubin: No such file or directory\n"
