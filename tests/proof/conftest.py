"""The process that forks what is killed, for a module's tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.proof.matrix import killer, one_authority


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", one_authority(tmp_path_factory.mktemp("authorities")))
        with killer() as process:
            yield process
