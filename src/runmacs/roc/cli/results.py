"""Where the result of a call goes: to stdout in one of the formats, or into a file.

Rules:

* ``-o`` takes a format, or a file whose name says what it is: .npy, .csv, .png, .json;
  bytes go into any file as they are.
* For people: a text as it is, an array's summary, what has columns as a table.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from ..proxy import Proxy, RemoteMethod
from .failures import WRONG_USAGE, Failure
from .flags import json_is_given
from .output import FORMATS, Column, print_document, print_rows
from .stderr import printable
from .terminal import note
from .words import as_json, as_word, is_array, line_of_json

__all__ = ["check_target", "print_result", "target_flags"]

_FILES: Final = (".npy", ".csv", ".png", ".json")


def target_flags(command: Any) -> Any:
    """``-o FORMAT|FILE`` and ``--json``, as ``target``."""
    from .flags import json_flag

    def chosen(ctx: click.Context, parameter: click.Parameter, target: str) -> str:
        return "json" if json_is_given(ctx) else target

    text = f"{', '.join(FORMATS)}, or a file: {', '.join(_FILES)}  [table]"
    return json_flag(
        click.option(
            "-o",
            "--output",
            "target",
            default="table",
            metavar="FORMAT|FILE",
            callback=chosen,
            help=text,
        )(command)
    )


def check_target(target: str) -> None:
    """Find out before the call whether its result can go there. Raises Failure."""
    if target in FORMATS:
        return
    path = Path(target)
    if not path.suffix:
        raise Failure(
            f"-o {target}: that is neither {', '.join(FORMATS)} nor a file like {target}.npy.",
            WRONG_USAGE,
        )
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)) or path.is_dir():
        raise Failure(f"-o {target}: no file can be written there.", WRONG_USAGE)


def print_result(value: Any, target: str) -> None:
    """Print a value, or write it into a file."""
    if target not in FORMATS:
        _write(value, Path(target))
    elif target == "json":
        print_document(value)
    elif target == "ndjson":
        items = value if isinstance(value, list | tuple) or is_array(value) else [value]
        for item in items:
            print(line_of_json(item))
    elif target == "csv":
        sys.stdout.write(_as_csv(value))
    elif value is not None:
        _print_for_people(value)


def _print_for_people(value: Any) -> None:
    if isinstance(value, str):
        print("\n".join(map(printable, value.split("\n"))))
    elif isinstance(value, Proxy | RemoteMethod):
        print(printable(repr(value)))
    elif isinstance(value, dict) and value:
        width = max(len(printable(str(key))) for key in value)
        for key, item in value.items():
            print(f"{printable(str(key)).ljust(width)}  {as_word(item)}")
    elif _has_columns(value):
        print_rows(value, [Column(name, printable(name)) for name in value[0]], "table")
    elif is_array(value) and value.size <= 100:
        print(value)
    else:
        print(as_word(value))
        if is_array(value) and sys.stdout.isatty():
            note("-o FILE.npy (or .csv, .png) writes all of it.")


def _has_columns(value: Any) -> bool:
    """Whether it is a list of dictionaries that have the same keys."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(row, dict) and row.keys() == value[0].keys() for row in value)
        and all(isinstance(name, str) for name in value[0])
        and len(value[0]) > 0
    )


def _as_csv(value: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if _has_columns(value):
        writer.writerow(value[0])
        rows = [list(row.values()) for row in value]
    elif isinstance(value, dict):
        rows = [list(item) for item in value.items()]
    else:
        plain = as_json(value)
        items = plain if isinstance(plain, list) else [plain]
        rows = [item if isinstance(item, list) else [item] for item in items]
    for row in rows:
        cells = map(as_json, row)
        writer.writerow(
            [c if isinstance(c, str) else "" if c is None else json.dumps(c) for c in cells]
        )
    return text.getvalue()


# ---- files


def _write(value: Any, path: Path) -> None:
    if isinstance(value, bytes | bytearray):
        encode: Callable[[Any], bytes] = bytes
    else:
        by_name = {".npy": _npy, ".csv": _csv, ".png": _png, ".json": _json}
        found = by_name.get(path.suffix.lower())
        if found is None:
            raise Failure(
                f"{path}: the result is no bytes, and goes into {', '.join(_FILES)} only.",
                WRONG_USAGE,
            )
        encode = found
    raw = encode(value)
    whole = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        whole.write_bytes(raw)
        whole.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            whole.unlink()
        raise Failure(f"{path} cannot be written: {error.strerror}.") from None
    what = as_word(value) if is_array(value) else f"{len(raw)} bytes"
    print(f"{printable(str(path))}: {what}")


def _npy(value: Any) -> bytes:
    import numpy

    raw = io.BytesIO()
    numpy.save(raw, _numbers(value, ".npy"), allow_pickle=False)
    return raw.getvalue()


def _csv(value: Any) -> bytes:
    if is_array(value) and value.ndim > 2:
        raise Failure(f"an array of {value.ndim} dimensions is no table: use .npy.", WRONG_USAGE)
    return _as_csv(value).encode()


def _json(value: Any) -> bytes:
    return f"{line_of_json(value)}\n".encode()


def _numbers(value: Any, suffix: str) -> Any:
    if is_array(value):
        return value
    try:
        import numpy
    except ImportError:
        numpy = None  # type: ignore[assignment]
    array = None if numpy is None or isinstance(value, str | dict) else _as_array(numpy, value)
    if array is None or array.dtype.kind not in "biufc":
        raise Failure(
            f"the result is no array, and {suffix} is for arrays: use .json.", WRONG_USAGE
        )
    return array


def _as_array(numpy: Any, value: Any) -> Any:
    try:
        return numpy.asarray(value)
    except (ValueError, TypeError):
        return None


def _png(value: Any) -> bytes:
    """Grey (rows x columns) or coloured (rows x columns x 3 or 4) pixels."""
    import numpy

    array = _numbers(value, ".png")
    channels = array.shape[2] if array.ndim == 3 else 1
    colour = {1: 0, 3: 2, 4: 6}.get(channels)
    if array.ndim not in (2, 3) or colour is None or not array.size or array.dtype.kind == "c":
        raise Failure(
            f"a picture has rows and columns, and this is a {as_word(array)}: use .npy.",
            WRONG_USAGE,
        )
    if array.dtype.kind == "b":
        array = array.astype("u1") * 255
    elif array.dtype not in ("u1", "u2"):
        low, high = numpy.nanmin(array), numpy.nanmax(array)
        scaled = (array.astype("f8") - low) / ((high - low) or 1.0)
        array = numpy.nan_to_num(scaled * 65535).astype("u2")
        note(f"the picture goes from black, {low:g}, to white, {high:g}.")
    depth = 8 * array.dtype.itemsize
    rows = array.astype(array.dtype.newbyteorder(">")).reshape(array.shape[0], -1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
