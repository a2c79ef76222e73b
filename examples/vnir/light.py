"""The light in front of the camera: two spectra, and what the optics make of them.

Rules:

* Wavelengths are in nm, in air; spectra are photons per second and nm, relative
  to the brightest part of the sky, on the fixed ``GRID``.
* Pure functions; nothing here knows of sensors, frames or time.

Sources: mercury lines from Sansonetti, Salit and Reader, Appl. Opt. 35, 74 (1996);
argon lines from the NIST Atomic Spectra Database; solar lines and their equivalent
widths from Moore, Minnaert and Houtgast, The Solar Spectrum, NBS Monograph 61 (1966).
The lamp's relative intensities and the bands of oxygen and water vapour are
plausible, not measured.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["GRID", "LAMP_LINES", "SCENES", "SOLAR_LINES", "lamp", "see_through", "sky"]

STEP = 0.05
GRID: npt.NDArray[np.float64] = np.arange(370.0, 1030.0 + STEP / 2, STEP)

# (wavelength in nm, intensity relative to the green mercury line)
LAMP_LINES: tuple[tuple[float, float], ...] = (
    (404.6565, 0.45),
    (435.8335, 0.80),
    (546.0750, 1.00),
    (576.9610, 0.22),
    (579.0670, 0.24),
    (696.5431, 0.28),
    (706.7218, 0.22),
    (727.2936, 0.08),
    (738.3980, 0.25),
    (750.3869, 0.45),
    (763.5106, 0.70),
    (772.3761, 0.30),
    (794.8176, 0.28),
    (801.4786, 0.30),
    (811.5311, 0.60),
    (826.4522, 0.35),
    (842.4648, 0.45),
    (852.1442, 0.18),
    (912.2967, 0.60),
    (922.4499, 0.16),
    (965.7786, 0.18),
)

# (wavelength in nm, equivalent width in nm)
SOLAR_LINES: tuple[tuple[float, float], ...] = (
    (410.1748, 0.3133),  # h, hydrogen delta
    (422.6740, 0.1476),  # g, calcium
    (434.0475, 0.2855),  # hydrogen gamma
    (486.1342, 0.3680),  # F, hydrogen beta
    (516.7327, 0.0935),  # b4, magnesium
    (517.2698, 0.1259),  # b2, magnesium
    (518.3619, 0.1584),  # b1, magnesium
    (588.9973, 0.0752),  # D2, sodium
    (589.5940, 0.0564),  # D1, sodium
    (656.2808, 0.4020),  # C, hydrogen alpha
    (849.8062, 0.1470),  # calcium triplet
    (854.2144, 0.3670),
    (866.2170, 0.2600),
)

# (centre in nm, standard deviation in nm, optical depth at the centre)
AIR_BANDS: tuple[tuple[float, float, float], ...] = (
    (687.5, 1.2, 0.45),  # B, oxygen
    (718.5, 3.5, 0.18),  # water vapour
    (761.0, 1.9, 1.40),  # A, oxygen
    (820.0, 5.0, 0.20),  # water vapour
    (937.0, 13.0, 0.90),  # water vapour
)

SUN_TEMPERATURE = 5772.0
SECOND_RADIATION_CONSTANT = 1.438777e7  # nm K
SOLAR_LINE_SIGMA = 0.08


def sky() -> npt.NDArray[np.float64]:
    """Daylight from a cloud: the Sun's black body, its lines, and the air's bands."""
    photons = GRID**-4 / np.expm1(SECOND_RADIATION_CONSTANT / (GRID * SUN_TEMPERATURE))
    photons /= photons.max()
    depth = np.zeros_like(GRID)
    for centre, width in SOLAR_LINES:
        depth += _gaussian(centre, SOLAR_LINE_SIGMA) * width
    for centre, sigma, strength in AIR_BANDS:
        depth += strength * np.exp(-0.5 * ((GRID - centre) / sigma) ** 2)
    return photons * np.exp(-depth)


def lamp() -> npt.NDArray[np.float64]:
    """A mercury-argon pencil lamp, as used for wavelength calibration."""
    photons = np.zeros_like(GRID)
    for wavelength, intensity in LAMP_LINES:
        # A line is narrower than the grid: shared between its two neighbours, so
        # that its centre of gravity stays where the line is.
        place = (wavelength - GRID[0]) / STEP
        left = int(place)
        share = place - left
        photons[left] += (1.0 - share) * intensity * 4.0 / STEP
        photons[left + 1] += share * intensity * 4.0 / STEP
    return photons


SCENES = {"sky": sky, "lamp": lamp}


def see_through(spectrum: npt.NDArray[np.float64], width: float) -> npt.NDArray[np.float64]:
    """The spectrum behind optics whose line shape is a Gaussian ``width`` nm wide (FWHM)."""
    sigma = width / 2.3548200450309493
    reach = int(5.0 * sigma / STEP) + 1
    offsets = np.arange(-reach, reach + 1) * STEP
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    return np.convolve(spectrum, kernel / kernel.sum(), mode="same")


def _gaussian(centre: float, sigma: float) -> npt.NDArray[np.float64]:
    """A Gaussian of area one, in 1/nm."""
    norm = sigma * np.sqrt(2.0 * np.pi)
    shape: npt.NDArray[np.float64] = np.exp(-0.5 * ((GRID - centre) / sigma) ** 2) / norm
    return shape
