"""A Docker daemon of a test's own, which may be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import pytest
from walls import docker_image

_SECONDS, _POLL_SECONDS = 30.0, 0.05


class PrivateDockerd:
    """`with PrivateDockerd() as daemon`: it answers, and has the sandbox image.

    In a network namespace of its own, because it would take the bridge of the machine's daemon.
    """

    def __init__(self) -> None:
        if os.getuid() != 0 or shutil.which("dockerd") is None or shutil.which("unshare") is None:
            pytest.skip("dockerd, unshare and root are needed")
        self.image = docker_image()
        self._folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
        self.address = f"unix://{self._folder}/docker.sock"
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        load = f"docker save {self.image} | docker -H {self.address} load"
        subprocess.run(["sh", "-c", load], check=True, capture_output=True)
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            self.tell("rm", "-f", *self.tell("ps", "-aq").split())
            self._process.terminate()
            self._process.wait()
        # A daemon that was killed has left mounts, of network namespaces and of containers.
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in mounts[::-1]:
            if mount.startswith(f"{self._folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Returns when it answers."""
        folder = self._folder
        command = ["unshare", "--net", "dockerd", "--host", self.address, "--bridge", "none"]
        command += ["--iptables=false", "--data-root", f"{folder}/data", "--group", "root"]
        command += ["--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            done = subprocess.run(
                ["docker", "-H", self.address, "info"], capture_output=True, check=False
            )
            if done.returncode == 0:
                return
            if self._process.poll() is not None:
                said = (folder / "log").read_text()[-500:]
                pytest.skip(f"dockerd does not start here: {said}")
            time.sleep(_POLL_SECONDS)
        pytest.fail("dockerd never answered")

    def stop(self) -> None:
        """Ends it in good order, and all of its containers."""
        self._process.terminate()
        self._process.wait()

    def kill(self) -> None:
        """kill -9: no goodbye to its clients."""
        self._process.kill()
        self._process.wait()
        # Its containerd ends with it, but may stay a zombie where nobody waits for orphans, which
        # the next one would take for alive.
        (self._folder / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)

    def hang(self) -> None:
        """Connections stay, nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Goes on with what has come in meanwhile."""
        self._process.send_signal(signal.SIGCONT)

    def tell(self, *words: str) -> str:
        """What a command of the docker program prints, of this daemon."""
        command = ["docker", "-H", self.address, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
