"""The page for logs, status and objects, and the door for programs that speak HTTP.

An ordinary client of the public protocol, started anywhere: `roc web`. It needs the extra
``web``: ``pip install "runmacs-roc[web]"``.

``hub`` follows the broker (``statusfeed``, ``logfeed``, ``objectfeed``) and keeps what a page
begins with; ``outbox`` is what one page has still to get. ``guard`` decides who may ask at all.
``door`` answers programs, ``pages`` and ``socket`` the browser, ``serving`` runs it all.
"""

from __future__ import annotations

__all__: list[str] = []
