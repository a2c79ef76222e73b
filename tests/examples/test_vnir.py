"""The simulated camera: does it behave as a real one would?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pytest
from camera import Lens, VNIRCamera
from light import LAMP_LINES
from sensor import (
    DOUBLING,
    FULL_SCALE,
    GAIN,
    OFFSET,
    READ_NOISE,
    Sensor,
    dark_current,
)

MIDDLE = slice(310, 330)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0.0
        self.now += seconds


class Updater:
    """Keeps what the camera emits."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, dict[str, object]]] = []

    def emit(self, sensorId: str, data: Mapping[str, object]) -> None:
        self.emitted.append((sensorId, dict(data)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vnir(clock: Clock) -> Iterator[VNIRCamera]:
    with VNIRCamera(clock=clock, sleep=clock.sleep) as camera:
        yield camera


def spectrum(vnir: VNIRCamera, rows: slice = MIDDLE) -> npt.NDArray[np.float64]:
    """What is above the dark signal, in DN, in some rows of an average of ten frames."""
    vnir.openShutter()
    bright = vnir.getFrames(10)
    vnir.closeShutter()
    light = bright.mean(axis=0) - vnir.getFrames(10).mean(axis=0)
    result: npt.NDArray[np.float64] = light[rows].mean(axis=0)
    return result


def centre(
    vnir: VNIRCamera, values: npt.NDArray[np.float64], expected: float, reach: float = 5.0
) -> float:
    """Centre of gravity of a line that is expected somewhere, in nm."""
    near = np.abs(vnir.wavelengths - expected) < reach
    return float(np.average(vnir.wavelengths[near], weights=values[near]))


# The sensor


def test_the_dark_current_doubles_every_seven_kelvin() -> None:
    assert DOUBLING == 7.0
    assert dark_current(280.0 + DOUBLING) == pytest.approx(2.0 * dark_current(280.0))


def test_the_dark_signal_follows_temperature_and_integration_time(
    vnir: VNIRCamera, clock: Clock
) -> None:
    vnir.setIntegrationTime(1.0)
    warm_at, warm = vnir.temperature, vnir.getFrame().mean() - OFFSET
    clock.sleep(30.0)
    cold_at, cold = vnir.temperature, vnir.getFrame().mean() - OFFSET
    vnir.setIntegrationTime(0.5)
    clock.sleep(1e6)
    vnir.setIntegrationTime(2.0)
    long = vnir.getFrame().mean() - OFFSET
    vnir.setIntegrationTime(1.0)
    short = vnir.getFrame().mean() - OFFSET

    # The sensor cools during the exposure of 1 s as well, which shifts both alike.
    assert warm / cold == pytest.approx(2.0 ** ((warm_at - cold_at) / DOUBLING), rel=0.1)
    assert long / short == pytest.approx(2.0, rel=0.02)


def test_the_noise_is_shot_noise_and_read_noise() -> None:
    """The photon transfer curve: variance over mean has the slope of one over the gain."""
    sensor = Sensor((400, 400), np.random.default_rng(7))
    for electrons in (0.0, 2_000.0, 20_000.0):
        first, second = (sensor.read(electrons, 1.0, 200.0).astype(float) for _ in range(2))
        variance = (first - second).var() / 2.0  # of one frame; the fixed pattern drops out
        expected = (electrons + READ_NOISE**2) / GAIN**2 + 1.0 / 12.0  # and rounding to DN
        assert variance == pytest.approx(expected, rel=0.03)


def test_bright_light_saturates_at_twelve_bits() -> None:
    frame = Sensor((50, 60), np.random.default_rng(7)).read(1e9, 1.0, 280.0)

    assert frame.dtype == np.uint16
    assert (frame == FULL_SCALE).all()
    assert FULL_SCALE == 2**12 - 1


def test_a_long_exposure_of_the_sky_saturates_in_part_only(vnir: VNIRCamera) -> None:
    vnir.openShutter()
    vnir.setIntegrationTime(0.1)
    frame = vnir.getFrame()

    assert frame.max() == FULL_SCALE
    assert 0.05 < (frame == FULL_SCALE).mean() < 0.95


def test_the_temperature_settles_exponentially(vnir: VNIRCamera, clock: Clock) -> None:
    start = vnir.temperature
    clock.sleep(30.0)
    after_one = vnir.temperature
    clock.sleep(1e6)
    end = vnir.temperature

    assert start == 295.15
    assert end == pytest.approx(263.15)
    assert (after_one - end) / (start - end) == pytest.approx(math.exp(-1.0))


# The spectra


@pytest.mark.parametrize("line", [435.8335, 546.0750, 696.5431, 763.5106, 912.2967])
def test_the_lines_of_the_lamp_are_where_they_should_be(vnir: VNIRCamera, line: float) -> None:
    assert line in dict(LAMP_LINES)
    vnir.scene = "lamp"

    assert centre(vnir, spectrum(vnir), line) == pytest.approx(line, abs=0.15)


def test_smile_bends_the_lines_to_the_red_at_the_ends_of_the_slit(vnir: VNIRCamera) -> None:
    vnir.scene = "lamp"
    end = centre(vnir, spectrum(vnir, slice(0, 10)), 546.075)
    middle = centre(vnir, spectrum(vnir), 546.075)

    assert end - middle == pytest.approx(0.4, abs=0.1)


@pytest.mark.parametrize(
    ("line", "depth"), [(486.134, 0.06), (656.281, 0.06), (761.0, 0.4)], ids=["F", "C", "A"]
)
def test_the_sky_shows_the_dark_lines(vnir: VNIRCamera, line: float, depth: float) -> None:
    values = spectrum(vnir, slice(0, 640))
    distance = np.abs(vnir.wavelengths - line)
    beside = values[(distance > 6.0) & (distance < 12.0)].mean()

    assert values[distance < 3.0].min() < (1.0 - depth) * beside


def test_a_lens_out_of_focus_widens_the_lines(vnir: VNIRCamera) -> None:
    vnir.scene = "lamp"
    sharp = spectrum(vnir)
    vnir.lens.focus = 0.5
    blurred = spectrum(vnir)

    assert vnir.lens.focus == 0.5
    assert blurred.max() < 0.6 * sharp.max()
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=0.02)


def test_wavelengths_belong_to_the_caller(vnir: VNIRCamera) -> None:
    vnir.wavelengths[:] = 0.0

    assert vnir.wavelengths.dtype == np.float64
    assert vnir.wavelengths.shape == (320,)
    assert (vnir.wavelengths[0], vnir.wavelengths[-1]) == (400.0, 1000.0)


# Shutter, frames, time


def test_a_closed_shutter_leaves_the_dark_signal(vnir: VNIRCamera) -> None:
    states = [vnir.shutterOpen]
    dark = vnir.getFrame()
    vnir.openShutter()
    states.append(vnir.shutterOpen)
    bright = vnir.getFrame()
    vnir.closeShutter()
    states.append(vnir.shutterOpen)

    assert states == [False, True, False]
    assert bright.mean() > 3.0 * dark.mean()
    assert vnir.getFrame().mean() == pytest.approx(dark.mean(), abs=1.0)


def test_frames_are_spatial_by_spectral(vnir: VNIRCamera) -> None:
    frame = vnir.getFrame()
    assert frame.dtype == np.uint16
    assert frame.shape == (640, 320)
    frames = vnir.getFrames(3)
    assert frames.shape == (3, 640, 320)
    assert np.array_equal(vnir.lastFrames, frames)


def test_before_the_first_frame_there_is_none(vnir: VNIRCamera) -> None:
    assert vnir.lastFrames.shape == (0, 640, 320)


def test_the_same_seed_gives_the_same_frames() -> None:
    def film(seed: int) -> npt.NDArray[np.uint16]:
        clock = Clock()
        with VNIRCamera(seed=seed, clock=clock, sleep=clock.sleep) as vnir:
            vnir.openShutter()
            return vnir.getFrames(3)

    assert np.array_equal(film(1), film(1))
    assert not np.array_equal(film(1), film(2))


def test_frames_come_at_the_frame_rate(vnir: VNIRCamera, clock: Clock) -> None:
    began = clock.now
    vnir.getFrames(20)
    assert clock.now - began == pytest.approx(19 / 10.0 + 0.012)

    clock.sleep(60.0)
    began = clock.now
    vnir.getFrames(2)  # after a pause, not two at once
    assert clock.now - began == pytest.approx(1 / 10.0 + 0.012)


def test_a_caller_who_is_a_little_late_keeps_the_frame_rate(vnir: VNIRCamera, clock: Clock) -> None:
    began = clock.now
    for _ in range(20):
        vnir.getFrame()
        clock.sleep(0.095)  # more than the 0.1 s of a frame leave beside the exposure
    assert clock.now - began == pytest.approx(19 / 10.0 + 0.012 + 0.095)


def test_a_long_integration_time_lowers_the_frame_rate(vnir: VNIRCamera) -> None:
    assert (vnir.fps, vnir.integrationTime) == (10.0, 0.01)
    vnir.setIntegrationTime(0.05)
    assert (vnir.fps, vnir.integrationTime) == (10.0, 0.05)
    vnir.setIntegrationTime(0.498)
    assert vnir.fps == pytest.approx(2.0)
    vnir.fps = vnir.fps  # its own value is always accepted
    vnir.setIntegrationTime(0.01)
    assert vnir.fps == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda vnir: vnir.setIntegrationTime(-0.02),
            "integration time must be between 0.0001 and 5 s, not -0.02",
        ),
        (lambda vnir: vnir.setIntegrationTime(math.nan), "not nan"),
        (lambda vnir: setattr(vnir, "fps", 0), "fps must be between 0.1 and 50"),
        (lambda vnir: setattr(vnir, "fps", 51), "fps must be between 0.1 and 50"),
        (lambda vnir: setattr(vnir.lens, "focus", 2.5), "focus must be between 0 and 2 mm"),
        (lambda vnir: setattr(vnir, "scene", "moon"), "there is no scene 'moon'; there are sky"),
        (lambda vnir: vnir.getFrames(0), "count must be between 1 and 500, not 0"),
        (lambda vnir: vnir.getFrames(501), "count must be between 1 and 500, not 501"),
    ],
)
def test_what_is_out_of_range_is_refused_and_changes_nothing(
    vnir: VNIRCamera, change: Callable[[VNIRCamera], object], sentence: str
) -> None:
    before = (vnir.fps, vnir.integrationTime, vnir.lens.focus, vnir.scene)
    with pytest.raises(ValueError, match=sentence):
        change(vnir)

    assert (vnir.fps, vnir.integrationTime, vnir.lens.focus, vnir.scene) == before


