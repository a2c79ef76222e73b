"""What a finished call means to its caller: a value, or an exception that can be caught."""

from __future__ import annotations

import builtins
import copy
import json
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from runmacs.roc import errors
from runmacs.roc.core.call import Call
from runmacs.roc.core.dispatch import Dispatcher
from runmacs.roc.core.outcome import error_of, result_of
from runmacs.roc.core.sharing import SharedObject
from runmacs.roc.wire.jsonrpc import ErrorObject, parse_body, parse_responses

PATH = Path(__file__).parents[2] / "spec" / "errors.json"
CODES: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))
BUILTINS = {
    name: kind
    for name, kind in sorted(vars(builtins).items())
    # Some have other names as well, as IOError has for OSError.
    if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__name__ == name
}
NEVER = (
    *("SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException", "BaseExceptionGroup"),
    *("StopIteration", "StopAsyncIteration"),
)
CATCHABLE = [name for name in BUILTINS if name not in NEVER]


def finished(response: dict[str, Any] | bytes, *buffers: Any, object_id: str = "vnir") -> Call:
    """A call to ``vnir.m`` that has got this response."""
    call = Call(object_id, "m", None, ())
    call.timeout = 2.0
    if isinstance(response, dict):
        response = json.dumps({"jsonrpc": "2.0", "id": 1, **response}).encode()
    (call.response,) = parse_responses(response) or []
    call.frames = [b"", b"MDPC01", b"vnir", response, *buffers]
    return call


def failure(code: int, message: str = "vnir.m failed", data: object = None) -> errors.RocError:
    error: dict[str, Any] = {"code": code, "message": message}
    error |= {} if data is None else {"data": data}
    with pytest.raises(errors.RocError) as caught:
        result_of(finished({"error": error}))
    return caught.value


def remote(name: str, *args: object, **data: object) -> errors.RocError:
    """What arrives when a builtin exception of this name was raised."""
    kind = BUILTINS[name]
    mro = [f"builtins.{base.__name__}" for base in kind.__mro__[:-1]]
    facts = {"executed": True, "object": "vnir", "type": name, "module": "builtins", "mro": mro}
    return failure(-32000, f"vnir.m raised {name}", {**facts, "args": list(args), **data})


