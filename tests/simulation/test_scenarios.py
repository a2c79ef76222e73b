"""Single misfortunes, told one by one: what the failure contract promises for each.

The real processes have the same ones in ``tests/bad_days``; here time costs nothing, so each
is looked at under many seeds, and to the millisecond.
"""

from __future__ import annotations

import pytest

from runmacs.roc import errors
from runmacs.roc.testing import (
    Execution,
    Made,
    MemoryNetwork,
    SimulatedBroker,
    SimulatedClient,
    SimulatedServer,
)

SEEDS = range(20)


class Bench:
    """A broker, a server of ``vnir`` and a client, that know each other well."""

    def __init__(self, seed: int, policy: str = "exclusive", prefetch: int = 16) -> None:
        self.network = MemoryNetwork(seed=seed)
        self.clock = self.network.clock
        self.policy, self.prefetch = policy, prefetch
        self.broker = SimulatedBroker(self.network, offset=7.0)
        self.server = self.another("first")
        self.clock.run(0.5)
        self.client = self.visitor("anna")
        self.clock.run(0.5)
        assert self.done(self.call(0.0)).result == "anna/1.2"

    def another(self, name: str) -> SimulatedServer:
        """One more server of the same object."""
        return SimulatedServer(
            self.network,
            name,
            "vnir",
            _work,
            policy=self.policy,
            prefetch=self.prefetch,
            offset=1000.0,
        )

    def visitor(self, name: str) -> SimulatedClient:
        """One more client."""
        return SimulatedClient(self.network, name, offset=300.0)

    def call(self, seconds: float, timeout: float = 2.0, wait: bool = False) -> Made:
        """A call of a method that takes so long."""
        return self.client.call("vnir", "work", seconds, timeout=timeout, wait=wait)

    def done(self, made: Made, within: float = 10.0) -> Made:
        """Wait for the end of a call."""
        until = self.clock.now + within
        assert self.clock.run_until(until, lambda: made.ended is not None), made
        return made

    def begun(self, made: Made) -> bool:
        """Whether a call was ever begun."""
        return any(entry.call == made.id for entry in self.network.history.of("begins"))

    def callable_within(self, seconds: float) -> bool:
        """Whether the object can be called again."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            made = self.done(self.call(0.0, timeout=until - self.clock.now, wait=True))
            if made.error is None:
                return True
            self.clock.run(0.01)
        return False


def _work(execution: Execution) -> None:
    execution.seconds = execution.params[0]
    execution.result = execution.call
    execution.holds_loop = execution.method == "hold"


@pytest.fixture(params=SEEDS)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)


def told(made: Made, kind: type[errors.RocError], executed: bool | None) -> None:
    """A call ended so."""
    assert type(made.error) is kind, made
    assert made.error.executed is executed, made


def test_server_killed_in_mid_call(bench: Bench) -> None:
    made = bench.call(5.0, timeout=30.0)
    bench.clock.run(0.3)
    bench.server.kill()
    told(bench.done(made, 0.75), errors.ServerLost, None)


def test_server_killed_and_started_again(bench: Bench) -> None:
    bench.server.restart()
    assert bench.callable_within(1.0)


def test_server_frozen_until_its_callers_have_given_up(bench: Bench) -> None:
    bench.server.freeze()
    calls = [bench.call(0.0, timeout=0.5) for _ in range(5)]
    stranger = bench.visitor("ben")
    bench.clock.run(0.1)
    calls.append(stranger.call("vnir", "work", 0.0, timeout=0.5))
    for made in calls:
        told(bench.done(made), errors.CallTimeout, None)
    bench.clock.run(2.0)
    bench.server.thaw()
    bench.clock.run(1.0)
    assert not any(map(bench.begun, calls))
    assert bench.callable_within(1.0)


def test_a_frozen_servers_caller_dies_before_it_can_withdraw(bench: Bench) -> None:
    bench.server.freeze()
    stranger = bench.visitor("ben")
    bench.clock.run(0.1)
    made = stranger.call("vnir", "work", 0.0, timeout=0.5)
    bench.clock.run(0.1)
    stranger.kill()
    bench.clock.run(1.0)
    bench.server.thaw()
    bench.clock.run(1.0)
    assert not bench.begun(made)


def test_server_frozen_for_so_long_that_it_is_lost(bench: Bench) -> None:
    running = bench.call(0.2, timeout=60.0)
    waiting = bench.call(0.0, timeout=60.0)
    bench.clock.run(0.1)
    bench.server.freeze()
    told(bench.done(running, 11.0), errors.ServerLost, None)
    told(bench.done(waiting, 0.1), errors.ServerLost, None)
    bench.server.thaw()
    bench.clock.run(1.0)
    assert not bench.begun(waiting)
    assert bench.callable_within(1.0)


def test_broker_killed_in_mid_call(bench: Bench) -> None:
    """What it had handed over and was not begun yet never is."""
    running = bench.call(0.35, timeout=30.0)
    waiting = [bench.call(0.0, timeout=30.0) for _ in range(5)]
    bench.clock.run(0.3)
    bench.broker.kill()
    for made in [running, *waiting]:
        told(bench.done(made, 1.0), errors.BrokerUnreachable, None)
    bench.clock.run(2.0)
    bench.broker.start()
    assert bench.callable_within(3.0)
    assert not any(map(bench.begun, waiting))


def test_broker_killed_and_started_again_while_a_method_runs(bench: Bench) -> None:
    """The connection stands again before the method ends; what waits is the old broker's."""
    running = bench.call(0.5, timeout=30.0)
    waiting = [bench.call(0.0, timeout=30.0) for _ in range(5)]
    bench.clock.run(0.1)
    bench.broker.restart()
    for made in [running, *waiting]:
        told(bench.done(made, 1.0), errors.BrokerUnreachable, None)
    assert bench.callable_within(3.0)
    assert not any(map(bench.begun, waiting))


