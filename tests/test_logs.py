"""`RocLogger`: whatever a program logs arrives, and never hurts the program."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.config
import logging.handlers
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from desk import Desk
from logbook import logger_at, said
from promptness import prompt
from runmacs.roc import Endpoints, RocLogger
from runmacs.roc.wire.logtext import as_text
from waiting import wait_until

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "a\nb\r\nc",
    "</script><b>",
    "nul\x00nul",
    "lone \ud800 surrogate",
    "\u202eevil\u2066",
    "\x9b1m",
    "",
]


class Nasty(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


def test_a_record_says_where_and_when_and_who(desk: Desk) -> None:
    before = time.time()
    with logger_at(desk.endpoints) as (log, _):
        log.info("gain is %d", 3, extra={"gain": 3, "roi": [1, 2]})
    (record,) = said(desk.endpoints, 1)
    assert record.message == "gain is 3"
    assert (record.level, record.severity) == ("INFO", 9)
    assert (record.node, record.logger, record.n) == ("vnir", "test.vnir", 1)
    assert record.resource.process == "MainProcess"
    attributes = record.attributes
    assert attributes["log.template"] == "gain is %d"
    assert (attributes["gain"], attributes["roi"]) == (3, [1, 2])
    assert attributes["code.file.path"] == __file__
    assert attributes["code.function.name"] == "test_a_record_says_where_and_when_and_who"
    assert attributes["thread.name"] == "MainThread"
    from datetime import datetime

    assert before - 1 < datetime.fromisoformat(record.timestamp).timestamp() < time.time() + 1


def test_an_exception_travels_with_its_traceback(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, _):
        try:
            raise ValueError("too hot")
        except ValueError:
            log.exception("failed", stack_info=True)
    (record,) = said(desk.endpoints, 1)
    attributes = record.attributes
    assert attributes["exception.type"] == "ValueError"
    assert attributes["exception.message"] == "too hot"
    assert attributes["exception.stacktrace"].endswith("ValueError: too hot\n")
    assert "test_logs.py" in attributes["code.stacktrace"]


def test_hostile_strings_survive_as_data(desk: Desk) -> None:
    with logger_at(desk.endpoints, node="../\x1b[1m.x") as (log, _):
        for text in HOSTILE:
            log.warning("%s", text, extra={"added": text, text or "empty": text})
    records = said(desk.endpoints, len(HOSTILE))
    for text, record in zip(HOSTILE, records, strict=True):
        sound = text.replace("\ud800", "\\ud800")
        assert record.message == sound
        assert record.attributes["added"] == sound
        assert record.node == "../\x1b[1m.x"
        json.loads(record.raw)
        shown = as_text(record)
        assert "\x1b" not in shown
        assert "\n" not in shown
        assert "\u202e" not in shown


def test_what_cannot_be_formatted_or_sent_is_said_and_hurts_nobody(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, handler):
        log.info("%d apples", "many")
        log.info("%s %s", "one")
        log.info(Mute())
        log.info("x", extra={"mute": Mute(), "socket": threading.Lock(), "nan": float("nan")})
        try:
            raise Nasty
        except Nasty:
            log.exception("nasty")
        log.info({"a": 1})
    records = said(desk.endpoints, 6)
    assert "cannot be formatted: TypeError" in records[0].message
    assert "'%d apples' with ('many',)" in records[0].message
    assert "cannot be formatted" in records[1].message
    assert "cannot be formatted" in records[2].message
    assert "cannot be shown" in records[3].attributes["mute"]
    assert records[3].attributes["nan"] == "NaN"
    assert "__str__ raised RuntimeError" in records[4].attributes["exception.message"]
    assert records[5].message == "{'a': 1}"
    assert handler.dropped == 0


def test_a_message_of_fifty_megabytes_is_cut_and_says_so(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, _):
        log.error("x" * 50_000_000)
        log.error("next")
    big, following = said(desk.endpoints, 2)
    assert len(big.message) < 1.1 * 1024 * 1024
    assert big.message.endswith("... (cut: it had 50000000 characters)")
    assert following.message == "next"


def chatter(log: logging.Logger) -> None:
    for at in range(200):
        log.info("%d", at)


def test_many_threads_and_several_handlers(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, first), logger_at(desk.endpoints, "two") as (_, second):
        log.addHandler(second)
        threads = [threading.Thread(target=chatter, args=(log,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.dropped == second.dropped == 0
    records = said(desk.endpoints, 3200)
    assert sorted(record.n for record in records if record.node == "two") == [*range(1, 1601)]
    assert sorted(record.n for record in records if record.node == "vnir") == [*range(1, 1601)]


def test_asyncio_tasks_log_like_everybody(desk: Desk) -> None:
    async def work(log: logging.Logger) -> None:
        async def one(at: int) -> None:
            await asyncio.sleep(0)
            log.info("task %d", at)

        await asyncio.gather(*(one(at) for at in range(20)))

    with logger_at(desk.endpoints) as (log, _):
        asyncio.run(work(log))
    assert len(said(desk.endpoints, 20)) == 20


def test_dict_config(desk: Desk) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "roc": {
                    "class": "runmacs.roc.RocLogger",
                    "nodeId": "configured",
                    "destination": desk.endpoints.generalXSUB,
                    "level": "WARNING",
                }
            },
            "loggers": {"test.dict": {"level": "DEBUG", "handlers": ["roc"], "propagate": False}},
        }
    )
    log = logging.getLogger("test.dict")
    try:
        log.info("too quiet")
        log.warning("heard")
        (record,) = said(desk.endpoints, 1)
        assert (record.node, record.message) == ("configured", "heard")
    finally:
        for handler in list(log.handlers):
            log.removeHandler(handler)
            handler.close()


def test_other_handlers_and_filters_do_not_disturb_it(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, handler):
        other = logging.StreamHandler(io.StringIO())
        other.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.handlers.insert(0, other)
        handler.addFilter(lambda record: "secret" not in record.getMessage())
        log.info("secret")
        try:
            raise ValueError
        except ValueError:
            log.info("open", exc_info=True)
    (record,) = said(desk.endpoints, 1)
    assert record.message == "open"
    assert not {"message", "asctime", "exc_text"} & set(record.attributes)


def test_through_a_queue_handler(desk: Desk) -> None:
    import queue

    lines: queue.Queue[Any] = queue.Queue()
    handler = RocLogger("queued", desk.endpoints)
    log = logging.Logger("test.queued")
    log.addHandler(logging.handlers.QueueHandler(lines))
    try:
        raise ValueError("x")
    except ValueError:
        log.exception("via")
    handler.handle(lines.get())
    handler.close()
    (record,) = said(desk.endpoints, 1)
    assert "ValueError: x" in record.attributes.get("exception.stacktrace", "") + record.message


def test_own_records_do_not_come_back(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (_, handler):
        for name in ("runmacs.roc", "runmacs.roc.broker", "runmacs.rocket"):
            handler.handle(logging.makeLogRecord({"name": name, "msg": name, "levelno": 20}))
    (record,) = said(desk.endpoints, 1)
    assert record.logger == "runmacs.rocket"


def test_severities_of_any_level(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, _):
        log.setLevel(1)
        for level in (1, 10, 15, 25, 50, 1000):
            log.log(level, "x")
    assert [record.severity for record in said(desk.endpoints, 6)] == [1, 5, 7, 11, 21, 24]


def test_without_a_broker_nothing_blocks_and_the_rest_is_told(nowhere: Endpoints) -> None:
    handler = RocLogger("lonely", nowhere)
    log = logging.Logger("test.lonely")
    log.addHandler(handler)
    began = time.monotonic()
    for at in range(25_000):
        log.info("%d", at)
    with prompt():
        assert time.monotonic() - began < 5
    assert handler.dropped == 5_000
    assert not handler.connected
    with Desk(nowhere) as desk:
        wait_until(lambda: handler.connected, what="the broker was found")
        records = said(desk.endpoints, 20_001)
        handler.close()
    report = records[-1]
    assert report.message == "5000 records were dropped here, as too many waited to be sent"
    assert report.attributes["roc.dropped"] == 5000
    assert [record.n for record in records[:-1]] == [*range(1, 20_001)]


def test_closing_without_a_broker_takes_no_time_worth_mentioning(nowhere: Endpoints) -> None:
    handler = RocLogger("lonely", nowhere)
    handler.handle(logging.makeLogRecord({"msg": "x"}))
    began = time.monotonic()
    handler.flush()
    handler.close()
    with prompt():
        assert time.monotonic() - began < 2
    handler.handle(logging.makeLogRecord({"msg": "after the end"}))
    handler.close()


def test_from_a_finaliser_and_within_logging(desk: Desk) -> None:
    with logger_at(desk.endpoints) as (log, _):

        class Chatty:
            def __str__(self) -> str:
                log.debug("inner")
                return "outer"

            def __del__(self) -> None:
                log.debug("gone")

        log.info("%s", Chatty())
    assert [record.message for record in said(desk.endpoints, 3)] == ["inner", "outer", "gone"]


def test_inproc(tmp_path: Path) -> None:
    import zmq

    with zmq.Context() as ctx, Desk(Endpoints("log-test", transport="inproc"), ctx) as desk:
        with logger_at(desk.endpoints, ctx=ctx) as (log, _):
            log.info("near")
            (record,) = said(desk.endpoints, 1, ctx=ctx)
        assert record.message == "near"


def test_a_bad_address_is_told_at_once() -> None:
    from runmacs.roc.errors import ConfigError

    with pytest.raises(ConfigError):
        RocLogger("x", "tcp://nowhere")


def test_warnings_stay_as_they_are_without_init() -> None:
    with pytest.warns(UserWarning, match="careful"):
        warnings.warn("careful", stacklevel=1)
