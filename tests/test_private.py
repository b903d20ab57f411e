"""The private engine for real, in a network of its own; and the packages that it comes from.

Two dockerds in one network share its iptables chains, so the one under test gets another.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

from labkit import cgroups, packages, private
from labkit.errors import EngineStopped, NoEngine
from tests.conftest import missing
from tests.engines.base import TAG, tiny_base

TOP = Path(__file__).parents[1]


# The engine


@pytest.fixture(scope="module")
def network():
    """A process that holds an empty network namespace open; its /proc path of it."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        missing("only root may start dockerd, on Linux")
    if not packages.find("dockerd"):
        missing("dockerd is not installed")
    script = "ip link set lo up 2>&1; echo ready; exec sleep infinity"
    command = ["unshare", "--net", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        while holder.stdout.readline().strip() != "ready":
            assert holder.poll() is None
        yield f"/proc/{holder.pid}/ns/net"
        holder.kill()


@pytest.fixture
def home(tmp_path, monkeypatch, network):
    """LABKIT_HOME in a temporary folder; whatever was started for it is stopped."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    labkit(network, "stop")


def command(network, action):
    own = [sys.executable, "-m", "labkit.private", action]
    return ["nsenter", f"--net={network}", *own]


def labkit(network, action):
    """What `python -m labkit.private ACTION` prints, run in that network by another process."""
    done = subprocess.run(command(network, action), cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def processes(word):
    """The pids of the processes that have the word in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(word) in words and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def pid():
    return int((private.run_folder() / "pid").read_text())


def test_started_twice_is_one_engine(home, network):
    first = labkit(network, "start")
    assert first == private.host() == private.running()
    assert labkit(network, "start") == first
    assert processes(f"--data-root\0{home}/engine") == [pid()]


def test_two_callers_at_once_get_one_engine(home, network):
    calls = [
        subprocess.Popen(command(network, "start"), cwd=TOP, stdout=subprocess.PIPE, text=True)
        for _caller in range(3)
    ]
    assert {call.communicate()[0].strip() for call in calls} == {private.host()}
    assert processes(f"--data-root\0{home}/engine") == [pid()]


def test_only_its_user_may_come_in(home, network):
    socket = labkit(network, "start").removeprefix("unix://")
    assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(private.run_folder()).st_mode) == 0o700


def test_build_logs_are_not_cut(home, network):
    labkit(network, "start")
    environment = Path(f"/proc/{pid()}/environ").read_text().split("\0")
    assert "BUILDKIT_STEP_LOG_MAX_SIZE=-1" in environment
    assert "BUILDKIT_STEP_LOG_MAX_SPEED=-1" in environment


def test_stop_leaves_nothing_but_the_data(home, network):
    labkit(network, "start")
    assert labkit(network, "stop") == "True"
    assert private.running() is None
    assert processes(private.run_folder()) == processes(home) == []
    assert str(home) not in Path("/proc/mounts").read_text()
    assert not private.run_folder().exists()
    assert (home / "engine/image").is_dir()
    assert labkit(network, "stop") == ""  # there is none any more


def test_stop_and_start_keep_the_data(home, network):
    labkit(network, "start")
    tiny_base(docker.DockerClient(private.host()))
    labkit(network, "stop")
    labkit(network, "start")
    assert docker.DockerClient(private.host()).images.get(TAG)


def test_a_killed_engine_is_started_again(home, network):
    labkit(network, "start")
    killed = pid()
    kill(killed)
    assert private.running() is None
    labkit(network, "start")
    assert private.running() and pid() != killed


def test_stop_ends_what_a_killed_engine_left(home, network):
    client = docker.DockerClient(labkit(network, "start"))
    image = tiny_base(client)
    command = ["sleep", "54321"]
    client.containers.run(image, command, detach=True, network_mode="none", stop_signal="KILL")
    kill(pid())
    assert processes("sleep\x0054321")
    assert labkit(network, "stop") == "True"
    assert processes("sleep\x0054321") == processes(private.run_folder()) == []
    assert str(home) not in Path("/proc/mounts").read_text()


def kill(number):
    """Kill a process and wait until it is gone."""
    os.kill(number, signal.SIGKILL)
    while number in processes(private.run_folder()):
        time.sleep(0.05)


def test_stop_leaves_a_stranger_with_our_old_pid_alone(home, network):
    private.run_folder().mkdir(mode=0o700)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (private.run_folder() / "pid").write_text(str(stranger.pid))
        labkit(network, "stop")
        assert stranger.poll() is None
        private.run_folder().mkdir(mode=0o700)
        (private.run_folder() / "pid").write_text(str(stranger.pid))
        labkit(network, "start")
        assert stranger.poll() is None
        stranger.kill()


def test_a_long_home_is_no_matter(home, network, monkeypatch):
    monkeypatch.setenv("LABKIT_HOME", str(home / ("long" * 50) / ("path" * 50)))
    try:
        assert labkit(network, "start") == private.running()
    finally:
        labkit(network, "stop")


def test_an_engine_that_cannot_start_says_why(home, network, monkeypatch):
    monkeypatch.setattr(private, "_system_config", lambda: {"no-such-setting": True})
    home.mkdir()
    with pytest.raises(EngineStopped) as caught:
        private.start()
    assert "no-such-setting" in caught.value.tried
    assert str(home) in caught.value.next_step


