"""Use a stage from several processes: proxies and remote methods as arguments."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from runmacs.roc import RocClient


def beyond(stage: Any, by: float) -> str:
    """Try to leave the stage's range; how it ended."""
    try:
        return f"it is at {stage.move(by)} mm"
    except ValueError as error:
        return str(error)


if __name__ == "__main__":
    with RocClient() as client, ProcessPoolExecutor(max_workers=2) as workers:
        stage = client["stage"]
        print(max(workers.map(stage.move, [1.0, 2.0, 3.0])))
        print(workers.submit(beyond, stage, 99).result())

        process = multiprocessing.Process(target=stage.move, args=(-6.0,))
        process.start()
        process.join()
        print(stage.position)
