"""What the tests of `roc` share: a camera that does what tests need."""

import time

import numpy as np
from numpy.typing import NDArray


class Lens:
    focus = 1.5


class Camera:
    """A pushbroom camera.

    Its frames are raw.
    """

    def __init__(self) -> None:
        self.fps = 10.0
        self.title: object = "vnir"
        self.nothing: object = None
        self.lens = Lens()
        self.reads = 0

    @property
    def temperature(self) -> float:
        """Of the sensor."""
        self.reads += 1
        return 21.5

    @property
    def count(self) -> int:
        self.reads += 1
        return self.reads

    def frame(self, rows: int = 2, columns: int = 3) -> NDArray[np.uint16]:
        """Read one frame."""
        return np.arange(rows * columns, dtype="u2").reshape(rows, columns)

    def expose(self, seconds: float) -> float:
        """Expose, and say for how long."""
        if seconds > 10:
            raise ValueError("seconds is 10 at most")
        time.sleep(seconds)
        return seconds

    def echo(self, *args: object, **kwargs: object) -> object:
        return [args, kwargs] if kwargs or len(args) != 1 else args[0]

    def table(self) -> list[dict[str, float]]:
        return [{"band": 1, "nm": 400.0}, {"band": 2, "nm": 500.0}]

    def hostile(self) -> None:
        raise ValueError("\x1b[31mred\x07\nroc call: all is well")

    def session(self) -> Lens:
        return Lens()


class Callable:
    def __call__(self, x: float) -> float:
        return x * x