# What needs no engine


def test_without_dockerd_the_line_is_named(monkeypatch):
    monkeypatch.setattr(private, "find", lambda program: None)
    monkeypatch.setattr(private, "install_line", lambda: "sudo get docker")
    with pytest.raises(NoEngine) as caught:
        private._dockerd()
    assert "sudo get docker" in caught.value.next_step


def test_without_root_an_installed_engine_is_stopped(monkeypatch):
    monkeypatch.setattr(private, "find", lambda program: "/usr/sbin/dockerd")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EngineStopped) as caught:
        private._dockerd()
    assert "sudo systemctl start docker" in caught.value.next_step


@pytest.mark.parametrize("value, expected", [("/x", "/x/labkit"), ("", "~/.local/share/labkit")])
def test_home_follows_xdg(monkeypatch, value, expected):
    monkeypatch.delenv("LABKIT_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", value)
    assert private.home() == Path(expected).expanduser()


def test_the_systems_settings_are_kept_but_not_its_places(monkeypatch):
    text = json.dumps({"registry-mirrors": ["https://m"], "data-root": "/d", "hosts": []})
    monkeypatch.setattr(Path, "read_text", lambda path: text)
    assert private._system_config() == {"registry-mirrors": ["https://m"]}


@pytest.fixture
def nested():
    """A real cgroup (v2) that is not the root, with a process in it, as a container's is."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [Path(where) for _device, where, kind, *_rest in mounts if kind == "cgroup2"]
    if os.geteuid() != 0 or not roots or not (roots[0] / "cgroup.controllers").read_text():
        pytest.skip("needs root and a cgroup v2 that has controllers")
    handed_on = roots[0] / "cgroup.subtree_control"
    before = handed_on.read_text().split()
    names = (roots[0] / "cgroup.controllers").read_text().split()
    try:
        handed_on.write_text(" ".join(f"+{name}" for name in names))
    except OSError as error:
        pytest.skip(f"this cgroup cannot hand on its controllers: {error}")
    folder = roots[0] / "labkit-test"
    folder.mkdir()
    with subprocess.Popen(["sleep", "60"]) as process:
        (folder / "cgroup.procs").write_text(str(process.pid))
        yield folder
        process.kill()
    for place in (folder / "labkit", folder):
        if place.exists():
            place.rmdir()
    handed_on.write_text(" ".join(f"-{name}" for name in names if name not in before))


def test_cgroups_are_made_ready_where_processes_are_in_the_way(nested):
    cgroups.make_ready(nested)
    controllers = (nested / "cgroup.controllers").read_text().split()
    assert (nested / "cgroup.subtree_control").read_text().split() == controllers
    assert (nested / "cgroup.procs").read_text() == ""
    assert (nested / "labkit/cgroup.procs").read_text() != ""


def test_cgroups_without_the_need_are_left_alone(tmp_path):
    cgroups.make_ready(tmp_path)  # as cgroup v1 looks
    assert list(tmp_path.iterdir()) == []


# The packages


@pytest.mark.parametrize(
    "manager, line",
    [
        ("apt-get", "sudo apt-get update && sudo apt-get install -y docker.io iptables"),
        ("dnf", "sudo dnf install -y moby-engine"),
        ("pacman", "sudo pacman -S --needed docker"),
        ("zypper", "sudo zypper install -y docker"),
        ("brew", "brew install --cask docker-desktop"),
        ("none", ""),
    ],
)
def test_the_line_of_each_package_manager(monkeypatch, manager, line):
    monkeypatch.setattr(packages, "find", lambda name: name if name == manager else None)
    monkeypatch.setattr(packages, "_known", lambda names: set())
    assert packages.install_line().startswith(line)
    assert bool(packages.install_line()) == bool(line)


def test_docker_from_elsewhere_is_not_mixed_with_the_distributions(monkeypatch):
    monkeypatch.setattr(packages, "find", lambda name: name if name == "dockerd" else None)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert [name for name in packages.missing_packages() if name.startswith("docker")] == []


def test_without_root_nothing_is_installed(monkeypatch):
    monkeypatch.setattr(packages, "may_install", lambda: False)
    with pytest.raises(NoEngine) as caught:
        packages.install()
    assert caught.value.next_step


@pytest.fixture
def policy(tmp_path):
    """The file that keeps services from starting, in another place; the shell that makes it."""
    file = tmp_path / "policy-rc.d"
    script = packages._QUIETLY.replace("/usr/sbin/policy-rc.d", str(file))
    return file, script.replace("/run/systemd/system", str(tmp_path / "none"))


def quietly(policy, *words):
    return subprocess.run(["sh", "-c", policy[1], "sh", *words], capture_output=True, text=True)


def test_services_are_kept_from_starting_while_packages_are_installed(policy):
    assert "exit 101" in quietly(policy, "cat", str(policy[0])).stdout
    assert not policy[0].exists()


def test_the_file_goes_also_where_the_installation_fails(policy):
    assert quietly(policy, "sh", "-c", "exit 7").returncode == 7
    assert not policy[0].exists()


def test_a_policy_of_the_machines_own_stays(policy):
    policy[0].write_text("#!/bin/sh\nexit 0\n")
    quietly(policy, "true")
    assert policy[0].read_text() == "#!/bin/sh\nexit 0\n"