def test_a_frame_rate_that_the_integration_time_forbids_is_refused(vnir: VNIRCamera) -> None:
    vnir.setIntegrationTime(0.098)
    with pytest.raises(ValueError, match=r"at most 10 .* shorten the integration time first"):
        vnir.fps = 20


# On and off


def test_the_with_block_closes_the_shutter_whatever_happens(clock: Clock) -> None:
    camera = VNIRCamera(clock=clock, sleep=clock.sleep)
    with suppress(KeyboardInterrupt), camera:
        camera.openShutter()
        assert camera.shutterOpen
        raise KeyboardInterrupt

    assert not camera.shutterOpen
    clock.sleep(1e6)
    assert camera.temperature == pytest.approx(295.15)


def test_a_camera_that_is_off_says_so(clock: Clock) -> None:
    camera = VNIRCamera(clock=clock, sleep=clock.sleep)
    for use in (camera.openShutter, camera.getFrame, lambda: camera.setIntegrationTime(0.02)):
        with pytest.raises(RuntimeError, match="the camera is off"):
            use()


def test_nothing_but_this_can_be_reached_from_afar(vnir: VNIRCamera) -> None:
    assert {name for name in dir(vnir) if not name.startswith("_")} == {
        "closeShutter",
        "fps",
        "getFrame",
        "getFrames",
        "integrationTime",
        "lastFrames",
        "lens",
        "openShutter",
        "scene",
        "setIntegrationTime",
        "shutterOpen",
        "temperature",
        "wavelengths",
    }
    assert {name for name in dir(Lens) if not name.startswith("_")} == {
        "LIMITS",
        "SHARP",
        "focus",
    }


# Status


def test_the_status_updater_is_made_with_no_argument_and_told_of_every_change(
    clock: Clock,
) -> None:
    made: list[Updater] = []

    def create() -> Updater:
        made.append(Updater())
        return made[-1]

    with VNIRCamera(createStatusUpdater=create, clock=clock, sleep=clock.sleep) as vnir:
        vnir.openShutter()
        vnir.setIntegrationTime(0.498)

    (updater,) = made
    assert {sensor for sensor, _ in updater.emitted} == {"vnir"}
    shutter = [data["shutter"] for _, data in updater.emitted]
    assert shutter == ["closed", "open", "open", "closed"]
    assert updater.emitted[0][1] == {
        "temperature": 295.15,
        "fps": 10.0,
        "integrationTime": 0.01,
        "shutter": "closed",
    }
    assert updater.emitted[2][1]["fps"] == pytest.approx(2.0)
