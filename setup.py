"""The optional C extension; everything else stands in pyproject.toml.

Without a compiler, on Windows, or where Python has no GIL, ROC is installed without it, and
does the same, slower.
"""

from __future__ import annotations

import os
import sysconfig

from setuptools import Extension, setup

SOURCES = "src/runmacs/roc/_c"


def extensions() -> list[Extension]:
    """The extension, where it can be."""
    if os.name != "posix" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return []
    parts = ("module", "frames", "outbox", "slice", "waiting")
    return [
        Extension(
            "runmacs.roc._native",
            [f"{SOURCES}/{part}.c" for part in parts],
            depends=[f"{SOURCES}/native.h"],
            optional=True,
        )
    ]


setup(ext_modules=extensions())
