"""A Slurm cluster on loopback, from Debian's packages: munged, slurmctld and two virtual nodes, for one test module.

`apt-get install slurm-wlm munge` and root are needed; `why_not` says what is missing. Nothing but 127.0.0.1 is used,
and everything lies in one folder.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
SECONDS_TO_COME_UP = 600.0

CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool.%n
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,requeue_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=5
KillWait=5
MinJobAge=300
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first_port}-{last_port}] CPUs=2 RealMemory=4000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why no cluster can be brought up here, or None."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        return f"Slurm is not installed here ({', '.join(missing)} missing): apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    return None


class Cluster:
    """Two nodes of two cores each."""

    def __init__(self, folder: Path) -> None:
        """Start the daemons. Raises `RuntimeError` with the last lines of their logs if they do not come up."""
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]),
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        folder.chmod(0o755)
        (folder / "state").mkdir()
        first = _free_ports()
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=socket.gethostname().split(".")[0],
                folder=folder,
                controller_port=first,
                first_port=first + 1,
                last_port=first + len(NODES),
            )
        )
        try:
            self._start_munge()
            self._start("slurmctld", "slurmctld", "-D")
            for node in NODES:
                self.start_node(node)
            self._wait_for_nodes()
        except BaseException:
            self.stop()
            raise

    def start_node(self, node: str) -> None:
        """Start a node, also one that has died."""
        self._start(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """Let a node die with everything that runs on it; the controller finds out by itself."""
        daemon = self._daemons.pop(node)
        daemon.kill()
        self._kill_steps(node)
        daemon.wait()

    def ask(self, *words: str) -> str:
        """What one of Slurm's commands prints."""
        return subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=True, timeout=600
        ).stdout

    def jobs(self) -> list[dict[str, str]]:
        """All jobs that Slurm remembers: id, name, state and nodes."""
        names = ("id", "name", "state", "nodes")
        lines = self.ask("squeue", "--states=all", "--noheader", "--format=%A|%j|%T|%N").splitlines()
        return [dict(zip(names, line.split("|"), strict=True)) for line in lines]

    def stop(self) -> None:
        """Cancel all jobs and end all daemons."""
        if "slurmctld" in self._daemons:
            with suppress(subprocess.SubprocessError):
                self.ask("scancel", "--user=root")
        for name in reversed(list(self._daemons)):
            process = self._daemons.pop(name)
            if name in NODES:
                self._kill_steps(name)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        files = {"socket": "socket", "log-file": "log", "pid-file": "pid", "seed-file": "seed"}
        flags = [f"--{flag}={self.folder}/munge.{ending}" for flag, ending in files.items()]
        self._start("munge", "munged", "--foreground", "--force", f"--key-file={key}", *flags)
        deadline = time.monotonic() + SECONDS_TO_COME_UP
        while not (self.folder / "munge.socket").exists():
            self._check(deadline, "munge")

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                words, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def _wait_for_nodes(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_COME_UP
        while True:
            with suppress(subprocess.SubprocessError):
                states = self.ask("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
                if sorted(states) == [f"{node} idle" for node in NODES]:
                    return
            self._check(deadline, *self._daemons)

    def _check(self, deadline: float, *names: str) -> None:
        time.sleep(0.1)
        dead = [name for name in names if self._daemons[name].poll() is not None]
        if dead or time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("*.out")))
            raise RuntimeError(f"the cluster did not come up (ended: {dead}):\n{logs}")

    def _kill_steps(self, node: str) -> None:
        """Kill everything that jobs run on a node, and the daemons that watch over it (they are nobody's children)."""
        marks = (f"SLURM_CONF={self.folder}/slurm.conf".encode(), f"SLURMD_NODENAME={node}".encode())
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and {*marks} <= {*(entry / "environ").read_bytes().split(b"\0")}:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    if Path(f"/proc/{parent}/comm").read_text().strip() == "slurmstepd":
                        os.kill(parent, signal.SIGKILL)
                    os.kill(int(entry.name), signal.SIGKILL)


def _free_ports() -> int:
    """The first of three neighbouring free ports."""
    for first in range(21000 + os.getpid() % 5000, 40000, 3):
        sockets = [socket.socket() for _ in range(1 + len(NODES))]
        try:
            for number, each in enumerate(sockets):
                each.bind(("127.0.0.1", first + number))
        except OSError:
            continue
        else:
            return first
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError("there are no free ports.")