class Thrower:
    """A shared object whose method raises what it was made with."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def m(self) -> None:
        raise self.error


def thrown(error: BaseException) -> errors.RemoteError:
    """The exception at the client when the method ``m`` at the server raises ``error``."""
    text = b'{"jsonrpc":"2.0","id":1,"method":"m"}'
    dispatcher = Dispatcher(SharedObject(Thrower(error), "vnir"), {"host": "daq2", "pid": 17})
    (reply,) = dispatcher.serve(parse_body(text), [text])
    with pytest.raises(errors.RemoteError) as caught:
        result_of(finished(bytes(reply)))
    return caught.value


# --- values ---------------------------------------------------------------------------


def test_a_result() -> None:
    assert result_of(finished({"result": {"a": [1, None]}})) == {"a": [1, None]}
    assert result_of(finished({"result": None})) is None


def test_a_result_with_buffers() -> None:
    response = {"result": [{"__roc__": "bytes", "buffer": 1}, {"__roc__": "bytes", "buffer": 0}]}
    frames = (zmq.Frame(b"zero"), memoryview(b"one"))
    assert result_of(finished(response, *frames)) == [b"one", b"zero"]


def test_a_received_array_is_a_view_that_cannot_be_written() -> None:
    tag = {"__roc__": "array", "dtype": "<u2", "shape": [2], "buffer": 0}
    frame = bytearray(b"\1\0\2\0")
    array: Any = result_of(finished({"result": tag}, frame))
    assert array.tolist() == [1, 2]
    frame[0] = 9
    assert array.tolist() == [9, 2]
    assert not array.flags.writeable


@pytest.mark.parametrize(
    "result",
    [
        b'{"__roc__":"pickle"}',
        b'{"__roc__":"bytes","buffer":0}',
        b'"\xff"',
        b"1e999",
        b"[" * 300 + b"]" * 300,
    ],
)
def test_a_result_that_cannot_be_read_was_executed(result: bytes) -> None:
    call = finished(b'{"jsonrpc":"2.0","id":1,"result":%b}' % result)
    with pytest.raises(errors.RemoteProtocolError) as caught:
        result_of(call)
    assert caught.value.executed is True
    assert str(caught.value).startswith("vnir.m was executed, but its result cannot be read: ")


def test_the_callers_own_error() -> None:
    call = Call("vnir", "m", None, ())
    call.error = errors.QueueFull("too many")
    with pytest.raises(errors.QueueFull, match="too many"):
        result_of(call)


def test_a_call_that_has_not_ended() -> None:
    with pytest.raises(errors.LocalProtocolError, match=r"vnir\.m: the call has not ended"):
        result_of(Call("vnir", "m", None, ()))


# --- errors by their code -------------------------------------------------------------

FROM_A_PEER = [
    code
    for code in CODES
    if {"server", "broker"} & {*code["raised_by"]} and "never travels" not in code["meaning"]
]
EXPECTED = {"Expired": "CallTimeout"}


@pytest.mark.parametrize("code", FROM_A_PEER, ids=lambda code: code["name"])
def test_every_code_of_the_specification(code: dict[str, Any]) -> None:
    error = failure(code["code"])
    expected = EXPECTED.get(code["python"], code["python"])
    assert type(error).__name__ == expected
    if code["also"] is not None and expected == code["python"]:
        assert isinstance(error, getattr(builtins, code["also"]))
    if expected == code["python"]:
        assert error.code == code["code"]
        assert str(error) == "vnir.m failed"
    assert error.executed is {"varies": None}.get(code["executed"], code["executed"])


@pytest.mark.parametrize("code", [c["code"] for c in CODES if c["name"] != "Expired"])
@pytest.mark.parametrize("executed", [True, False, None])
def test_what_the_error_itself_says_counts(code: int, executed: bool | None) -> None:
    assert failure(code, data={"executed": executed}).executed is executed


@pytest.mark.parametrize("executed", ["yes", 1, 0, [], {}])
def test_what_says_neither_true_nor_false_says_nothing(executed: object) -> None:
    assert failure(-32601, data={"executed": executed}).executed is None


@pytest.mark.parametrize("code", [-1, 0, 17, 2**40, -32050, -32768])
def test_a_code_that_is_not_in_the_list(code: int) -> None:
    error = failure(code, "disk full")
    assert type(error) is errors.CallError
    assert error.code == code
    assert str(error) == "vnir.m: disk full"
    assert error.executed is None


def test_the_object_is_named_once() -> None:
    assert str(failure(-32603, "vnir.m broke")) == "vnir.m broke"
    assert str(failure(-32603, "vnir: it broke")) == "vnir: it broke"
    assert str(failure(-32603, "vnirs are broken")) == "vnir.m: vnirs are broken"


def test_an_error_without_words() -> None:
    assert str(failure(-32603, "")) == "vnir.m: error -32603"
    assert str(failure(-32001, "")) == "vnir.m: error -32001"


@pytest.mark.parametrize("data", [5, "text", [1], True])
def test_data_of_another_server_is_kept(data: object) -> None:
    assert failure(-32603, data=data).data == {"data": data}


def test_data_that_cannot_be_read_is_left_out() -> None:
    assert failure(-32603, data={"__roc__": "pickle"}).data == {}


def test_suggestions_are_kept() -> None:
    data = {"executed": False, "suggestions": ["vnir"]}
    assert failure(-32001, data=data).data["suggestions"] == ["vnir"]


def test_expired_is_what_its_caller_asked_for() -> None:
    error = failure(-32006, "late", {"executed": False})
    assert (type(error), error.executed) == (errors.CallTimeout, False)
    assert error.code == errors.CallTimeout.code
    assert str(error) == "vnir.m: no answer within 2 s; it was not executed, and will not be."


# --- remote exceptions ----------------------------------------------------------------


@pytest.mark.parametrize("name", CATCHABLE)
def test_every_builtin_exception_can_be_caught_as_what_it_is(name: str) -> None:
    kind = BUILTINS[name]
    with pytest.raises(kind) as caught:
        raise remote(name, "no light", 5)
    error = caught.value
    assert isinstance(error, errors.RemoteError)
    assert str(error) == f"vnir.m raised {name}"
    assert name in repr(error)
    assert error.code == -32000
    assert error.executed is True
    assert (error.remote_type, error.remote_args) == (name, ("no light", 5))
    assert not isinstance(error, (SystemExit, KeyboardInterrupt, StopIteration))
    assert name in "".join(traceback.format_exception(error))
    if kind is not Exception:
        assert type(error).__name__ == f"Remote{name}"


@pytest.mark.parametrize("name", BUILTINS)
def test_every_builtin_exception_goes_through_a_server(name: str) -> None:
    kind = BUILTINS[name]
    args: dict[str, tuple[Any, ...]] = {
        "UnicodeDecodeError": ("utf-8", b"a\xff", 1, 2, "bad"),
        "UnicodeEncodeError": ("ascii", "aä", 1, 2, "bad"),
        "UnicodeTranslateError": ("aä", 1, 2, "bad"),
        "ExceptionGroup": ("two", [ValueError("a")]),
        "BaseExceptionGroup": ("two", [KeyboardInterrupt()]),
    }
    error = thrown(kind(*args.get(name, ("no light",))))
    assert error.remote_type == name
    assert isinstance(error, kind) == (name in CATCHABLE or kind is BaseException)
    assert str(error).startswith(f"vnir.m raised {name}: ")


@pytest.mark.parametrize("name", NEVER)
def test_what_would_end_or_confuse_the_client_never_comes_out(name: str) -> None:
    error = remote(name, 3)
    assert type(error) is errors.RemoteError
    assert error.remote_type == name
    assert isinstance(error, Exception)


def test_an_oserror_has_its_number_and_its_file() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        raise thrown(FileNotFoundError(2, "No such file or directory", "dark.dat"))
    error = caught.value
    assert (error.errno, error.strerror, error.filename) == (
        2,
        "No such file or directory",
        "dark.dat",
    )
    assert error.args == (2, "No such file or directory")


def test_an_oserror_of_another_language_has_its_number_in_its_args() -> None:
    error = remote("PermissionError", 13, "Permission denied")
    assert isinstance(error, PermissionError)
    assert (error.errno, error.strerror) == (13, "Permission denied")
    text = remote("OSError", "just text", 5)
    assert isinstance(text, OSError)
    assert text.errno is None


def test_a_unicode_error_has_its_parts() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        raise thrown(UnicodeDecodeError("utf-8", b"a\xffb", 1, 2, "invalid start byte"))
    error = caught.value
    assert (error.encoding, error.object, error.start, error.end, error.reason) == (
        "utf-8",
        b"a\xffb",
        1,
        2,
        "invalid start byte",
    )


def test_a_key_error_has_its_key() -> None:
    with pytest.raises(KeyError) as caught:
        raise thrown(KeyError("gain"))
    assert caught.value.args == ("gain",)
    assert str(caught.value) == "vnir.m raised KeyError: 'gain'"


def test_others_have_what_their_handlers_look_at() -> None:
    missing = thrown(ImportError("no driver", name="driver", path="/opt"))
    assert isinstance(missing, ImportError)
    assert (missing.name, missing.path, missing.msg) == ("driver", "/opt", "no driver")
    wrong = thrown(SyntaxError("bad", ("setup.py", 3, 7, "x ==")))
    assert isinstance(wrong, SyntaxError)
    assert (wrong.filename, wrong.lineno, wrong.offset) == ("setup.py", 3, 7)
    misspelt = thrown(AttributeError("x", name="gian"))
    assert isinstance(misspelt, AttributeError)
    assert misspelt.name == "gian"


def test_a_group_can_be_caught_as_one() -> None:
    caught: list[BaseException] = []
    try:
        raise thrown(ExceptionGroup("two", [ValueError("a"), KeyError("b")]))
    except* errors.RemoteError as group:
        caught += group.exceptions
    assert len(caught) == 1
    with pytest.raises(ExceptionGroup):
        raise thrown(ExceptionGroup("two", [ValueError("a")]))


def test_attributes_of_wrong_types_are_left_out() -> None:
    attributes = {"start": "x", "object": 7, "errno": [], "filename": {}, "message": 5, "data": 1}
    error = remote("UnicodeDecodeError", attributes=attributes)
    assert error.message == "vnir.m raised UnicodeDecodeError"
    assert error.data["type"] == "UnicodeDecodeError"
    for name in BUILTINS:
        remote(name, attributes=attributes)


def test_a_class_of_the_objects_own_is_what_it_descends_from() -> None:
    class TooBright(ValueError):
        def __init__(self, level: float) -> None:
            super().__init__(f"{level} is too bright")
            self.level = level

    class Worse(TooBright, KeyError):
        pass

    with pytest.raises(ValueError, match=r"vnir\.m raised TooBright: 3\.5 is too bright") as caught:
        raise thrown(TooBright(3.5))
    error = caught.value
    assert isinstance(error, errors.RemoteError)
    assert error.remote_type.endswith("TooBright")
    assert error.remote_attributes == {"level": 3.5}
    assert error.remote_args == ("3.5 is too bright",)
    assert isinstance(thrown(Worse(1.0)), ValueError)


def test_a_class_without_builtin_ancestors_is_a_remote_error() -> None:
    class Dark(Exception):
        pass

    error = thrown(Dark("x", 5))
    assert type(error) is errors.RemoteError
    assert error.remote_args == ("x", 5)


def test_the_clients_own_errors_are_remote_ones_when_they_were_raised_remotely() -> None:
    """The object is itself a client of another one."""
    error = thrown(errors.CallTimeout("swir.m: no answer", executed=False))
    assert isinstance(error, errors.RemoteError)
    assert isinstance(error, TimeoutError)
    assert errors.CallTimeout not in type(error).__mro__
    assert error.executed is True


def test_the_remote_traceback_is_shown() -> None:
    error = thrown(ValueError("no light"))
    (note,) = error.__notes__
    assert note.startswith("Remote traceback (vnir, daq2, pid 17):\nTraceback (most recent call")
    assert "raise self.error" in note
    shown = "".join(traceback.format_exception(error))
    assert "raise self.error" in shown
    assert shown.count("Remote traceback") == 1


def test_without_a_traceback_there_is_no_note() -> None:
    assert not hasattr(remote("ValueError"), "__notes__")


def test_another_languages_exception_needs_nothing_but_a_code() -> None:
    error = failure(-32000, "vnir.m raised std::runtime_error: no light")
    assert type(error) is errors.RemoteError
    assert error.executed is True
    assert error.remote_type == ""
    assert error.remote_args == ()
    assert error.remote_attributes == {}


@pytest.mark.parametrize("change", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("a", 2),
        FileNotFoundError(2, "No such file", "dark.dat"),
        UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "bad"),
        ExceptionGroup("two", [ValueError("a")]),
        RuntimeError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_it_can_be_passed_between_processes(error: Exception, change: Any) -> None:
    before = thrown(error)
    after = change(before)
    assert type(after) is type(before)
    assert str(after) == str(before)
    assert after.args == before.args
    assert after.remote_traceback == before.remote_traceback
    assert after.__notes__ == before.__notes__


# --- whatever a peer sends ------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
BUILTIN_NAMES = st.sampled_from([*BUILTINS, "print", "nothing", "__loader__", "int"]).map(
    lambda name: f"builtins.{name}"
)
DATA = st.dictionaries(
    st.sampled_from(
        ["executed", "type", "module", "mro", "args", "attributes", "traceback", "object", "host"]
    ),
    JSON | st.lists(BUILTIN_NAMES, max_size=4) | st.just("ValueError"),
)


@given(st.sampled_from([*(c["code"] for c in CODES), 17]), st.text(max_size=9), DATA | JSON)
def test_any_error_gives_an_exception(code: int, message: str, data: object) -> None:
    text = json.dumps({"code": code, "message": message, "data": data}).encode("utf-8")
    responses = parse_responses(b'{"jsonrpc":"2.0","id":1,"error":%b}' % text)
    if responses is None:  # half a surrogate pair
        return
    call = Call("vnir", "m", None, ())
    assert isinstance(responses[0].error, ErrorObject)
    error = error_of(responses[0].error, call)
    assert isinstance(error, errors.RocError)
    assert error.executed in (True, False, None)
    assert isinstance(str(error), str)
    assert "".join(traceback.format_exception(error))
