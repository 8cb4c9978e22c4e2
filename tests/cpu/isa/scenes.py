"""Forms whose effect takes more than one instruction to see: small kernels around them, and what is left in the end.

Each scene is run by some threads of one block, or of several that are a cluster, of which each stores one word; a name of the form stands for `{name}` in its
text, its registers are those of `_FRAME`, and it says what each thread finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.cpu.isa.integers import REDUCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

#: `%r` hold 32 bits, `%d` 64, `%h` 16; `%t` is the thread, `%m` global memory of 512 bytes, of which byte k is k % 251,
#: `sh` shared memory of 512 bytes, `bar` an mbarrier there that waits for 64 arrivals, `%r0` the result.
FRAME = """.func (.reg .b32 %o) twice(.reg .b32 %i) {{ shl.b32 %o, %i, 1; ret; }}
.visible .entry k{number}(.param .u64 out, .param .u64 memory) {{
.reg .b32 %r<10>, %t, %g; .reg .b64 %d<10>, %m, %w, %x; .reg .b16 %h<10>; .reg .b8 %b<4>; .reg .pred %p<6>; .reg .f32 %f<4>; .reg .f64 %e<4>; .reg .b128 %q;
.shared .align 128 .b8 sh[512]; .shared .align 8 .b64 bar; .local .align 16 .b8 lo[16];
mov.u32 %t, %tid.x; mov.b32 %r0, 0; ld.param.u64 %m, [memory];
setp.ne.u32 %p5, %t, 0; @%p5 bra READY; mbarrier.init.shared.b64 [bar], {arrivals}; READY: bar.sync 0;
{body}
END: ld.param.u64 %w, [out]; mov.u32 %g, %ctaid.x; mad.lo.u32 %g, %g, 64, %t; mul.wide.u32 %x, %g, 4; add.u64 %w, %w, %x; st.global.b32 [%w], %r0;
OUT: ret; }}"""
THREADS = 64
Told = list[int]


class Scene(NamedTuple):
    """A kernel around a form.

    Attributes:
        body: PTX that leaves a word in `%r0`.
        found: the word of each thread.
        arrivals: how many the mbarrier waits for.
        stops: what a fault must say, where the launch is stopped.
        blocks: of the cluster; threads are counted through them.
    """

    body: str
    found: Callable[[int], int]
    arrivals: int = THREADS
    stops: str = ""
    blocks: int = 1


def text_of(scene: Scene, name: Name, number: int) -> str:
    """The whole kernel."""
    spelled = ".".join([name.row.opcode, *name.parts])
    return FRAME.format(number=number, arrivals=scene.arrivals, body=scene.body.replace("{name}", spelled))


def _plain(body: str, found: Callable[[int], int]) -> Callable[[Name], Scene]:
    return lambda _: Scene(body, found)


_SELECTED = "selp.b32 %r9, 1, 0, %p1; "
_ADDED = "mad.lo.u32 %r0, %r0, 10, %r9; "


def _sync(name: Name) -> Scene:
    """What was written before the barrier is there behind it; a second barrier of half the threads holds as well."""
    body = """mov.u64 %d0, sh; mul.wide.u32 %d1, %t, 4; add.u64 %d0, %d0, %d1; st.shared.b32 [%d0], %t;
        setp.ge.u32 %p1, %t, 32; @%p1 bra LATE; bra MEET; LATE: nanosleep.u32 10; MEET: {name} 1, 64;
        xor.b32 %r1, %t, 63; mov.u64 %d0, sh; mul.wide.u32 %d1, %r1, 4; add.u64 %d0, %d0, %d1; ld.shared.b32 %r0, [%d0]; {name} 0;"""
    return Scene(body, lambda t: t ^ 63)


def _arrive(name: Name) -> Scene:
    """Half of the threads write and go on, the others wait for them."""
    waits = "bar.sync" if name.row.opcode == "bar" else "barrier.sync"
    body = f"""mov.u64 %d0, sh; mul.wide.u32 %d1, %t, 4; add.u64 %d0, %d0, %d1; setp.ge.u32 %p1, %t, 32; @%p1 bra READ;
        nanosleep.u32 10; st.shared.b32 [%d0], %t; {{name}} 2, 64; bra END; READ: {waits} 2, 64; ld.shared.b32 %r0, [%d0+-128];"""
    return Scene(body, lambda t: t - 32 if t >= 32 else 0)


def _reduction(name: Name) -> Scene:
    body = "rem.u32 %r1, %t, 3; setp.eq.u32 %p1, %r1, 0; "
    if name.has("popc"):
        return Scene(body + "{name} %r0, 0, 64, %p1;", lambda _: sum(t % 3 == 0 for t in range(THREADS)))
    wanted = int(name.has("or"))
    body += "{name} %p2, 0, %p1; selp.b32 %r0, 1, 0, %p2; setp.le.u32 %p1, %t, 99; {name} %p2, 0, %p1; selp.b32 %r1, 10, 0, %p2; add.u32 %r0, %r0, %r1;"
    return Scene(body, lambda _: wanted + 10)


def _cluster_barrier(name: Name) -> Scene:
    pair = "{name}; barrier.cluster.wait;" if name.has("arrive") else "barrier.cluster.arrive; {name};"
    body = f"mov.u64 %d0, sh; mul.wide.u32 %d1, %t, 4; add.u64 %d0, %d0, %d1; st.shared.b32 [%d0], %t; {pair} xor.b32 %r1, %t, 63; mov.u64 %d0, sh; mul.wide.u32 %d1, %r1, 4; add.u64 %d0, %d0, %d1; ld.shared.b32 %r0, [%d0];"
    return Scene(body, lambda t: t ^ 63)


#: One thread alone goes on with the mbarrier; the others find nothing.
_ONE = "setp.ne.u32 %p5, %t, 0; @%p5 bra END; "
_PHASE = "mbarrier.test_wait.parity.shared.b64 %p1, [bar], 0; " + _SELECTED + _ADDED


def _alone(body: str, found: int, arrivals: int) -> Scene:
    return Scene(_ONE + body, lambda t: 0 if t else found, arrivals)


def _at(name: Name) -> str:
    """The address of the mbarrier as the form takes it."""
    own = {"shared", "shared::cta", "shared::cluster"} & {*name.picked}
    return "mov.u64 %d9, bar; " + ("" if own else "cvta.shared.u64 %d9, %d9; ")


def _arrival(name: Name) -> Scene:
    """One of four arrivals, and two of the next phase, for which less are left of those that drop out."""
    d = "_" if name.has("shared::cluster") else "%d1"
    if name.has("noComplete"):
        body = f"{_at(name)}{{name}} {d}, [%d9], 1; {_PHASE} mbarrier.arrive.shared.b64 _, [bar], 2; {_PHASE}"
        return _alone(body, 1, 3)
    if name.has("expect_tx"):
        arrives = "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], 16;"
        return _alone(f"{_at(name)}{{name}} {d}, [%d9], 16; {_PHASE} {arrives} {_PHASE}", 1, 1)
    drops = name.has("arrive_drop")
    body = f"{_at(name)}{{name}} {d}, [%d9]; {_PHASE} mbarrier.arrive.shared.b64 _, [bar], 3; {_PHASE}"
    body += f"{{name}} {d}, [%d9], 2; mbarrier.arrive.shared.b64 _, [bar], {1 if drops else 2}; {_PHASE.replace(', 0;', ', 1;')}"
    body += "mbarrier.arrive.shared.b64 %d2, [bar]; mbarrier.pending_count.b64 %r9, %d2; " + _ADDED
    return _alone(body, 111 if drops else 114, 4)


def _transaction(name: Name) -> Scene:
    """Bytes hold a phase open until as many came as are expected."""
    other = "complete_tx" if name.has("expect_tx") else "expect_tx"
    first, second = (
        ("{name}", f"mbarrier.{other}.relaxed.cta.shared::cta.b64")
        if name.has("expect_tx")
        else (f"mbarrier.{other}.relaxed.cta.shared::cta.b64", "{name}")
    )
    body = f"{_at(name)}{first} [{'%d9' if first == '{name}' else 'bar'}], 32; mbarrier.arrive.shared.b64 _, [bar]; {_PHASE} {second} [{'%d9' if second == '{name}' else 'bar'}], 32; {_PHASE}"
    return _alone(body, 1, 1)


def _waiting(name: Name) -> Scene:
    """Before the last arrival a phase is not over, and then it is."""
    state = "0" if name.has("parity") else "%d1"
    test = f"{{name}} %p1, [%d9], {state}; {_SELECTED}{_ADDED}"
    body = f"{_at(name)}mbarrier.arrive.shared.b64 %d1, [bar]; {test} mbarrier.arrive.shared.b64 _, [bar]; {test}"
    return _alone(body, 1, 2)


def _init(name: Name) -> Scene:
    body = f"{_at(name)}{{name}} [%d9], 1; mbarrier.arrive.shared.b64 _, [bar]; {_PHASE}"
    return _alone(body, 1, 9)


def _inval(name: Name) -> Scene:
    """The memory is free for something else."""
    body = f"{_at(name)}{{name}} [%d9]; mov.b64 %d1, 77; st.shared.b64 [bar], %d1; ld.shared.b32 %r0, [bar];"
    return _alone(body, 77, 9)


def _pending(_: Name) -> Scene:
    return _alone("mbarrier.arrive.shared.b64 %d1, [bar], 2; {name} %r0, %d1;", 7, 7)


def _bytes(at: int, count: int = 4) -> int:
    return int.from_bytes(bytes((at + k) % 251 for k in range(count)), "little")


def _copied(name: Name) -> Scene:
    """16 bytes (4 of `.ca`) of global memory, with zeros for those that are left out."""
    size = 16 if name.has("cg") else 8
    hint = ", %d8" if name.has("L2::cache_hint") else ""
    part = "" if name.has("L2::cache_hint") else ", %r2"
    body = f"""mov.b64 %d8, 0; mov.u32 %r1, 1; mov.u32 %r2, 4; and.b32 %r3, %t, 15; mul.wide.u32 %d1, %r3, {size}; add.u64 %d2, %m, %d1; mov.u64 %d3, sh; add.u64 %d3, %d3, %d1;
        setp.ge.u32 %p1, %t, 16; @%p1 bra END; {{name}} [%d3], [%d2], {size}{part}{hint}; cp.async.commit_group; cp.async.wait_group 0;
        ld.shared.b32 %r0, [%d3]; ld.shared.b32 %r4, [%d3+4]; xor.b32 %r0, %r0, %r4;"""
    return Scene(body, lambda t: 0 if t >= 16 else _bytes(t * size) ^ (0 if part else _bytes(t * size + 4)))


def _copies_arrive(name: Name) -> Scene:
    """Without `.noinc` the arrival is one more that the phase waits for."""
    counted = name.has("noinc")
    body = f"{_at(name)}{{name}} [%d9]; {_PHASE} mbarrier.arrive.shared.b64 _, [bar]; {_PHASE}"
    return _alone(body, 1 if counted else 0, 2)


_MASK = 0x9352


def _mixed(new: int, old: int, word: int, masked: bool) -> int:
    """A word of four in a row of which some bytes are new: those whose bits are set."""
    taken = [not masked or _MASK >> 4 * word + k & 1 for k in range(4)]
    return sum((new if one else old) & 255 << 8 * k for k, one in enumerate(taken))


def _bulk(name: Name) -> Scene:
    """64 bytes, or some of each 16 of them, which the mbarrier is told of, or a group waits for."""
    hint = ", %d8" if name.has("L2::cache_hint") else ""
    start = "mov.b64 %d8, 0; mov.u32 %r2, 64; mov.u64 %d3, sh; "
    masked = name.has("cp_mask")
    if masked:
        start, hint = f"{start} mov.b16 %h1, {_MASK};", f"{hint}, %h1"
    if name.has("bulk_group"):
        body = f"mul.wide.u32 %d1, %t, 4; mov.u64 %d3, sh; add.u64 %d3, %d3, %d1; st.shared.b32 [%d3], %t; bar.sync 0; setp.ne.u32 %p5, %t, 0; @%p5 bra DONE; {start} {{name}} [%m+64], [%d3], %r2{hint}; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; DONE: bar.sync 0; mul.wide.u32 %d1, %t, 4; add.u64 %d1, %d1, %m; ld.global.b32 %r0, [%d1];"
        return Scene(body, lambda t: _mixed(t - 16, _bytes(4 * t), t % 4, masked) if 16 <= t < 32 else _bytes(4 * t))
    source = "[%m+16]"
    if not name.has("global"):
        start += "ld.global.b32 %r3, [%m+16]; st.shared.b32 [%d3+128], %r3; "
        source = "[%d3+128]"
    body = f"{start} mov.u64 %d9, bar; mbarrier.arrive.expect_tx.shared::cta.b64 %d1, [bar], 64; {_PHASE} {{name}} [%d3], {source}, %r2, [%d9]{hint}; mbarrier.test_wait.shared.b64 %p1, [bar], %d1; ld.shared.b32 %r4, [%d3]; selp.b32 %r0, %r4, 0, %p1;"
    return _alone(body, _bytes(16), 1)


def _multicast(name: Name) -> Scene:
    """64 bytes from the first of two blocks for both, or for the other alone; who gets some is told by its own mbarrier."""
    mask, hint = (2, ", %d8") if name.has("L2::cache_hint") else (3, "")
    meet = "barrier.cluster.arrive; barrier.cluster.wait;"
    body = f"""mov.b64 %d8, 0; mov.u32 %r2, 64; mov.b16 %h1, {mask}; mul.wide.u32 %d1, %t, 4; mov.u64 %d3, sh; add.u64 %d2, %d3, %d1; st.shared.b32 [%d2], 7;
        fence.proxy.async; mov.u32 %r3, %cluster_ctarank; {meet} setp.ne.u32 %p5, %t, 0; @%p5 bra WAIT;
        shr.u32 %r4, {mask}, %r3; and.b32 %r4, %r4, 1; mul.lo.u32 %r4, %r4, 64; mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], %r4;
        setp.ne.u32 %p2, %r3, 0; @%p2 bra WAIT; {{name}} [%d3+64], [%m+16], %r2, [bar], %h1{hint};
        WAIT: mbarrier.try_wait.parity.shared.b64 %p1, [bar], 0; @!%p1 bra WAIT; ld.shared.b32 %r0, [%d2]; {meet}"""

    def found(t: int) -> int:
        block, word = divmod(t, THREADS)
        return _bytes(16 + 4 * (word - 16)) if mask >> block & 1 and 16 <= word < 32 else 7

    return Scene(body, found, 1, blocks=2)


def _fenced_map(_: Name) -> Scene:
    """128 bytes of shared memory go to global memory."""
    body = "mul.wide.u32 %d1, %t, 4; mov.u64 %d3, sh; add.u64 %d2, %d3, %d1; st.shared.b32 [%d2], %t; bar.sync 0; setp.ge.u32 %p1, %t, 32; @%p1 bra LATE; {name} [%m+128], [%d3], 128; LATE: bar.sync 0; add.u64 %d1, %d1, %m; ld.global.b32 %r0, [%d1];"
    return Scene(body, lambda t: t - 32 if t >= 32 else _bytes(4 * t))


def _ranks(name: Name) -> Scene:
    """Two blocks look at each other's memory; what an address is of is asked of the own one and of the other's."""
    bits, shared = name.type.bits, name.has("shared::cluster") or name.type.bits == 32
    own, other = ("%d2", "%d3") if bits == 64 else ("%r5", "%r6")
    generic = "" if shared else f"cvta.shared.u64 {own}, {own};"
    space = ".shared::cluster" if shared else ""
    maps = name.row.opcode == "mapa"
    mapping = "{name}" if maps else f"mapa{'.shared::cluster' if name.has('shared::cluster') else ''}.u{bits}"
    asked = (
        f"ld{space}.b32 %r0, [{other}];"
        if maps
        else f"{{name}} %r0, {own}; {{name}} %r1, {other}; mad.lo.u32 %r0, %r0, 10, %r1;"
    )
    meet = "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;"
    body = f"mov.u32 %r2, %cluster_ctarank; add.u32 %r3, %r2, 100; st.shared.b32 [sh], %r3; {meet} xor.b32 %r4, %r2, 1; mov.u{bits} {own}, sh; {generic} {mapping} {other}, {own}, %r4; {asked} {meet}"
    return Scene(body, lambda t: 100 + (1 - t // THREADS) if maps else 10 * (t // THREADS) + 1 - t // THREADS, blocks=2)


def _async_reduction(name: Name) -> Scene:
    """Two of them from one number, of which the mbarrier counts the bytes; both halves of 64 bits are looked at."""
    bits, signed = name.type.bits, name.type.kind == "s"
    operation = next(function for part, function in REDUCTIONS.items() if name.has(part))
    found = -7 if signed else (1 << bits) - 7
    for value in (5, 9):
        found = operation(found, value) % (1 << bits)
        found -= (signed and found >> bits - 1) << bits
    letter = "%d4" if bits == 64 else "%r4"
    own = name.has("shared::cluster")
    generic = "" if own else "cvta.shared.u64 %d8, %d8; cvta.shared.u64 %d9, %d9;"
    moves = f"mov.b{bits} {letter}, -7; st.shared.b{bits} [sh], {letter}; mov.u64 %d8, sh; mov.u64 %d9, bar; {generic} mbarrier.arrive.expect_tx.shared::cta.b64 %d1, [bar], {bits // 4};"
    steps = " ".join(f"mov.b{bits} {letter}, {value}; {{name}} [%d8], {letter}, [%d9];" for value in (5, 9))
    high = "ld.shared.b32 %r2, [sh+4]; xor.b32 %r1, %r1, %r2;" if bits == 64 else ""
    body = f"{moves} {steps} mbarrier.test_wait.shared.b64 %p1, [bar], %d1; ld.shared.b32 %r1, [sh]; {high} selp.b32 %r0, %r1, 0, %p1;"
    return _alone(body, (found ^ (found >> 32 if bits == 64 else 0)) % (1 << 32), 1)


def _async_store(name: Name) -> Scene:
    """The values are there when the mbarrier says that so many bytes came."""
    count = next((int(part[1]) for part in name.picked if part in {"v2", "v4"}), 1)
    bits = name.type.bits
    letter, wide = ("%d", "64") if bits == 64 else ("%r", "32")
    values = [f"{letter}{k + 2}" for k in range(count)]
    moves = " ".join(f"mov.b{wide} {one}, {(k + 1) * 11};" for k, one in enumerate(values))
    group = values[0] if count == 1 else "{" + ", ".join(values) + "}"
    last = (count - 1) * bits // 8
    body = f"{moves} mov.u64 %d8, sh; mov.u64 %d9, bar; mbarrier.arrive.expect_tx.shared::cta.b64 %d1, [bar], {count * bits // 8}; {{name}} [%d8], {group}, [%d9]; mbarrier.test_wait.shared.b64 %p1, [bar], %d1; ld.shared.b32 %r1, [%d8+{last}]; selp.b32 %r0, %r1, 0, %p1;"
    return _alone(body, 11 * count, 1)


def _bulk_zeros(name: Name) -> Scene:
    generic = "" if name.has("shared::cta") else "cvta.shared.u64 %d3, %d3; "
    body = f"mul.wide.u32 %d1, %t, 4; mov.u64 %d3, sh; add.u64 %d2, %d3, %d1; st.shared.b32 [%d2], -1; bar.sync 0; {generic} setp.ne.u32 %p5, %t, 0; @%p5 bra DONE; mov.b64 %d4, 64; {{name}} [%d3+64], %d4, 0; DONE: bar.sync 0; ld.shared.b32 %r0, [%d2];"
    return Scene(body, lambda t: 0 if 16 <= t < 32 else 0xFFFFFFFF)


def _vector_move(name: Name) -> Scene:
    """Elements change places, all at once."""
    bits, count = name.type.bits, int(next(part for part in name.picked if part in {"v2", "v4"})[1])
    letter = {"f32": "%f", "f64": "%e"}.get(name.type.name, {16: "%h", 32: "%r", 64: "%d"}[bits])
    first = 0 if letter in {"%f", "%e"} else 2
    names = [f"{letter}{k + first}" for k in range(count)]
    moves = " ".join(
        f"mov.b{bits} {one}, {3 + k};"
        if letter in {"%h", "%r", "%d"}
        else f"mov.b{bits} %{'r' if bits == 32 else 'd'}9, {3 + k}; mov.b{bits} {one}, %{'r' if bits == 32 else 'd'}9;"
        for k, one in enumerate(names)
    )
    wide = {16: "cvt.u32.u16 %r9, {};", 32: "mov.b32 %r9, {};", 64: "mov.b64 %d9, {}; cvt.u32.u64 %r9, %d9;"}[bits]
    seen = " ".join(wide.format(one) + " mad.lo.u32 %r0, %r0, 10, %r9;" for one in names)
    body = f"{moves} {{name}} {{{', '.join(names)}}}, {{{', '.join(reversed(names))}}}; {seen}"
    return Scene(body, lambda _: int("".join(str(3 + k) for k in reversed(range(count)))))


def _parts_move(name: Name) -> Scene:
    """Into parts, which change places on their way back."""
    bits = name.type.bits
    whole, half, wide = {
        16: ("%h1", "%b", "%h2"),
        32: ("%r1", "%h", "%r2"),
        64: ("%d1", "%r", "%d2"),
        128: ("%q", "%d", "%q"),
    }[bits]
    low, high = f"{half}2", f"{half}3"
    if bits == 128:
        body = "mov.b64 %d2, 5; mov.b64 %d3, 7; {name} %q, {%d2, %d3}; {name} {%d4, %d5}, %q; shl.b64 %d4, %d4, 8; or.b64 %d4, %d4, %d5; cvt.u32.u64 %r0, %d4;"
        return Scene(body, lambda _: 5 << 8 | 7)
    value = {16: 0x1234, 32: 0x12345678, 64: 0x123456789ABCDEF0}[bits]
    turned = value >> bits // 2 | (value & (1 << bits // 2) - 1) << bits // 2
    end = {16: "cvt.u32.u16 %r0, %h2;", 32: "mov.b32 %r0, %r2;", 64: "shr.u64 %d2, %d2, 32; cvt.u32.u64 %r0, %d2;"}[
        bits
    ]
    body = (
        f"mov.b{bits} {whole}, {value}; {{name}} {{{low}, {high}}}, {whole}; {{name}} {wide}, {{{high}, {low}}}; {end}"
    )
    return Scene(body, lambda _: turned >> 32 if bits == 64 else turned)


_VARIABLES = {"shared": "sh", "shared::cta": "sh", "shared::cluster": "sh", "local": "lo"}


def _space(name: Name) -> str:
    return next(
        part
        for part in name.picked
        if part in {"global", "const", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"}
    )


def _converted(name: Name) -> Scene:
    """A generic address and one in a space lead to the same word; others are the same there and back."""
    space, to = _space(name), name.has("to")
    variable = _VARIABLES.get(space)
    back = "cvta" if to else "cvta.to"
    if variable is None:
        body = f"{{name}} %d1, %m; {back}.{space}.u64 %d2, %d1; sub.u64 %d2, %d2, %m; cvt.u32.u64 %r0, %d2;"
        return Scene(body, lambda _: 0)
    part = space.partition("::")[0]
    if to:
        body = f"mov.u64 %d1, {variable}; cvta.{part}.u64 %d2, %d1; st.b32 [%d2], 88; {{name}} %d3, %d2; ld.{part}.b32 %r0, [%d3];"
    else:
        body = f"mov.u64 %d1, {variable}; st.{part}.b32 [%d1], 88; {{name}} %d2, %d1; ld.b32 %r0, [%d2];"
    return Scene(body, lambda _: 88)


def _is_space(name: Name) -> Scene:
    """Asked about addresses of global, shared and local memory."""
    space = _space(name).partition("::")[0]
    ask = f"{{name}} %p1, %d1; {_SELECTED}{_ADDED}"
    body = f"mov.b64 %d1, %m; {ask} mov.u64 %d1, sh; cvta.shared.u64 %d1, %d1; {ask} mov.u64 %d1, lo; cvta.local.u64 %d1, %d1; {ask}"
    wanted = int("".join(str(int(space == one)) for one in ("global", "shared", "local")))
    return Scene(body, lambda _: wanted)


def _policy(name: Name) -> Scene:
    """A load with the policy reads what it reads without."""
    given = {"fractional": "%d1, 1.0", "range": "%d1, [%m], 64, 128", "cvt": "%d1, %d2"}[name.picked[0]]
    body = f"mov.b64 %d2, 0; {{name}} {given}; ld.global.L2::cache_hint.b32 %r0, [%m], %d1;"
    return Scene(body, lambda _: _bytes(0))


_NO_CLUSTER = "clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes"


def _declined(name: Name) -> Scene:
    """No cluster is taken out of the launch; the mbarrier is told of the answer."""
    own, several = name.has("shared::cta"), name.has("multicast::cluster::all")
    start = "mov.u64 %d3, sh; mov.u64 %d9, bar; mov.b64 %d4, -1; st.shared.b64 [%d3+8], %d4; mbarrier.arrive.expect_tx.shared::cta.b64 %d1, [bar], 16; "
    ask = f"{_PHASE} ld.shared.b128 %q, [sh]; clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 %p1, %q; {_SELECTED}{_ADDED}"
    if not several:
        generic = "" if own else "cvta.shared.u64 %d3, %d3; cvta.shared.u64 %d9, %d9; "
        return _alone(f"{start}{generic}{_PHASE} {{name}} [%d3], [%d9]; {ask}", 10, 1)
    meet = "barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;"
    body = f"setp.ne.u32 %p4, %t, 0; @%p4 bra MEET; {start} MEET: {meet} mov.u32 %r2, %cluster_ctarank; add.u32 %r2, %r2, %t; setp.ne.u32 %p3, %r2, 0; @%p3 bra TOLD; {{name}} [%d3], [%d9]; TOLD: {meet} {ask} {meet}"
    return Scene(body, lambda _: 10, 1, blocks=2)


def _first_block(name: Name) -> Scene:
    """Of an answer that took no cluster it is left open; the registers hold something."""
    target = "{%r1, %r2, %r3, _}" if name.has("v4") else "%r1"
    return _alone(f"mov.b64 %d4, 0; mov.b128 %q, {{%d4, %d4}}; {{name}} {target}, %q; mov.b32 %r0, 5;", 5, 1)


SCENES: dict[str, Callable[[Name], Scene]] = {
    "bar{.cta}.sync": _sync,
    "barrier{.cta}.sync{.aligned}": _sync,
    "bar{.cta}.arrive": _arrive,
    "barrier{.cta}.arrive{.aligned}": _arrive,
    "bar{.cta}.red.popc.u32": _reduction,
    "bar{.cta}.red.(and|or).pred": _reduction,
    "barrier{.cta}.red.popc{.aligned}.u32": _reduction,
    "barrier{.cta}.red.(and|or){.aligned}.pred": _reduction,
    "barrier.cluster.arrive{.(release|relaxed)}{.aligned}": _cluster_barrier,
    "barrier.cluster.wait{.acquire}{.aligned}": _cluster_barrier,
    "mbarrier.init{.OWN}.b64": _init,
    "mbarrier.inval{.OWN}.b64": _inval,
    "mbarrier.(arrive|arrive_drop){.(release|relaxed).(cta|cluster)}{.OWN}.b64": _arrival,
    "mbarrier.(arrive|arrive_drop){.(release|relaxed).(cta|cluster)}.shared::cluster.b64": _arrival,
    "mbarrier.(arrive|arrive_drop).expect_tx{.(release|relaxed).(cta|cluster)}{.OWN}.b64": _arrival,
    "mbarrier.(arrive|arrive_drop).expect_tx{.(release|relaxed).(cta|cluster)}.shared::cluster.b64": _arrival,
    "mbarrier.(arrive|arrive_drop).noComplete{.release.cta}{.OWN}.b64": _arrival,
    "mbarrier.(expect_tx|complete_tx){.relaxed.(cta|cluster)}{.SHARED}.b64": _transaction,
    "mbarrier.test_wait{.(acquire|relaxed).(cta|cluster)}{.OWN}.b64": _waiting,
    "mbarrier.test_wait.parity{.(acquire|relaxed).(cta|cluster)}{.OWN}.b64": _waiting,
    "mbarrier.try_wait{.(acquire|relaxed).(cta|cluster)}{.OWN}.b64": _waiting,
    "mbarrier.try_wait.parity{.(acquire|relaxed).(cta|cluster)}{.OWN}.b64": _waiting,
    "mbarrier.pending_count.b64": _pending,
    "clusterlaunchcontrol.try_cancel.async{.shared::cta}.mbarrier::complete_tx::bytes.b128": _declined,
    "clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.multicast::cluster::all.b128": _declined,
    "clusterlaunchcontrol.query_cancel.is_canceled.pred.b128": lambda _: _alone(
        f"mov.u64 %d3, sh; mov.u64 %d9, bar; mbarrier.arrive.expect_tx.shared::cta.b64 %d1, [bar], 16; {_NO_CLUSTER}.b128 [%d3], [%d9]; ld.shared.b128 %q, [sh]; mov.b32 %r0, 3; {{name}} %p1, %q; {_SELECTED}{_ADDED}",
        30,
        1,
    ),
    "clusterlaunchcontrol.query_cancel.get_first_ctaid.v4.b32.b128": _first_block,
    "clusterlaunchcontrol.query_cancel.(get_first_ctaid::x|get_first_ctaid::y|get_first_ctaid::z).b32.b128": _first_block,
    "cp.async.ca.OWN.global{.L2::cache_hint}{.PREFETCH}": _copied,
    "cp.async.cg.OWN.global{.L2::cache_hint}{.PREFETCH}": _copied,
    "cp.async.mbarrier.arrive{.noinc}{.OWN}.b64": _copies_arrive,
    "cp.async.bulk.(shared::cluster|shared::cta).global.mbarrier::complete_tx::bytes{.L2::cache_hint}": _bulk,
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster{.L2::cache_hint}": _multicast,
    "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.SCOPE.sync.aligned": _fenced_map,
    "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes": _bulk,
    "cp.async.bulk.global.shared::cta.bulk_group{.L2::cache_hint}": _bulk,
    "cp.async.bulk.global.shared::cta.bulk_group{.L2::cache_hint}.cp_mask": _bulk,
    "st.async{.weak}{.SHARED}.mbarrier::complete_tx::bytes{.VEC}.(b32|b64|u32|u64|s32|s64|f32|f64)": _async_store,
    "st.bulk{.weak}{.shared::cta}": _bulk_zeros,
    "mapa{.shared::cluster}.(u32|u64)": _ranks,
    "getctarank{.shared::cluster}.(u32|u64)": _ranks,
    **{
        f"red.async.relaxed.cluster{{.shared::cluster}}.mbarrier::complete_tx::bytes.{which}": _async_reduction
        for which in ("(inc|dec).u32", "(min|max).(u32|s32)", "add.(u32|s32|u64|s64)", "(and|or|xor).b32")
    },
    "mov.(b16|b32|b64|b128)": _parts_move,
    "mov.(v2|v4).(b16|b32|u16|s16|u32|s32|f32)": _vector_move,
    "mov.v2.(b64|u64|s64|f64)": _vector_move,
    "cvta.WINDOW.u64": _converted,
    "cvta.to.WINDOW.u64": _converted,
    "isspacep.WINDOW": _is_space,
    "createpolicy.fractional.POLICY{.POLICY2}.b64": _policy,
    "createpolicy.range{.global}.POLICY{.POLICY2}.b64": _policy,
    "createpolicy.cvt.L2.b64": _policy,
    "bra{.uni}": _plain("mov.b32 %r0, 1; {name} NEXT; mov.b32 %r0, 2; NEXT: add.u32 %r0, %r0, 10;", lambda _: 11),
    "brx.idx{.uni}": _plain(
        "TABLE: .branchtargets A, B, C; rem.u32 %r1, 2, 3; {name} %r1, TABLE; A: mov.b32 %r0, 1; bra END; B: mov.b32 %r0, 2; bra END; C: mov.b32 %r0, 3;",
        lambda _: 3,
    ),
    "call{.uni}": _plain("{name} (%r0), twice, (%t);", lambda t: 2 * t),
    "ret{.uni}": _plain("mov.b32 %r0, 7; setp.lt.u32 %p1, %t, 9; @%p1 {name};", lambda t: 0 if t < 9 else 7),
    "exit": _plain("mov.b32 %r0, 7; setp.lt.u32 %p1, %t, 9; @%p1 {name};", lambda t: 0 if t < 9 else 7),
    "trap": lambda _: Scene("{name};", lambda _: 0, stops="trap"),
    "brkpt": lambda _: Scene("{name};", lambda _: 0, stops="brkpt"),
}
