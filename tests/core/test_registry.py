"""Who serves which object id, who waits to, and who is next."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runmacs.roc.core.liveness import LOST_AFTER, SILENCE, STOCK_SILENCE
from runmacs.roc.core.registry import STOCK, Registry, Worker
from runmacs.roc.wire.mdp import Properties

POLICIES = ("exclusive", "standby", "pool")


class Register:
    """A registry of one object id, whose workers are called by names."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.workers: dict[str, Worker] = {}

    def admit(self, name: str, policy: str = "exclusive", prefetch: int = 1) -> str:
        properties = Properties(instance=name, policy=policy, prefetch=prefetch)
        return self._admit(name, properties)

    def admit_stock(self, name: str) -> str:
        return self._admit(name, None)

    def _admit(self, name: str, properties: Properties | None) -> str:
        service = self.registry.service(b"vnir")
        worker = self.workers[name] = Worker(name.encode(), service, properties, 0.0)
        state = self.registry.admit(worker)
        self.registry.check()
        return state

    def remove(self, name: str) -> str | None:
        """Who is promoted when this one goes."""
        worker = self.workers.pop(name)
        self.registry.remove(worker)
        promoted = self.registry.promote(worker.service)
        self.registry.check()
        return None if promoted is None else promoted.rid.decode()

    def free(self, client: bytes = b"c1") -> str | None:
        worker = self.registry.service(b"vnir").free(client)
        return None if worker is None else worker.rid.decode()


def token_of(client: bytes, number: int) -> bytes:
    return client + number.to_bytes(8, "big")


@pytest.mark.parametrize(("holder", "comer"), [*itertools.product(POLICIES, POLICIES)])
def test_what_a_second_server_is(holder: str, comer: str) -> None:
    register = Register()
    assert register.admit("w1", holder) == "serving"
    expected = {("pool", "pool"): "serving", ("standby", "standby"): "standby"}
    assert register.admit("w2", comer) == expected.get((holder, comer), "held")


@pytest.mark.parametrize(("policy", "state"), [("pool", "serving"), ("exclusive", "held")])
def test_what_a_stock_worker_is(policy: str, state: str) -> None:
    assert (STOCK.policy, STOCK.prefetch) == ("pool", 1)
    register = Register()
    register.admit("w1", policy)
    assert register.admit_stock("w2") == state


def test_those_who_wait_are_promoted_in_order_of_arrival() -> None:
    register = Register()
    for name in ("w1", "w2", "w3"):
        register.admit(name, "standby")
    assert register.remove("w2") is None
    assert register.admit("w4", "standby") == "standby"
    assert register.remove("w1") == "w3"
    assert register.remove("w3") == "w4"
    assert register.remove("w4") is None
    assert register.registry.services == {}


def test_nobody_is_promoted_while_somebody_serves() -> None:
    register = Register()
    register.admit("w1", "pool")
    register.admit("w2", "pool")
    register.admit("w3", "exclusive")
    assert register.remove("w1") is None
    assert register.remove("w2") == "w3"


def test_most_credit_first_then_least_recently_used() -> None:
    register = Register()
    register.admit("a", "pool", 2)
    register.admit("b", "pool", 3)
    register.admit("c", "pool", 3)
    workers = register.workers
    assert register.free() == "b"
    workers["b"].used = 5
    assert register.free() == "c"
    workers["c"].used = 6
    assert register.free() == "b"
    workers["b"].credit = 2
    workers["c"].credit = 2
    assert register.free() == "a"
    for name in "abc":
        workers[name].credit = 0
    assert register.free() is None


@pytest.mark.parametrize(
    ("prefetch", "most"), [(1, 1), (4, 4), (5, 4), (16, 13), (20, 16), (100, 96)]
)
def test_the_last_of_the_credit_is_for_those_who_have_nothing_there(
    prefetch: int, most: int
) -> None:
    register = Register()
    register.admit("a", "exclusive", prefetch)
    worker = register.workers["a"]
    handed = 0
    while register.free(b"c1") == "a":
        worker.hold(b"c1", token_of(b"c1", handed), b"{}")
        handed += 1
    register.registry.check()
    assert handed == most
    others = 0
    while register.free(b"d%d" % others) == "a":
        worker.hold(b"d%d" % others, token_of(b"d%d" % others, others), b"{}")
        others += 1
    register.registry.check()
    assert (handed + others, worker.credit) == (prefetch, 0)
    for number in range(others + 1):
        assert register.free(b"c1") is None
        assert worker.release(token_of(b"c1", number))
    assert register.free(b"c1") == "a"
    assert not worker.release(token_of(b"c1", 0)), "released once already"
    register.registry.check()


def test_who_has_stalled_is_not_free() -> None:
    register = Register()
    register.admit("a", "pool", 9)
    register.admit("b", "pool", 1)
    register.workers["a"].stalled = True
    assert register.free() == "b"
    register.remove("b")
    assert register.free() is None


def test_an_id_that_is_served_again_is_no_longer_lost() -> None:
    register = Register()
    register.registry.lost[b"vnir"] = 1.0
    register.admit("w1")
    assert register.registry.lost == {}


def test_the_same_instance_is_found_among_those_who_wait_as_well() -> None:
    register = Register()
    register.admit("w1")
    register.admit("w2")
    same = register.registry.same_instance
    for name in ("w1", "w2"):
        assert same(b"vnir", Properties(instance=name)) is register.workers[name]
    assert same(b"vnir", Properties(instance="w3")) is None
    assert same(b"vnir", Properties(instance="")) is None
    assert same(b"vnir", None) is None
    assert same(b"swir", Properties(instance="w1")) is None


@pytest.mark.parametrize(
    ("greeted", "holds_a_call", "stalled_after", "lost_after"),
    [
        (True, False, SILENCE, LOST_AFTER),
        (True, True, SILENCE, LOST_AFTER),
        (False, False, None, STOCK_SILENCE),
        (False, True, None, None),
    ],
)
def test_how_silence_is_judged(
    greeted: bool, holds_a_call: bool, stalled_after: float | None, lost_after: float | None
) -> None:
    register = Register()
    (register.admit if greeted else register.admit_stock)("w1")
    worker = register.workers["w1"]
    if holds_a_call:
        worker.hold(b"c1", token_of(b"c1", 1), b"{}")
    for silence in (0.0, 1.4, 1.6, 7.4, 7.6, 9.9, 10.1, 1e6):
        assert worker.stalls(silence) == (stalled_after is not None and silence > stalled_after)
        lost = lost_after is not None and silence > lost_after
        assert worker.silent_too_long(silence) == lost


def test_where_a_worker_runs_is_said_for_people() -> None:
    service = Registry().service(b"vnir")
    known = Properties(host="daq2", pid=4711)
    assert Worker(b"w", service, known, 0.0).describe() == "daq2, pid 4711"
    assert Worker(b"w", service, None, 0.0).describe() == "a stock worker"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["w1", "w2", "w3", "w4"]), st.sampled_from([*POLICIES, "stock", "gone"])
        ),
        max_size=30,
    )
)
def test_whoever_comes_and_goes_somebody_serves(events: list[tuple[str, str]]) -> None:
    register = Register()
    for name, what in events:
        if what == "gone" or name in register.workers:
            if name in register.workers:
                register.remove(name)
        elif what == "stock":
            register.admit_stock(name)
        else:
            register.admit(name, what)
        serving = [w for w in register.workers.values() if w.state == "serving"]
        assert bool(serving) == bool(register.workers)
