"""Withdrawals that must reach somebody: when they go out, and how long they are held."""

from __future__ import annotations

from runmacs.roc.core.call import Call
from runmacs.roc.core.recalls import Recalls, withdrawal


def frames(number: int) -> list[bytes]:
    call = Call("vnir", "open", None, ())
    call.number = number
    return withdrawal(call, b"c1", 100 + number)


def recalls(*numbers: int, early: bool = False) -> Recalls:
    made = Recalls()
    for number in numbers:
        made.add(number, 10.0, frames(number), early)
    return made


def test_a_withdrawal_names_its_call_on_the_control_lane() -> None:
    _, header, lane, text = frames(7)
    assert (header, lane) == (b"MDPC01", b"vnir!")
    assert b'"id":107' in text
    assert b'{"call":"c1.7"}' in text


def test_what_nobody_answered_goes_over_the_next_connection_in_its_order() -> None:
    made = recalls(3, 1, 2)
    assert made.take_unsent() == []
    made.answered(2)
    made.link_down()
    assert made.unsent
    assert made.take_unsent() == [frames(1), frames(3)]
    assert made.take_unsent() == []
    assert 1 in made, "until it is answered"
    made.check()


def test_what_the_socket_did_not_take_is_tried_again() -> None:
    made = recalls(1, 2)
    made.put_back(2)
    assert made.take_unsent() == [frames(2)]


def test_before_the_greeting_they_wait_for_it() -> None:
    made = recalls(1, early=True)
    assert made.greeted()
    assert made.take_unsent() == [frames(1)]
    assert not made.greeted(), "once is enough"


def test_who_never_greeted_gets_none() -> None:
    made = recalls(1, early=True)
    made.link_down()
    assert not made
    assert not made.greeted()


def test_after_its_deadline_nobody_begins_the_call() -> None:
    made = recalls(1, 2)
    made.add(3, 20.0, frames(3))
    made.link_down()
    made.forget(10.0)
    assert [number in made for number in (1, 2, 3)] == [False, False, True]
    assert made.take_unsent() == [frames(3)]
    made.check()
