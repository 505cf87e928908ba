"""A cluster of real processes in a directory of its own, over ipc, for the suites in test/net. Every process is ended by its own id."""
import json
import os
import signal
import subprocess
import tempfile
import time

BUILD = os.environ.get("BUILD", "build")


class LiveCluster:
    """options: what the controller and the nodes are given besides, e.g. a filter; none: they wait for `vfmctl load`."""

    def __init__(self, *options):
        self.directory = tempfile.TemporaryDirectory()
        self.options = list(options)
        self.processes = []
        self.endpoint = "ipc://" + self.path("controller")

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def start(self, program, *args, options=None):
        with open(self.path(f"log-{len(self.processes)}"), "w", encoding="utf-8") as log:
            process = subprocess.Popen([f"{BUILD}/bin/{program}", *args, *(self.options if options is None else options)], stdout=log,
                                       stderr=log)
        process.log = log.name
        self.processes.append(process)
        return process

    def controller(self, *args, options=None):
        return self.start("vfm-controller", "--bind", self.endpoint, "--store", self.path("store"), *args, options=options)

    def node(self, name, *args, options=None):
        endpoint = f"ipc://{self.path(name)}-{len(self.processes)}"
        return self.start("vfm-node", "--name", name, "--controller", self.endpoint, "--bind", endpoint, *args, options=options)

    def input(self, capture, *args, options=None):
        return self.node("input", "--steer-only", "--capture", capture, "--verdicts", self.path("verdicts"), "--journal",
                         self.path("journal"), *args, options=options)

    @staticmethod
    def said(process):
        with open(process.log, encoding="utf-8") as f:
            return f.read()

    def run_ctl(self, *args):
        return subprocess.run([f"{BUILD}/bin/vfmctl", "--controller", self.endpoint, *args], capture_output=True, text=True, timeout=60)

    def ctl(self, *args):
        """The JSON answer, None: an error."""
        done = self.run_ctl("--json", *args)
        return json.loads(done.stdout) if done.returncode == 0 else None

    @staticmethod
    def wait(what, condition, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.01)
        raise AssertionError(f"{what}: not within {seconds} s")

    def in_sync(self, shards):
        """Every shard has an owner and a standby."""
        status = self.ctl("status")
        found = status["shards"] if status else []
        return len(found) == shards and all(s["in_sync"] for s in found)

    def released(self):
        try:
            with open(self.path("verdicts"), "rb") as f:
                return f.read().count(b"\n")
        except FileNotFoundError:
            return 0

    def end(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        process.wait(timeout=20)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.directory.cleanup()
