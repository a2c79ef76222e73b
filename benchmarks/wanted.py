"""The requirements of the extra `bench`, one a line, for the Makefile to install one by one."""

from __future__ import annotations

from importlib import metadata


def main() -> None:
    for requirement in metadata.requires("runmacs-roc") or []:
        what, _, condition = requirement.partition(";")
        if "'bench'" in condition.replace('"', "'") and not what.startswith("runmacs-roc"):
            print(what.strip())


if __name__ == "__main__":
    main()
