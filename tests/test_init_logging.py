"""`initRocLogging`: one call, in real programs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from logbook import said
from processes import Spawner
from runmacs.roc import Endpoints, RocClient, errors
from runmacs.roc.logstream import Record
from waiting import wait_until

POSIX = sys.platform != "win32"


def env(endpoints: Endpoints) -> dict[str, str | None]:
    return {"ROC_BROKER": endpoints.rocBroker}


def logged_by(spawn: Spawner, broker: Endpoints, program: str, count: int) -> list[Record]:
    child = spawn(program, env=env(broker), name="program")
    child.wait()
    return said(broker, count)


def test_the_root_logger_warnings_and_uncaught_exceptions(
    spawn: Spawner, broker: Endpoints
) -> None:
    child = spawn(
        """
        import logging, threading, warnings
        from runmacs.roc import initRocLogging

        first = initRocLogging()
        assert initRocLogging() is first
        assert logging.getLogger().handlers.count(first) == 1
        logging.getLogger("a.b").info("hello")
        warnings.warn("careful %s")
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
        logging.warning("as always")
        raise KeyError("the end")
        """,
        env=env(broker),
        name="measure",
    )
    assert child.wait() == 1
    records = said(broker, 5)
    assert [record.node for record in records] == ["measure"] * 5
    assert [record.message for record in records] == [
        "hello",
        "UserWarning: careful %s",
        "uncaught exception in worker",
        "as always",
        "uncaught exception",
    ]
    assert records[4].attributes["exception.type"] == "KeyError"
    assert records[2].level == "CRITICAL"
    # What the terminal showed before it still does, and once.
    assert child.stderr.count("UserWarning: careful") == 1
    assert child.stderr.count("ZeroDivisionError") == 1
    assert child.stderr.count("KeyError: 'the end'") == 1
    assert child.stderr.count("as always") == 1
    assert "hello" not in child.stderr


def test_level_and_node(spawn: Spawner, broker: Endpoints) -> None:
    program = """
        import logging
        from runmacs.roc import initRocLogging

        initRocLogging()
        initRocLogging("./odd node\\x1b", level="DEBUG")
        logging.debug("quiet")
        initRocLogging("too late")
        logging.debug("quiet again")
        """
    records = logged_by(spawn, broker, program, 2)
    assert [record.node for record in records] == ["./odd node\x1b"] * 2


def test_what_was_set_up_before_is_left_as_it_is(spawn: Spawner, broker: Endpoints) -> None:
    child = spawn(
        """
        import logging, sys
        from runmacs.roc import initRocLogging

        logging.basicConfig(level="ERROR", stream=sys.stdout, format="mine: %(message)s")
        hook = sys.excepthook
        handler = initRocLogging()
        logging.warning("not asked for")
        logging.error("bad")
        handler.close()
        assert sys.excepthook is hook
        assert handler not in logging.getLogger().handlers
        logging.error("after")
        """,
        env=env(broker),
    )
    assert child.wait() == 0
    assert child.stdout.split("\n") == ["mine: bad", "mine: after", ""]
    (record,) = said(broker, 1)
    assert record.message == "bad"


def test_without_a_broker_it_says_so_once_and_goes_on_trying(
    spawn: Spawner, nowhere: Endpoints
) -> None:
    from processes import start_broker

    child = spawn(
        """
        import logging, time
        from runmacs.roc import initRocLogging

        handler = initRocLogging()
        initRocLogging()
        logging.info("early")
        while not handler.connected:
            time.sleep(0.02)
        logging.info("late")
        """,
        env=env(nowhere),
    )
    wait_until(lambda: "no broker answers" in child.stderr, what="it says so")
    running = start_broker(spawn, "--base-port", nowhere.brokerBasePort)
    assert child.wait() == 0
    assert [record.message for record in said(nowhere, 2)] == ["early", "late"]
    assert child.stderr.count("no broker answers") == 1
    running.stop()


def test_a_short_program_without_a_broker_ends_at_once(spawn: Spawner, nowhere: Endpoints) -> None:
    child = spawn(
        """
        import logging, time
        from runmacs.roc import initRocLogging

        began = time.monotonic()
        initRocLogging("short")
        logging.warning("x")
        """,
        env=env(nowhere),
    )
    assert child.wait() == 0
    assert child.stderr == "x\nshort: 1 log record was not sent to the broker in time.\n"


def test_a_forked_child_is_a_source_of_its_own(spawn: Spawner, broker: Endpoints) -> None:
    if not POSIX:
        pytest.skip("this system has no fork")
    program = """
        import logging, os
        from runmacs.roc import initRocLogging

        handler = initRocLogging("forking")
        logging.info("parent before")
        handler.flush()
        if os.fork() == 0:
            logging.info("child")
            logging.shutdown()
            os._exit(0)
        os.wait()
        logging.info("parent after")
        """
    records = logged_by(spawn, broker, program, 3)
    by_text = {record.message: record for record in records}
    parent, child = by_text["parent before"].resource, by_text["child"].resource
    assert parent.source == by_text["parent after"].resource.source != child.source
    assert parent.pid != child.pid
    assert by_text["child"].n == 1


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_workers_log(spawn: Spawner, broker: Endpoints, method: str) -> None:
    if not POSIX and method != "spawn":
        pytest.skip("this system has no fork")
    program = f"""
        import logging, multiprocessing
        from runmacs.roc import initRocLogging

        def work(at):
            initRocLogging("worker")
            logging.info("worker %d", at)

        if __name__ == "__main__":
            initRocLogging("worker")
            logging.info("parent")
            context = multiprocessing.get_context({method!r})
            with context.Pool(2) as pool:
                pool.map(work, range(10))
                pool.close()
                pool.join()
            child = context.Process(target=work, args=(10,), name="last one")
            child.start()
            child.join()
        """
    records = logged_by(spawn, broker, program, 12)
    texts = sorted(record.message for record in records)
    assert texts == sorted(["parent", *(f"worker {at}" for at in range(11))])
    assert any(record.resource.process == "last one" for record in records)


def test_a_server_logs_under_its_object_id(spawn: Spawner, broker: Endpoints) -> None:
    spawn(
        """
        import asyncio, logging
        from runmacs.roc.servers import run_simple_server

        log = logging.getLogger("camera.driver")

        class Camera:
            def expose(self, seconds):
                log.info("exposing for %s s", seconds)
                if seconds < 0:
                    for at in range(60):
                        log.debug("step %d", at)
                        log.info("checked %d", at)
                    log.error("negative")
                    raise ValueError("no")
                return seconds

            async def wait(self):
                async def inner():
                    log.info("inner")
                await asyncio.create_task(inner())
                raise RuntimeError("async")

            def unsendable(self):
                log.info("made")
                return iter([1])

        run_simple_server("vnir", Camera())
        """,
        env=env(broker),
        name="server",
    )
    with RocClient(broker, timeout=20) as client:
        vnir = client.wait_for("vnir")
        vnir.expose(1)
        (record,) = said(broker, 1)
        assert record.node == "vnir"
        call_id = record.attributes["roc.call"]
        assert call_id.count(".") == 1

        with pytest.raises(ValueError, match="no") as raised:
            vnir.expose(-1)
        log = raised.value.remote_log  # type: ignore[attr-defined]
        assert len(log) == 50
        assert log[-1].message == "negative"
        assert log[0].message == "checked 11"
        assert {one.attributes["roc.call"] for one in log} != {call_id}
        lines = str(log).split("\n")
        assert lines[-1].endswith("vnir@" + log[-1].host + " camera.driver: negative")

        client.log_level("vnir", "camera.driver", "DEBUG")
        with pytest.raises(ValueError, match="no") as raised:
            vnir.expose(-2)
        assert "step 59" in [one.message for one in raised.value.remote_log]  # type: ignore[attr-defined]

        with pytest.raises(RuntimeError) as failed:
            vnir.wait()
        assert [one.message for one in failed.value.remote_log] == ["inner"]  # type: ignore[attr-defined]
        with pytest.raises(errors.Unsendable) as unsent:
            vnir.unsendable()
        assert [one.message for one in unsent.value.remote_log] == ["made"]
        with pytest.raises(errors.MethodNotFound) as refused:
            vnir.nothing()
        assert len(refused.value.remote_log) == 0
        assert str(refused.value.remote_log) == ""


def test_a_server_without_a_log(spawn: Spawner, broker: Endpoints) -> None:
    spawn(
        """
        import logging
        from runmacs.roc.servers import run_simple_server

        class Quiet:
            def look(self):
                return [type(one).__name__ for one in logging.getLogger().handlers]

        run_simple_server("quiet", Quiet(), log=False)
        """,
        env=env(broker),
    )
    with RocClient(broker, timeout=20) as client:
        assert client.wait_for("quiet").look() == []


def test_importing_roc_imports_no_logging(spawn: Spawner, tmp_path: Path) -> None:
    child = spawn(
        """
        import sys
        import runmacs.roc
        assert "logging" not in sys.modules
        assert "RocLogger" in dir(runmacs.roc)
        """
    )
    assert child.wait() == 0
