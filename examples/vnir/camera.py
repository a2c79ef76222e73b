"""A simulated pushbroom camera for the visible and near infrared (VNIR).

One frame is one line on the ground: 640 pixels along the line, each with a spectrum
of 320 pixels from 400 nm to 1000 nm. The camera behaves as its driver would: frames
come at the frame rate and not sooner, the sensor cools down after switching on,
bright light saturates, and a closed shutter leaves the dark current.

Rules:

* This file knows nothing of ROC. Any class can be shared in the same way.
* Units: s, K, nm, DN; focus in mm.
* What may be called from afar has a public name; switching the camera on and off is
  for the ``with`` block that owns it, and for nobody else.

Needs numpy.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt
from light import GRID, SCENES, see_through
from sensor import Cooler, Sensor, quantum_efficiency

__all__ = ["Lens", "StatusUpdater", "VNIRCamera"]

log = logging.getLogger("vnir")

SPATIAL, SPECTRAL = 640, 320
FIRST_WAVELENGTH, LAST_WAVELENGTH = 400.0, 1000.0  # nm
LINE_WIDTH = 3.0  # nm, full width at half maximum, in focus
SMILE = 0.4  # nm, how far lines bend towards the red at both ends of the slit
BRIGHTNESS = 1.6e6  # photons per second and pixel from the brightest part of the sky

FPS_LIMITS = (0.1, 50.0)  # 1/s
INTEGRATION_LIMITS = (1e-4, 5.0)  # s
READOUT = 0.002  # s
MOST_FRAMES = 500  # of one call: 205 MB, below the largest message

AMBIENT, COOLED = 295.15, 263.15  # K
COOLING_TIME = 30.0  # s


class StatusUpdater(Protocol):
    """What the camera needs of a status updater; ``RocStatusUpdater`` is one."""

    def emit(self, sensorId: str, data: Mapping[str, object], /) -> object: ...


class Lens:
    """The lens between slit and sensor; its focus is a position in mm, sharp at 1.0."""

    LIMITS = (0.0, 2.0)
    SHARP = 1.0

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._focus = self.SHARP
        self._on_change = on_change

    @property
    def focus(self) -> float:
        """Position of the focusing stage in mm, 0 to 2; 1.0 is sharp."""
        return self._focus

    @focus.setter
    def focus(self, position: float) -> None:
        self._focus = _within("focus", position, self.LIMITS, "mm")
        self._on_change()

    def _line_width(self) -> float:
        """Full width at half maximum in nm: defocus adds in quadrature."""
        return float(np.hypot(LINE_WIDTH, 12.0 * (self._focus - self.SHARP)))


class VNIRCamera:
    """A VNIR line camera with shutter, cooler and lens::

        with VNIRCamera() as vnir:
            vnir.openShutter()
            vnir.setIntegrationTime(0.02)
            frame = vnir.getFrame()         # uint16, 640 x 320

    Args:
        createStatusUpdater: called once with no argument; what it returns is told
            temperature, frame rate and shutter through ``emit('vnir', {...})``.
        seed: the same seed, calls and times give the same frames.
        clock, sleep: for tests; seconds, as in ``time``.
    """

    def __init__(
        self,
        createStatusUpdater: Callable[[], StatusUpdater] | None = None,
        *,
        seed: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.lens = Lens(self._forget_image)
        self._updater = createStatusUpdater() if createStatusUpdater is not None else None
        self._clock = clock
        self._sleep = sleep
        self._sensor = Sensor((SPATIAL, SPECTRAL), np.random.default_rng(seed))
        self._cooler = Cooler(AMBIENT, COOLING_TIME)
        self._wavelengths = np.linspace(FIRST_WAVELENGTH, LAST_WAVELENGTH, SPECTRAL)
        self._image: npt.NDArray[np.float32] | None = None
        self._last = np.zeros((0, SPATIAL, SPECTRAL), dtype=np.uint16)
        self._scene = "sky"
        self._on = False
        self._shutter_open = False
        self._fps = 10.0
        self._integration_time = 0.01
        self._switched_on = self._next_exposure = 0.0

    def __enter__(self) -> VNIRCamera:
        self._switched_on = self._next_exposure = self._clock()
        self._cooler.settle(COOLED, self._switched_on)
        self._on = True
        log.info("camera on, cooling the sensor to %.0f K", COOLED)
        self._report()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._shutter_open = False
        self._cooler.settle(AMBIENT, self._clock())
        self._report()
        self._on = False
        log.info("shutter closed, cooler off: the camera is safe")

    # Shutter, exposure and frame rate

    def openShutter(self) -> None:
        """Let light onto the sensor. Nothing happens if it is open already."""
        self._set_shutter(True)

    def closeShutter(self) -> None:
        """Keep light off the sensor, for dark frames. Nothing happens if it is closed."""
        self._set_shutter(False)

    @property
    def shutterOpen(self) -> bool:
        """True while light reaches the sensor."""
        return self._shutter_open

    def setIntegrationTime(self, seconds: float) -> None:
        """Expose each frame for ``seconds``, 0.0001 to 5.

        Where the frame period is too short for it, the frame rate goes down as far
        as needed, and stays there.

        Raises:
            ValueError: out of range; nothing was changed.
        """
        self._need_power()
        seconds = _within("integration time", seconds, INTEGRATION_LIMITS, "s")
        self._integration_time = seconds
        self._fps = min(self._fps, self._fastest())
        self._report()

    @property
    def integrationTime(self) -> float:
        """Exposure of a frame in s."""
        return self._integration_time

    @property
    def fps(self) -> float:
        """Frames per second, 0.1 to 50, as far as the integration time allows."""
        return self._fps

    @fps.setter
    def fps(self, rate: float) -> None:
        self._need_power()
        rate = _within("fps", rate, FPS_LIMITS, "frames per second")
        if rate > self._fastest() + 1e-9:
            raise ValueError(
                f"fps can be at most {self._fastest():.4g} with an integration time of "
                f"{self._integration_time:g} s, not {rate:g}; shorten the integration time first"
            )
        self._fps = rate
        self._report()

    # What the camera sees

    @property
    def scene(self) -> str:
        """What the camera looks at: ``'sky'``, or ``'lamp'`` for wavelength calibration."""
        return self._scene

    @scene.setter
    def scene(self, name: str) -> None:
        if name not in SCENES:
            raise ValueError(f"there is no scene {name!r}; there are {', '.join(SCENES)}")
        self._scene = name
        self._forget_image()

    @property
    def wavelengths(self) -> npt.NDArray[np.float64]:
        """Wavelength in nm (air) of each spectral pixel at the middle of the line."""
        return self._wavelengths.copy()

    @property
    def temperature(self) -> float:
        """Temperature of the sensor in K; settles at 263.15 K within minutes."""
        return self._cooler.temperature(self._clock())

    # Frames

    def getFrame(self) -> npt.NDArray[np.uint16]:
        """Wait for the next frame: DN, 0 to 4095, shape (640, 320), spatial by spectral."""
        frame: npt.NDArray[np.uint16] = self.getFrames(1)[0]
        return frame

    def getFrames(self, count: int) -> npt.NDArray[np.uint16]:
        """Wait for the next ``count`` frames (1 to 500): DN, shape (count, 640, 320).

        Takes ``count / fps`` seconds, so a caller's timeout must be longer than that.
        """
        self._need_power()
        if not 1 <= count <= MOST_FRAMES:
            raise ValueError(f"count must be between 1 and {MOST_FRAMES}, not {count}")
        frames = np.empty((count, SPATIAL, SPECTRAL), dtype=np.uint16)
        for frame in frames:
            self._pace()
            frame[:] = self._sensor.read(
                self._light() if self._shutter_open else 0.0,
                self._integration_time,
                self.temperature,
            )
        self._last = frames
        self._report()
        return frames

    @property
    def lastFrames(self) -> npt.NDArray[np.uint16]:
        """The frames of the last ``getFrame`` or ``getFrames``, without waiting for new ones."""
        return self._last

    # Behind the scenes

    def _set_shutter(self, is_open: bool) -> None:
        self._need_power()
        self._shutter_open = is_open
        log.info("shutter %s", "open" if is_open else "closed")
        self._report()

    def _need_power(self) -> None:
        if not self._on:
            raise RuntimeError("the camera is off; it is on inside `with VNIRCamera() as vnir:`")

    def _fastest(self) -> float:
        """The highest frame rate that the integration time leaves room for."""
        return min(FPS_LIMITS[1], 1.0 / (self._integration_time + READOUT))

    def _pace(self) -> None:
        """Wait until the exposure that is due next has been read out.

        The camera exposes the next frame while the last one is on its way: a caller
        who is late by less than a frame finds it waiting; older ones are gone.
        """
        now, period = self._clock(), 1.0 / self._fps
        start = self._next_exposure if now - self._next_exposure < period else now
        self._next_exposure = start + period
        self._sleep(max(0.0, start + self._integration_time + READOUT - now))

    def _light(self) -> npt.NDArray[np.float32]:
        """Photo-electrons per second and pixel, now."""
        if self._image is None:
            self._image = self._render()
        if self._scene != "sky":
            return self._image
        drift = self._clock() - self._switched_on
        along = np.linspace(0.0, 1.0, SPATIAL)
        clouds = 0.6 + 0.25 * np.sin(2.0 * np.pi * (1.5 * along + 0.11 * drift))
        clouds += 0.15 * np.sin(2.0 * np.pi * (4.0 * along - 0.23 * drift))
        return self._image * clouds.astype(np.float32)[:, np.newaxis]

    def _render(self) -> npt.NDArray[np.float32]:
        """The scene on the sensor, at full brightness: line shape, smile, efficiency."""
        spectrum = see_through(SCENES[self._scene](), self.lens._line_width())
        spectrum *= BRIGHTNESS * quantum_efficiency(GRID)
        bend = SMILE * np.linspace(-1.0, 1.0, SPATIAL) ** 2
        # A line that bends to the red is seen by a pixel of a longer wavelength, so
        # the pixel of a given column sees what is `bend` to the blue of its own.
        rows = [np.interp(self._wavelengths - shift, GRID, spectrum) for shift in bend]
        return np.asarray(rows, dtype=np.float32)

    def _forget_image(self) -> None:
        self._image = None

    def _report(self) -> None:
        if self._updater is not None:
            self._updater.emit(
                "vnir",
                {
                    "temperature": self.temperature,
                    "fps": self._fps,
                    "integrationTime": self._integration_time,
                    "shutter": "open" if self._shutter_open else "closed",
                },
            )


def _within(what: str, value: float, limits: tuple[float, float], unit: str) -> float:
    """``value`` as a float; ValueError outside the limits, which NaN is too."""
    low, high = limits
    if not low <= value <= high:
        raise ValueError(f"{what} must be between {low:g} and {high:g} {unit}, not {value:g}")
    return float(value)
