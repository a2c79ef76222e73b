"""A configuration folder for each test, and an environment without ROC in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runmacs.roc.config import OPTIONS

Write = Callable[[str | bytes], Path]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's configuration folder, empty."""
    for option in OPTIONS.values():
        monkeypatch.delenv(option.environment, raising=False)
    monkeypatch.delenv("ROC_CONFIG", raising=False)

    def user_config_dir(name: str, *, appauthor: bool) -> str:
        assert not appauthor, "on Windows the folder would be there twice, as roc\\roc"
        return str(tmp_path / name)

    monkeypatch.setattr("platformdirs.user_config_dir", user_config_dir)
    (tmp_path / "roc").mkdir()
    return tmp_path / "roc"


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes the user's configuration file."""

    def write(text: str | bytes) -> Path:
        path = folder / "config.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
