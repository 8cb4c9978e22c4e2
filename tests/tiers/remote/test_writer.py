"""The queue behind a remote: in order, bounded, and one piece that fails is one that fails."""

from __future__ import annotations

import threading

from jitload.tiers.remote import writer


def test_everything_is_done_in_order_and_what_fails_keeps_nothing_from_it():
    done, made = [], writer.Writer("here")
    for number in range(50):
        assert made.add(lambda number=number: done.append(number) if number % 7 else 1 / 0)
    assert made.flush(60)
    assert done == [number for number in range(50) if number % 7]


def test_what_waits_and_what_is_at_work_is_bounded_together(monkeypatch):
    monkeypatch.setattr(writer, "MAX_WAITING_BYTES", 160)
    made, begun, go_on = writer.Writer("here"), threading.Event(), threading.Event()

    def work():
        begun.set()
        assert go_on.wait(60)

    assert made.add(work, 100)
    assert begun.wait(60)
    assert made.add(lambda: None, 60)
    assert not made.add(lambda: None, 1), "what is at work takes memory too"
    assert not made.flush(0.01)
    go_on.set()
    assert made.flush(60)
    assert made.add(lambda: None, 160), "what is done takes none"
    assert made.flush(60)
