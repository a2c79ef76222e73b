"""Log records on disk: files of JSON Lines, written, kept and read back.

``names`` knows the files of a directory, ``recovery`` what a crash left, ``writer`` writes,
``ring`` holds what has no room on the disk, ``housekeeping`` closes, compresses and removes,
``limits`` and ``times`` read what people write, ``query`` reads back.
"""

from __future__ import annotations
