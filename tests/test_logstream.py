"""`log_records` and its streams: what is kept, what comes, filtered, in threads and asyncio."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from desk import Desk
from logbook import logger_at, records_until, said
from runmacs.roc import RocLogger, log_records
from runmacs.roc.errors import Closed, ConfigError
from runmacs.roc.logstream import AsyncLogStream, LogStream, Record
from waiting import wait_until


def test_kept_records_come_first_then_what_is_logged(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, handler):
        log.info("one")
        handler.flush()
        found = log_records(desk.endpoints)
        assert next(found).message == "one"
        log.info("two")
        assert next(found).message == "two"
        found.close()  # type: ignore[attr-defined]


def test_levels_and_nodes_are_chosen(desk: Desk) -> None:
    with (
        logger_at(desk.endpoints, "vnir") as (vnir, _),
        logger_at(desk.endpoints, "sw.ir") as (swir, _),
        LogStream(desk.endpoints, level="warning", node="sw.ir") as stream,
    ):
        for log in (vnir, swir):
            log.info("quiet")
            log.error("loud")
        swir.warning("last")
        found = records_until(stream, lambda found: len(found) >= 2)
    assert {record.node for record in found} == {"sw.ir"}
    assert [record.message for record in found] == ["loud", "last"]
    assert [r.message for r in said(desk.endpoints, 2, level="warning", node="sw.ir")] == [
        "loud",
        "last",
    ]


def test_only_the_newest_of_the_kept_ones(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, _):
        for at in range(10):
            log.info("%d", at)
    assert [record.message for record in said(desk.endpoints, 3, history=3)] == ["7", "8", "9"]
    assert list(log_records(desk.endpoints, timeout=0.3, history=0)) == []


def test_it_ends_after_a_silence(desk: Desk) -> None:
    assert list(log_records(desk.endpoints, timeout=0.2)) == []


def test_the_broker_answers_for_itself(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, _):
        for level in (10, 20, 30):
            log.log(level, "level %d", level)
    broker = desk.client["roc.broker"]
    wait_until(lambda: broker.log()["last"] == 3, what="all are kept")
    page = broker.log(level="info", n=1)
    assert [record["Body"] for record in page["records"]] == ["level 30"]
    page = broker.log(after=0, n=2)
    assert [record["Body"] for record in page["records"]] == ["level 10", "level 20"]
    assert page["more"]
    following = broker.log(after=page["after"])
    assert [record["Body"] for record in following["records"]] == ["level 30"]
    assert broker.log(node="nobody")["records"] == []
    assert broker.log(node=["vnir", "nobody"], text=True)["records"][0].startswith("{")
    (source,) = broker.log_sources()
    assert source["sent"] == {"05": 1, "09": 1, "13": 1}
    with pytest.raises(ValueError, match="no level"):
        broker.log(level="loud")


def test_asyncio(desk: Desk) -> None:
    async def read() -> list[str]:
        found = []
        async with AsyncLogStream(desk.endpoints) as stream:
            assert (await stream.read(30))[0].message == "one"
            ticking = asyncio.create_task(asyncio.sleep(0.05, "ticked"))
            assert await stream.read(0.2) == []
            assert ticking.done()
            log.info("two")
            async for record in stream:
                found.append(record.message)
                if len(found) == 2:
                    break
                log.info("three")
        return found

    with logger_at(desk.endpoints) as (log, handler):
        log.info("one")
        handler.flush()
        assert asyncio.run(read()) == ["two", "three"]


def test_closing_ends_a_reader(desk: Desk) -> None:
    stream = LogStream(desk.endpoints)
    ended: list[object] = []

    def read() -> None:
        try:
            ended.append([*stream])
        except Closed as error:
            ended.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    wait_until(lambda: stream.core.state == "live", what="it reads")
    stream.close()
    thread.join(30)
    assert len(ended) == 1
    with pytest.raises(Closed):
        stream.read()


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ConfigError):
        LogStream("tcp://nowhere")
    with pytest.raises(ConfigError):
        LogStream(level="loud")


def test_a_program_of_any_language_can_log(desk: Desk) -> None:
    import zmq

    with zmq.Context() as ctx, ctx.socket(zmq.PUB) as pub, LogStream(desk.endpoints) as stream:
        pub.connect(desk.endpoints.generalXSUB)
        text = b'{"SeverityNumber":17,"Body":"from C","Resource":{"node":"plc"}}'

        def heard() -> bool:
            pub.send_multipart([b"log.17.plc.=", text])
            pub.send_multipart([b"log.17.plc.=", b"junk"])
            pub.send_multipart([b"log.17.plc.=", text, b"and more"])
            return any(record.message == "from C" for record in stream.read(0.05))

        wait_until(heard, what="it is heard")
    stats = desk.client["roc.broker"].stats
    wait_until(
        lambda: stats()["dropped_log_records_malformed"] >= 2, what="what is none is counted"
    )
    assert stats()["log_records"] == stats()["log_records_kept"] >= 1
    assert said(desk.endpoints, 1)[0].level == ""


KEPT = 21_000


def log_many(log: logging.Logger, handler: RocLogger) -> None:
    """Log records of two levels, no faster than they are sent."""
    for at in range(KEPT):
        log.log(logging.WARNING if at % 7 == 0 else logging.INFO, "%d", at)
        if at % 5000 == 4999:
            wait_until(lambda: not handler.unsent, what="they are sent")


@contextmanager
def more_and_more(log: logging.Logger) -> Iterator[None]:
    """Somebody logs on, about a thousand records a second."""
    stop = threading.Event()

    def go_on() -> None:
        for at in itertools.count(KEPT):
            if stop.wait(0.001):
                return
            log.info("%d", at)

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


async def read_until(stream: LogStream | AsyncLogStream, message: str) -> list[Record]:
    found: list[Record] = []
    while not any(record.message == message for record in found):
        read = stream.read(30)
        records = read if isinstance(read, list) else await read
        assert records, f"nothing more after {len(found)} records"
        found += records
    return found


@pytest.mark.parametrize("history", [20_000, 100_000])
@pytest.mark.parametrize("kind", [LogStream, AsyncLogStream])
def test_a_long_history_comes_whole_while_more_is_logged(
    desk: Desk, kind: type[LogStream] | type[AsyncLogStream], history: int
) -> None:
    """Only the newest page came once, and kept records of a rarer level were told as lost."""
    broker = desk.client["roc.broker"]
    with logger_at(desk.endpoints) as (log, handler):
        log_many(log, handler)
        wait_until(lambda: broker.log()["last"] == KEPT, what="all are kept")
        with more_and_more(log):
            stream = kind(desk.endpoints, history=history)
            try:
                found = asyncio.run(read_until(stream, str(KEPT + 300)))
            finally:
                stream.close()
    assert [record.message for record in found if record.lost] == []
    numbers = [int(record.message) for record in found]
    assert numbers == [*range(numbers[0], numbers[-1] + 1)]
    assert numbers[0] == 0 if history > KEPT else KEPT - history <= numbers[0] < 2 * KEPT - history