def test_broker_stopped_in_good_order(bench: Bench) -> None:
    bench.prefetch = 1
    running = bench.call(1.0, timeout=30.0)
    bench.clock.run(0.3)
    bench.broker.stop()
    told(bench.done(running, 1.0), errors.BrokerUnreachable, None)
    bench.broker.start()
    assert bench.callable_within(3.0)


@pytest.mark.parametrize("at_work", [False, True])
def test_broker_frozen_until_callers_have_given_up(bench: Bench, at_work: bool) -> None:
    bench.broker.freeze(at_work)
    calls = [bench.call(0.0, timeout=0.5) for _ in range(5)]
    for made in calls:
        told(bench.done(made, 0.75), errors.CallTimeout, None)
    bench.clock.run(0.5)
    bench.broker.thaw()
    assert bench.callable_within(3.0)
    assert not any(map(bench.begun, calls))


@pytest.mark.parametrize("at_work", [False, True])
def test_a_frozen_brokers_caller_dies_before_it_can_withdraw(bench: Bench, at_work: bool) -> None:
    stranger = bench.visitor("ben")
    bench.clock.run(0.1)
    bench.broker.freeze(at_work)
    made = stranger.call("vnir", "work", 0.0, timeout=0.5)
    bench.clock.run(0.1)
    stranger.kill()
    bench.clock.run(0.7)
    bench.broker.thaw()
    bench.clock.run(1.0)
    assert not bench.begun(made)


def test_a_brokers_standstill_is_not_held_against_its_clients(bench: Bench) -> None:
    """What it reads first may be old. What comes after that is fresh, and is served."""
    bench.broker.freeze()
    bench.clock.run(1.2)
    bench.broker.thaw()
    bench.done(bench.call(0.0, timeout=60.0))
    bench.clock.run(0.2)
    for _ in range(20):
        assert bench.done(bench.call(0.0, timeout=0.5)).error is None
        bench.clock.run(0.1)


def test_a_second_server_is_refused_while_the_first_lives(bench: Bench) -> None:
    second = bench.another("second")
    bench.clock.run(1.5)
    assert not second.alive
    assert second.refusal is not None
    assert second.refusal.host == "first"
    assert bench.callable_within(1.0)


def test_a_second_server_behind_a_frozen_one_waits_and_takes_over(bench: Bench) -> None:
    bench.server.freeze()
    bench.clock.run(0.6)
    second = bench.another("second")
    bench.clock.run(11.0)
    assert second.core.state == "serving"
    assert bench.callable_within(1.0)
    bench.server.thaw()
    bench.clock.run(3.0)
    assert second.alive
    assert second.core.state == "serving"
    assert bench.server.core.state in ("joining", "held")
    assert bench.server.alive, "it was accepted once, so it tries again"


def test_a_dead_servers_last_words_do_not_refuse_its_successor(bench: Bench) -> None:
    bench.network.line("first").delay = (0.05, 0.2)
    bench.clock.run(0.5)
    bench.server.kill()
    bench.network.line("first").delay = (0.0002, 0.001)
    bench.server.start()
    bench.clock.run(2.0)
    assert bench.server.alive
    assert bench.server.core.state == "serving"


@pytest.mark.parametrize("seed", SEEDS)
def test_standby_takes_over(seed: int) -> None:
    bench = Bench(seed, policy="standby")
    second = bench.another("second")
    bench.clock.run(0.5)
    assert second.core.state == "standby"
    running = bench.call(5.0, timeout=60.0)
    waiting = bench.call(0.0, timeout=60.0)
    bench.clock.run(0.3)
    bench.server.kill()
    told(bench.done(running, 0.75), errors.ServerLost, None)
    told(bench.done(waiting, 0.75), errors.ServerLost, None)
    assert bench.callable_within(0.5)
    assert second.core.state == "serving"


