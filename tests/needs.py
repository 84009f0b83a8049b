"""What some tests need besides Python packages: skipped with a clear line where it is missing, or demanded."""

from __future__ import annotations

import os
import shutil

import pytest

DEMANDED = "TEST_ALL"  # set by `make test-all`: what is missing fails instead of being skipped


def program(name: str, package: str) -> str:
    """Give the path of a program, or skip the test."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")  # where Debian keeps servers
    if found is None:
        sentence = f"{name} is not installed (Debian: apt install {package}); `make test-all` installs it"
        if os.environ.get(DEMANDED):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found
