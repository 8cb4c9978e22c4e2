"""Barriers of thread blocks and clusters, and `mbarrier` (PTX ISA sections 9.7.13.1 to 9.7.13.4 and 9.7.13.15)."""

from __future__ import annotations

from jitload.cpu.isa.row import Row


def _barriers(spelled: str, aligned: str = "") -> tuple[Row, ...]:
    forms = (
        (f"{spelled}.sync{aligned}", "a:u32 b:u32?"),
        (f"{spelled}!arrive{aligned}", "a:u32 b:u32"),
        (f"{spelled}!red.popc{aligned}.u32", "d:T a:u32 b:u32? c:p"),
        (f"{spelled}!red.(and|or){aligned}.pred", "d:p a:u32 b:u32? c:p"),
    )
    return tuple(
        Row(name, operands, "", "scene", profile="synchronization", effects="meets ends") for name, operands in forms
    )


#: Taking another cluster out of the launch, and asking what came of it.
_CANCEL = "clusterlaunchcontrol!try_cancel.async"
_QUERY = "clusterlaunchcontrol!query_cancel"

ROWS = (
    *_barriers("bar{!cta}"),
    *_barriers("barrier{!cta}", "{.aligned}"),
    Row("bar!warp.sync", "a:u32", "", "nothing", profile="warp", effects="meets ends"),
    Row("barrier!cluster!arrive{.(release|relaxed)}{.aligned}", model="scene", since="7.8 sm_90", profile="synchronization", effects="meets ends"),
    Row("barrier!cluster!wait{.acquire}{.aligned}", model="scene", since="7.8 sm_90", profile="synchronization", effects="meets ends"),
    Row("mbarrier!init{.OWN}.b64", "[a] b:u32", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row("mbarrier!inval{.OWN}.b64", "[a]", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row("mbarrier!(arrive|arrive_drop){.(release|relaxed).(cta|cluster)}{.OWN}.b64", "_d:T [a] b:u32?", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row("mbarrier!(arrive|arrive_drop){.(release|relaxed).(cta|cluster)}.shared::cluster.b64", "d:_ [a] b:u32?", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row("mbarrier!(arrive|arrive_drop)!expect_tx{.(release|relaxed).(cta|cluster)}{.OWN}.b64", "_d:T [a] b:u32", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row("mbarrier!(arrive|arrive_drop)!expect_tx{.(release|relaxed).(cta|cluster)}.shared::cluster.b64", "d:_ [a] b:u32", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row("mbarrier!(arrive|arrive_drop).noComplete{.release.cta}{.OWN}.b64", "_d:T [a] b:u32", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row("mbarrier!(expect_tx|complete_tx){.relaxed.(cta|cluster)}{.SHARED}.b64", "[a] b:u32", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row("mbarrier!test_wait{.(acquire|relaxed).(cta|cluster)}{.OWN}.b64", "d:p [a] b:T", "", "scene", profile="synchronization", effects="loads stores strong releases polls", since="7.0 sm_80"),
    Row("mbarrier!test_wait!parity{.(acquire|relaxed).(cta|cluster)}{.OWN}.b64", "d:p [a] b:u32", "", "scene", profile="synchronization", effects="loads stores strong releases polls", since="7.0 sm_80"),
    Row("mbarrier!try_wait{.(acquire|relaxed).(cta|cluster)}{.OWN}.b64", "d:p [a] b:T c:u32?", "", "scene", profile="synchronization", effects="loads stores strong releases polls", since="7.0 sm_80"),
    Row("mbarrier!try_wait!parity{.(acquire|relaxed).(cta|cluster)}{.OWN}.b64", "d:p [a] b:u32 c:u32?", "", "scene", profile="synchronization", effects="loads stores strong releases polls", since="7.0 sm_80"),
    Row("mbarrier!pending_count.b64", "d:u32 a:T", "", "scene", profile="synchronization", effects="loads stores strong releases", since="7.0 sm_80"),
    Row(f"{_CANCEL}{{.shared::cta}}.mbarrier::complete_tx::bytes.b128", "[a] [b]", "", "scene", profile="synchronization", effects="loads stores strong releases", since="8.6 sm_100"),
    Row(f"{_CANCEL}.shared::cta.mbarrier::complete_tx::bytes.multicast::cluster::all.b128", "[a] [b]", "", "scene", profile="synchronization", effects="loads stores strong releases", since="8.6 sm_100a"),
    Row(f"{_QUERY}!is_canceled.pred.b128", "d:T a:S", "", "scene", profile="synchronization", since="8.6 sm_100"),
    Row(f"{_QUERY}!get_first_ctaid.v4.b32.b128", "{d}:T a:S", "", "scene", profile="synchronization", since="8.6 sm_100"),
    Row(f"{_QUERY}!(get_first_ctaid::x|get_first_ctaid::y|get_first_ctaid::z).b32.b128", "d:T a:S", "", "scene", profile="synchronization", since="8.6 sm_100"),
    Row("griddepcontrol.(wait|launch_dependents)", "", "pass", "nothing", profile="synchronization", since="7.8 sm_90"),
    Row("nanosleep.u32", "a:T", "pass", "nothing", profile="synchronization", effects="polls", since="6.3 sm_70"),
)  # fmt: skip
