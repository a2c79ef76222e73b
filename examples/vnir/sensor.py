"""The sensor: photo-electrons in, counts out; and the cooler that it sits on.

Rules:

* Charge in electrons, time in s, temperature in K, output in DN (digital numbers).
* Time and random numbers are arguments, so that a seed gives the same frames again.

The dark current doubles every ``DOUBLING`` kelvin: 5 K to 8 K are usual for silicon
(A. Theuwissen, harvestimaging.com, September 2009). Shot noise and read noise are
drawn together from one normal distribution; with a read noise of 16 electrons
it cannot be told from Poisson's at any signal.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = [
    "DOUBLING",
    "FULL_SCALE",
    "GAIN",
    "OFFSET",
    "READ_NOISE",
    "Cooler",
    "Sensor",
    "dark_current",
    "quantum_efficiency",
]

FULL_SCALE = 4095  # DN, 12 bit
OFFSET = 100.0  # DN, so that noise around zero is not cut off
GAIN = 8.0  # electrons per DN
READ_NOISE = 16.0  # electrons, rms

REFERENCE_TEMPERATURE = 293.15  # K
REFERENCE_CURRENT = 4000.0  # electrons per second and pixel
DOUBLING = 7.0  # K


def dark_current(temperature: float) -> float:
    """Electrons per second that a pixel at ``temperature`` (K) collects in the dark.

    >>> round(dark_current(300.15) / dark_current(293.15), 6)
    2.0
    """
    return REFERENCE_CURRENT * math.exp2((temperature - REFERENCE_TEMPERATURE) / DOUBLING)


def quantum_efficiency(wavelengths: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Electrons per photon of a typical silicon sensor, wavelengths in nm."""
    rise = 1.0 / (1.0 + np.exp((410.0 - wavelengths) / 25.0))
    fall = 1.0 / (1.0 + np.exp((wavelengths - 850.0) / 70.0))
    return 0.65 * rise * fall


class Sensor:
    """A silicon array of ``shape`` pixels, each a little different from the others."""

    def __init__(self, shape: tuple[int, int], rng: np.random.Generator) -> None:
        self.shape = shape
        self._rng = rng
        self._sensitivity = self._pattern(0.01)
        self._darkness = self._pattern(0.08)

    def _pattern(self, spread: float) -> npt.NDArray[np.float32]:
        noise = self._rng.standard_normal(self.shape, dtype=np.float32)
        pattern: npt.NDArray[np.float32] = np.maximum(1.0 + np.float32(spread) * noise, 0.0)
        return pattern

    def read(
        self,
        light: npt.NDArray[np.float32] | float,
        integration_time: float,
        temperature: float,
    ) -> npt.NDArray[np.uint16]:
        """One frame in DN, 0 to ``FULL_SCALE``, of ``shape``.

        ``light`` is in photo-electrons per second and pixel.
        """
        charge = self._sensitivity * (light * np.float32(integration_time))
        charge += self._darkness * np.float32(dark_current(temperature) * integration_time)
        noise = self._rng.standard_normal(self.shape, dtype=np.float32)
        noise *= np.sqrt(charge + np.float32(READ_NOISE**2))
        counts = (charge + noise) / np.float32(GAIN) + np.float32(OFFSET)
        frame: npt.NDArray[np.uint16] = np.clip(np.rint(counts), 0, FULL_SCALE).astype(np.uint16)
        return frame


class Cooler:
    """A Peltier cooler: the temperature settles exponentially at what was asked for."""

    def __init__(self, temperature: float, time_constant: float) -> None:
        self._from = self._towards = temperature
        self._since = 0.0
        self._time_constant = time_constant

    def temperature(self, now: float) -> float:
        """The sensor's temperature in K at the time ``now`` (s)."""
        left = math.exp(-max(0.0, now - self._since) / self._time_constant)
        return self._towards + (self._from - self._towards) * left

    def settle(self, temperature: float, now: float) -> None:
        """From ``now`` on, go towards ``temperature`` (K)."""
        self._from = self.temperature(now)
        self._towards = temperature
        self._since = now
