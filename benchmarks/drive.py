"""A client process of a peer: `python -m benchmarks.drive PEER ADDRESS`.

It says that it is connected, and then answers questions, one a line, in JSON:
`{"do": "serial", "seconds": 0.5}` gives `{"answer": 12345.6}`, or an error.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from . import loads, peers


def main() -> None:
    name, address = sys.argv[1:]
    connection = peers.load(name).connect(address)
    print("connected", flush=True)
    try:
        for line in sys.stdin:
            print(json.dumps(answer(connection, json.loads(line))), flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        connection.close()


def answer(connection: Any, question: dict[str, Any]) -> dict[str, Any]:
    load = loads.LOADS[question.pop("do")]
    try:
        return {"answer": load(connection, **question)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
