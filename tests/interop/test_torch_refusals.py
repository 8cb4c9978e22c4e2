"""Where torch's rules for custom operators give a wrong gradient without a word, an operator of ours is an error."""

import pytest

import jitload

SOURCE = """
__global__ void twice(const float *x, float *y, int n = 4)
{
    for (int i = 0; i < n; ++i) y[i] = x[i] + x[i];
}
"""


@jitload.jit_kernel(source=SOURCE)
def twice(x, y, n=4): ...


@pytest.fixture
def torch(framework, monkeypatch):
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    module = framework("torch")
    if not hasattr(module.library, "get_kernel"):
        pytest.skip("needs torch 2.9")
    return module


@pytest.fixture
def operator(torch):
    from jitload.interop.torch import custom_op

    return custom_op(
        twice, "jitload_guard::twice", grid=1, block=1, outputs={"y": "x"}, backward=lambda gradient, x, n: 2 * gradient
    )


@pytest.fixture
def in_place(torch):
    from jitload.interop.torch import custom_op

    return custom_op(twice, "jitload_guard::twice_", grid=1, block=1)


def test_what_autograd_follows_is_not_changed(torch, in_place):
    x, leaf = torch.arange(4.0), torch.ones(4, requires_grad=True)
    for followed in (leaf, leaf * 1):
        before = followed.tolist()
        for call in (in_place, torch.ops.jitload_guard.twice_):
            with pytest.raises(jitload.ArgumentError, match=r"'y' requires grad and is changed.*torch\.no_grad\(\)"):
                call(x, followed)
        assert followed.tolist() == before
    with torch.no_grad():
        in_place(x, leaf)
    in_place(leaf, y := torch.zeros(4))  # what is read may be followed; the rest has no history
    assert leaf.tolist() == [0, 2, 4, 6]
    assert y.tolist() == [0, 4, 8, 12]
    assert not y.requires_grad


def test_what_is_changed_within_a_graph_is_not_followed_either(torch, in_place):
    def around(x):
        y = x * 1
        in_place(x, y)
        return y + 1

    torch.compiler.reset()
    compiled = torch.compile(around, backend="aot_eager", fullgraph=True)
    assert compiled(torch.arange(4.0)).tolist() == [1, 3, 5, 7]
    with pytest.raises(Exception, match="'y' requires grad and is changed"):  # torch wraps it in one of its own
        compiled(torch.arange(4.0, requires_grad=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script. is deprecated:DeprecationWarning")  # by torch.func.jvp itself
def test_forward_mode_is_refused_in_each_of_its_forms(torch, operator, in_place):
    forward = torch.autograd.forward_ad
    x, ones = torch.arange(4.0), torch.ones(4)
    with forward.dual_level():
        dual = forward.make_dual(x, ones)
        for call in (lambda: operator(dual), lambda: in_place(dual, torch.zeros(4)), lambda: in_place(x, dual)):
            with pytest.raises(jitload.ArgumentError, match="has a tangent, and the operator has no rule"):
                call()
        assert operator(forward.unpack_dual(dual).primal).tolist() == [0, 2, 4, 6]
    with pytest.raises(jitload.ArgumentError, match="has a tangent"):
        torch.func.jvp(operator, (x,), (ones,))
    with pytest.raises(jitload.ArgumentError, match="has a tangent"):
        torch.func.jacfwd(operator)(x)
    assert torch.autograd.functional.jvp(operator, (x,), (ones,))[1].tolist() == [2] * 4  # by reverse mode, twice
    assert x.tolist() == [0, 1, 2, 3]


def test_a_guarded_operator_keeps_the_rules_of_torch(torch, operator, in_place):
    torch.library.opcheck(operator, (torch.randn(4, requires_grad=True),))
    torch.library.opcheck(in_place, (torch.randn(4), torch.zeros(4)))
    with torch.inference_mode():
        y = torch.zeros(4)
        in_place(torch.arange(4.0), y)
    assert y.tolist() == [0, 2, 4, 6]


@pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning")  # by torch.export itself
def test_it_is_exported_with_what_it_changes(torch, operator, in_place):
    class Model(torch.nn.Module):
        def forward(self, x):
            y = x.sin()
            in_place(x[1:3], y[1:3], 2)
            return operator(y, x.numel())

    dynamic = {"x": {0: torch.export.Dim("n", min=3)}}
    exported = torch.export.export(Model(), (torch.randn(4),), dynamic_shapes=dynamic).run_decompositions()
    x = torch.randn(7)
    expected = 2 * x.sin()
    expected[1:3] = 4 * x[1:3]
    assert torch.allclose(exported.module()(x), expected)
    assert "jitload_guard.twice_" in exported.graph_module.code