def test_server_cut_off_comes_back_in_its_own_place(bench: Bench) -> None:
    running = bench.call(1.0, timeout=30.0)
    waiting = bench.call(0.0, timeout=30.0)
    bench.clock.run(0.3)
    bench.network.cut("first")
    told(bench.done(running, 0.75), errors.ServerLost, None)
    assert bench.callable_within(3.0)
    assert not bench.begun(waiting)


def test_a_link_that_holds_everything_back(bench: Bench) -> None:
    """The server leaves a broker that it does not hear, with all that is still under way."""
    stranger = bench.visitor("ben")
    bench.clock.run(0.1)
    bench.network.outage("first", 3.0)
    made = stranger.call("vnir", "work", 0.0, timeout=0.5)
    bench.clock.run(0.1)
    stranger.kill()
    bench.clock.run(5.0)
    assert not bench.begun(made)
    assert bench.callable_within(1.0)


def test_client_cut_off_is_told_and_its_calls_do_not_come_later_than_newer_ones(
    bench: Bench,
) -> None:
    running = bench.call(1.0, timeout=30.0)
    waiting = [bench.call(0.0, timeout=30.0) for _ in range(20)]
    bench.clock.run(0.1)
    bench.network.cut("anna")
    for made in [running, *waiting]:
        told(bench.done(made, 0.5), errors.BrokerUnreachable, None)
    assert bench.callable_within(3.0)
    assert not any(map(bench.begun, waiting))


def test_calls_that_were_never_sent_are_sent_in_order(bench: Bench) -> None:
    bench.broker.kill()
    bench.clock.run(0.5)
    calls = [bench.call(0.0, timeout=10.0, wait=True) for _ in range(20)]
    bench.clock.run(1.0)
    bench.broker.start()
    for made in calls:
        assert bench.done(made, 3.0).error is None
    begun = [entry.call for entry in bench.network.history.of("begins")]
    assert begun[-20:] == [made.id for made in calls]


def test_calls_that_were_never_sent_were_not_executed(bench: Bench) -> None:
    bench.broker.kill()
    bench.clock.run(0.5)
    told(bench.done(bench.call(0.0, timeout=0.5)), errors.BrokerUnreachable, False)


def test_client_that_closes_takes_its_calls_along(bench: Bench) -> None:
    running = bench.call(0.5, timeout=30.0)
    waiting = [bench.call(0.0, timeout=30.0) for _ in range(20)]
    bench.clock.run(0.1)
    bench.client.close()
    for made in [running, *waiting]:
        told(made, errors.Closed, None)
    bench.clock.run(2.0)
    assert not any(map(bench.begun, waiting))


def test_an_abandoned_call_is_not_begun(bench: Bench) -> None:
    bench.call(0.5, timeout=30.0)
    abandoned = bench.call(0.0, timeout=30.0)
    bench.clock.run(0.1)
    bench.client.abandon(abandoned)
    bench.clock.run(1.0)
    assert not bench.begun(abandoned)


def test_a_reply_that_crosses_its_withdrawal_counts(bench: Bench) -> None:
    """Whichever comes first: the caller is told the truth, and the server works on."""
    ends = [bench.done(bench.call(0.3, timeout=0.3 + n * 1e-4)) for n in range(-10, 40)]
    results = [made.result == made.id for made in ends]
    assert True in results
    for made in ends:
        if made.error is not None:
            told(made, errors.CallTimeout, None)


def test_a_timeout_tells_what_runs_and_what_does_not(bench: Bench) -> None:
    running = bench.call(1.0, timeout=0.3)
    waiting = bench.call(0.0, timeout=0.3)
    told(bench.done(running), errors.CallTimeout, None)
    told(bench.done(waiting), errors.CallTimeout, False)
    assert "still runs" in str(running.error)
    bench.clock.run(1.0)
    assert not bench.begun(waiting)


def test_a_client_whose_clock_stood_still_is_served_at_the_second_try(bench: Bench) -> None:
    bench.client.freeze(clock_stops=True)
    bench.clock.run(600.0)
    bench.client.thaw()
    bench.clock.run(0.1)
    told(bench.done(bench.call(0.0)), errors.CallTimeout, False)
    assert bench.done(bench.call(0.0)).error is None


def test_a_method_that_lets_nothing_else_run(bench: Bench) -> None:
    """As a driver that holds the GIL: silent for long, but not lost, and it answers."""
    made = bench.client.call("vnir", "hold", 5.0, timeout=30.0)
    assert bench.done(made).result == made.id
    assert bench.callable_within(1.0)
