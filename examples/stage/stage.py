"""A translation stage, shared: the first program of the README."""

from runmacs.roc.servers import run_simple_server


class Stage:
    """A stage that moves along one axis."""

    limit = 50.0  # mm, either way

    def __init__(self) -> None:
        self.position = 0.0  # mm

    def move(self, by: float) -> float:
        """Move by so many millimetres, and return where it is then."""
        target = self.position + by
        if abs(target) > self.limit:
            raise ValueError(f"{target} mm is beyond the limit of {self.limit} mm")
        self.position = target
        return self.position


if __name__ == "__main__":
    run_simple_server("stage", Stage())
