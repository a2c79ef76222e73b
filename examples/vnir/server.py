"""Share the VNIR camera under the object id ``vnir``, until Ctrl-C or SIGTERM.

    rocbroker                           # in one terminal
    python examples/vnir/server.py      # in another
    python examples/vnir/client.py      # in a third

The broker is found as everywhere in ROC: the environment variable ROC_BROKER, the
configuration file, or 127.0.0.1:5555. However the server stops, the ``with`` block
closes the shutter. The camera tells its temperature, frame rate and shutter to everybody:

    python -c "from runmacs.roc import *; [print(u) for u in statusUpdateIterator(mask='vnir')]"
"""

from __future__ import annotations

import logging

from camera import VNIRCamera

from runmacs.roc import RocStatusUpdater
from runmacs.roc.servers import run_simple_server


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    with VNIRCamera(createStatusUpdater=RocStatusUpdater) as vnir, RocStatusUpdater() as updater:
        updater.describe("vnir.temperature", unit="K")
        run_simple_server("vnir", vnir)


if __name__ == "__main__":
    main()
