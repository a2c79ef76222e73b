"""Drive the VNIR camera from another process: open the shutter, fetch a frame.

    python examples/vnir/client.py                  # the broker on this computer
    python examples/vnir/client.py 192.168.0.10     # the broker on another one

Without an address, ROC_BROKER or the configuration file may name another broker.
"""

from __future__ import annotations

import sys

from runmacs.roc import Endpoints, RocClient


def main() -> None:
    broker = Endpoints(sys.argv[1]) if len(sys.argv) > 1 else None
    with RocClient(broker) as c:
        vnir = c["vnir"]
        vnir.openShutter()
        print("frames per second:", vnir.fps)
        frame = vnir.getFrame()
        print("frame:", frame.shape, frame.dtype, "mean", round(float(frame.mean()), 1), "DN")
        vnir.closeShutter()


if __name__ == "__main__":
    main()
