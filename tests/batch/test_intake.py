"""What workers have made is kept while others work, and while they compile the next."""

from __future__ import annotations

import threading

import pytest

from jitload import Cache, CompileRequest
from jitload.batch import answer
from jitload.batch.intake import taken_in, taken_in_together
from jitload.batch.work import Batch, Result
from jitload.door import compile_request
from jitload.errors import CompileError
from jitload.tiers.disk import DiskStore

SECONDS = 60


def simple(number: int) -> CompileRequest:
    source = f'extern "C" __global__ void k{number}(int *x) {{ *x = {number}; }}'
    return CompileRequest(source, kind="ptx", arch="compute_75", name=f"k{number}.cu")


def results(numbers) -> list[Result]:
    elsewhere = Cache()
    made = [(simple(number), compile_request(simple(number), elsewhere)) for number in numbers]
    return [Result(one, "compiled", None, artifact, elsewhere.variants(one.digest)) for one, artifact in made]


def test_what_came_together_is_written_together(tmp_path, monkeypatch):
    """Each waits for the other to be on its way: one after the other, they would wait for ever."""
    meet, put = threading.Barrier(2), DiskStore.put

    def put_when_both_do(store, artifact, factors=b"{}"):
        meet.wait(SECONDS)
        return put(store, artifact, factors)

    monkeypatch.setattr(DiskStore, "put", put_when_both_do)
    cache, came = Cache(tmp_path), results((1, 2))
    assert taken_in_together(cache, came) == came
    assert len(list(cache.entries())) == 2
    assert taken_in_together(cache, []) == []


def test_a_result_is_told_when_it_is_kept(tmp_path):
    cache = Cache(tmp_path)
    for result in taken_in(cache, (one for one in results((1, 2)))):
        assert cache.disk.read(result.artifact.key)[0] is not None


def test_a_worker_compiles_the_next_while_the_disk_has_not_got_the_last(tmp_path, monkeypatch):
    """The first is not kept before the second is being compiled; results come in order all the same."""
    compiled, begun, put = [], threading.Event(), DiskStore.put

    def compile_and_tell(request, *rest, **options):
        compiled.append(threading.get_ident())
        if len(compiled) == 2:
            begun.set()
        return compile_artifact(request, *rest, **options)

    def put_later(store, artifact, factors=b"{}"):
        assert begun.wait(SECONDS), "the next one waits for the disk"
        return put(store, artifact, factors)

    compile_artifact = answer.compile_artifact
    requests = [simple(number) for number in range(3)]
    with monkeypatch.context() as elsewhere:  # whoever asks is another process
        elsewhere.setattr("jitload.batch.work.os.getpid", lambda: 1)
        batch = Batch(requests, Cache(tmp_path), str(tmp_path / "none"), "missing")
    monkeypatch.setattr(answer, "compile_artifact", compile_and_tell)
    monkeypatch.setattr(DiskStore, "put", put_later)
    assert [(one.request, one.outcome) for one in answer.answer_batch(batch)] == [(one, "compiled") for one in requests]
    assert len(set(compiled)) == 1, "the compiler has one thread"


def test_what_fails_among_others_fails_alone(tmp_path):
    broken = CompileRequest("oops", kind="ptx", arch="compute_75", name="broken.cu")
    batch = Batch([simple(1), broken, simple(2)], Cache(tmp_path), str(tmp_path), "missing")
    found = list(answer.answer_batch(batch))
    assert [one.outcome for one in found] == ["compiled", "failed", "compiled"]
    with pytest.raises(CompileError, match=r"broken\.cu"):
        raise found[1].error
