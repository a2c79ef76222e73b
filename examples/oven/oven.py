"""An oven, simulated, for operators to practise with; shared with `roc share oven:Oven`."""

import logging

from runmacs.roc import RocStatusUpdater

log = logging.getLogger("oven.control")


class Oven:
    """An oven for filters. It heats at once, and blows its fuse when it is asked for too much."""

    limit = 200.0  # °C

    def __init__(self) -> None:
        self.fuse = "good"
        self._temperature = 20.0
        self._updater = RocStatusUpdater(node="oven")
        self._updater.describe("oven.temperature", unit="°C", limits=(20, self.limit))
        self._tell()

    @property
    def temperature(self) -> float:
        """Inside, in °C."""
        return self._temperature

    def heat(self, to: float) -> float:
        """Heat to so many °C, and return the temperature."""
        if self.fuse == "blown":
            raise RuntimeError("there is no current")
        log.info("heating to %g °C", to)
        if to > self.limit:
            self.fuse = "blown"
            log.error("fuse blown: %g °C is beyond the limit of %g °C", to, self.limit)
            raise ValueError(f"{to:g} °C is too hot")
        self._temperature = to
        self._tell()
        return to

    def replace_fuse(self) -> None:
        """Put in a new fuse."""
        log.warning("fuse replaced")
        self.fuse = "good"

    def _tell(self) -> None:
        self._updater.emit("oven", {"temperature": self._temperature})
