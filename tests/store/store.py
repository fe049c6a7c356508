#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Images and the VMs that begin with them: made from the machine's own mirror, started, logged into, removed.

The image is made once and kept in the user's cache, as guests are, until what it is made by changes. With --long: two
VMs beside each other, a reboot, packages from the archive and real clients, a snapshot and back, memory that goes back,
and an image of one's own.
"""

import atexit
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "cli"), str(ROOT / "tests" / "lib")]

from cli import COSM, FAILED, USAGE, cosm, refused  # noqa: E402
import tap  # noqa: E402
from tap import check, check_equal, test  # noqa: E402
import world  # noqa: E402  (finds tools/ too)
import guest  # noqa: E402
import store_image  # noqa: E402
from console import Console  # noqa: E402

LONG = "--long" in sys.argv
SECONDS = 900  # for a Debian to answer, on a machine that does much else
MADE_BY = ["installer.sh", "install.sh", "firstboot.sh", "clock.sh", "installer.c", "build.c", "apt.c"]
KEPT_SECONDS = 86400  # an image of other files than these
IMAGE = SUITE = None  # see ensure_image
HOME = pathlib.Path(tempfile.mkdtemp(prefix="cosm-store-"))
CACHE = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
DATA = HOME / "data" / "cosm"
os.environ |= {"XDG_STATE_HOME": str(HOME / "state"), "XDG_RUNTIME_DIR": str(HOME / "run"),
               "XDG_DATA_HOME": str(HOME / "data"), "XDG_CACHE_HOME": CACHE}
(HOME / "run").mkdir(mode=0o700)


@atexit.register
def tidy():
    names = cosm("ps", "-aq")[1].split()
    if names:
        cosm("rm", "-f", *names, seconds=300)
    shutil.rmtree(HOME, ignore_errors=True)


def done(*arguments, seconds=300, data=b""):
    """Runs cosm, which must succeed without a word on standard error; what it printed."""
    code, out, error = cosm(*arguments, seconds=seconds, data=data)
    check_equal((code, error), (0, ""), f"the outcome of 'cosm {' '.join(map(str, arguments))[:60]}'")
    return out


def ensure_image():
    """The image, in the user's cache; its name and its suite are IMAGE and SUITE then."""
    global IMAGE, SUITE
    if IMAGE:
        return
    key = hashlib.sha256(b"".join((ROOT / "src" / "store" / name).read_bytes() for name in MADE_BY)).hexdigest()[:16]
    place = pathlib.Path(CACHE) / "cosm" / "tests"
    kept = place / f"store-{key}"
    with guest.locked(place):
        for old in place.glob("store-*"):
            # What another work tree is made of may be in use.
            if old != kept and time.time() - old.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(old)
        kept.mkdir(exist_ok=True)
        os.utime(kept)
        try:
            IMAGE = store_image.obtain(COSM, {"XDG_DATA_HOME": str(kept)})
        except store_image.Unavailable as failure:
            raise tap.Skip(str(failure).splitlines()[-1]) from None
        SUITE = store_image.SUITES[IMAGE]
    DATA.mkdir(parents=True, exist_ok=True)
    if not (DATA / "images").is_symlink():
        shutil.rmtree(DATA / "images", ignore_errors=True)
        (DATA / "images").symlink_to(kept / "cosm" / "images")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Vm:
    """A VM of the image, and a way in by ssh that knows whom it talks to."""

    def __init__(self, name, *options, image=None):
        self.name, self.port = name, free_port()
        done("run", "-d", "-n", name, "-p", f"{self.port}:22", "--user", "joe", *options, image or IMAGE)

    def ssh(self, command, user="joe", seconds=120):
        done = subprocess.run(
            ["ssh", "-F", "none", "-q", "-i", DATA / "ssh" / "id_ed25519", "-p", str(self.port), "-o", "BatchMode=yes",
             "-o", f"UserKnownHostsFile={DATA / 'vms' / self.name / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes",
             "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=30", f"{user}@127.0.0.1", command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
        return done.returncode, done.stdout.strip()

    def says(self, command, **options):
        status, text = self.ssh(command, **options)
        check_equal(status, 0, f"the status of '{command[:60]}' in {self.name} ({text[-300:]})")
        return text

    def wait(self):
        end = time.monotonic() + SECONDS
        while self.ssh("true")[0]:
            check(time.monotonic() < end, f"{self.name} does not answer by ssh:\n{cosm('logs', self.name)[1][-1500:]}")
            time.sleep(0.5)

    def stop(self):
        done("stop", "-t", str(SECONDS), self.name, seconds=SECONDS + 100)

    def start(self):
        done("start", self.name)
        self.wait()


@test("what is no image, no file of one and no name is refused in one line")
def bad_input():
    refused(USAGE, "image", says=["which verb"])
    refused(USAGE, "image", "frob", says=["'frob'"])
    refused(USAGE, "image", "info", says=["which image"])
    refused(USAGE, "image", "ls", "x", says=["'x'"])
    refused(FAILED, "image", "info", "none", says=["'none'", "cosm image ls"])
    refused(FAILED, "image", "pull", "arch", says=["'arch'", "debian"])
    refused(FAILED, "image", "pull", "debian:x", says=["'debian:x'", "'debian:sid'"])
    refused(USAGE, "run", "debian:x", says=["'debian:x'", "cosm image ls"])
    refused(FAILED, "start", "none", says=["'none'"])
    refused(USAGE, "run", "none", says=["'none'", "cosm image ls"])
    refused(USAGE, "run", "debian", "-a", "x", says=["--append"])
    refused(USAGE, "run", "--rm", "-k", "x", says=["--rm"])
    refused(USAGE, "run", "--size", "20X", "debian", says=["20X"])
    check_equal(json.loads(done("image", "ls", "--json")), [], "the images of a new user")
    file = HOME / "x.image"
    for text, word in [("# nothing\n", "name NAME"), ("name a/b", "'a/b'"), ("name x\nfrob y", "line 2: 'frob'"), ("name x\nfrom y", "'y'"),
                       ("name x:", "'x:'"), ("name x\nfrom debian:x", "'debian:x'"),
                       ("name x\npackages Up", "'Up'"), ("name x\npackages -t", "'-t'"), ("name x\nsize 3", "'3'"),
                       ("name x\ncopy a", "'a'"), ("name x\ncopy nothing /b", "nothing'"), ("name x\nrun", "needs a value")]:
        file.write_text(text)
        refused(USAGE, "image", "build", file, says=[word])
    refused(FAILED, "image", "build", HOME / "none", says=["none"])


@test("without apt, a sentence says what is missing")
def no_apt():
    code, _, error = cosm("image", "pull", "debian", env=os.environ | {"PATH": str(HOME)})
    check_equal(code, FAILED, "the status without apt-get")
    check("apt" in error and error.count("\n") <= 2, f"it says: {error}")


@test("lists that the mirror's release is not signed for: one sentence names the suite and another")
def mismatch():
    bin = HOME / "bin"
    bin.mkdir()
    (bin / "apt-get").write_text("""#!/bin/sh
case " $* " in
*" indextargets "*) echo "bookworm http://192.0.2.1/debian/" ;;
*" update "*) echo "E: Failed to fetch http://192.0.2.1/debian/Packages.xz  File has unexpected size (2 != 3). Mirror sync?" >&2; exit 100 ;;
*) exit 100 ;;
esac
""")
    (bin / "apt-config").write_text("#!/bin/sh\n")
    for program in bin.iterdir():
        program.chmod(0o755)
    env = os.environ | {"PATH": f"{bin}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(HOME / "cache")}
    for image, suite, other in ("debian", "trixie", "forky"), ("debian:forky", "forky", "sid"):
        code, out, error = cosm("run", image, env=env)
        check_equal((code, out), (FAILED, ""), "the outcome")
        check(re.search(f"lists of {suite} .*try again later.*'debian:{other}'\n$", error), f"it says: {error}")
        check_equal(list((DATA / "images").glob("*")), [], "what is left of the image")


@test("the image tells what it is made of, and its disk is sound")
def image_made():
    ensure_image()
    listed = [i for i in json.loads(done("image", "ls", "--json")) if i["name"] == IMAGE]
    check_equal([i["suite"] for i in listed], [SUITE], f"the suites of images '{IMAGE}'")
    info = json.loads(done("image", "info", "--json", IMAGE))
    names = {p["name"] for p in info["packages"]}
    check({"systemd", "openssh-server", "apt", "linux-image-riscv64"} <= names, f"the packages are {sorted(names)}")
    check_equal(len(names), listed[0]["packages"], "the number of packages")
    disk = next((DATA / "images" / IMAGE).glob("*/base.qcow2"))
    check(re.search(re.escape(str(disk.name)), done("image", "info", IMAGE)), "info names no file")
    digest = subprocess.check_output(["sha256sum", disk], text=True).split()[0]
    check_equal(info["digest"], f"sha256:{digest}", "the digest")
    done("disk", "check", "-q", disk)


def left():
    """What VMs have left in the folders that are this test's own."""
    return [str(path) for place in (DATA / "vms", HOME / "state" / "cosm" / "vm", HOME / "run" / "cosm") for path in place.glob("*")]


def until_nothing_is_left(what):
    """The record goes after the lock that 'stop' waits for."""
    end = time.monotonic() + 60
    while left() and time.monotonic() < end:
        time.sleep(0.1)
    check_equal(left(), [], f"what is left of {what}")


def proxy_of_host():
    """The port of a proxy on the loopback that finds nothing, and what it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port, asked


@test("a detached VM from its boot to its removal: exec, a shared folder, the host's apt proxy, ssh, cp, logs, ps, stop, start, rm")
def detached():
    ensure_image()
    share = HOME / "share"
    share.mkdir()
    (share / "in").write_text("from outside")
    proxy, asked = proxy_of_host()
    (HOME / "apt.conf").write_text(f'Acquire::http::Proxy "http://localhost:{proxy}/";\n')
    os.environ["APT_CONFIG"] = str(HOME / "apt.conf")
    vm = Vm("d", "-v", f"{share}:/mnt/share")
    del os.environ["APT_CONFIG"]
    refused(FAILED, "run", "-n", "d", IMAGE, says=["'d'", "cosm start d"])
    refused(FAILED, "image", "rm", IMAGE, says=[f"'{IMAGE}'", "cosm rm"])
    code, out, error = cosm("exec", "--wait", SECONDS, "d", "--", "uname", "-m", seconds=SECONDS + 60)
    check_equal((code, out), (0, "riscv64\n"), f"the outcome of exec ({error[-1000:]})")
    check_equal(cosm("exec", "d", "--", "sh", "-c", "cat; exit 7", data=b"typed", seconds=300)[:2], (7, "typed"), "what exec passes")
    done("exec", "d", "--", "sh", "-c", "cat /mnt/share/in >/mnt/share/out && sync")
    check_equal((share / "out").read_text(), "from outside", "what the guest wrote to the shared folder")
    cosm("exec", "d", "--", "apt-get", "-q", "-o", "Acquire::Retries=0", "update", seconds=300)
    check(asked and all(re.match("http://.*/InRelease|http://.*/Release", uri) for uri in asked), f"the proxy was asked for {asked}")
    check_equal(done("ssh", "d", "hostname; id -un; sudo -n id -un").split(), ["d", "joe", "root"], "who is who by cosm ssh")
    vm.wait()
    check_equal(vm.says("hostname; id -un").split(), ["d", "joe"], "who is who by ssh and a port of the host")
    (HOME / "file").write_bytes(bytes(range(256)) * 1000)
    done("cp", HOME / "file", "d:/root/file")
    done("cp", "d:/root/file", HOME / "back")
    check_equal((HOME / "back").read_bytes(), (HOME / "file").read_bytes(), "a file that was copied in and out")
    check_equal(done("exec", "d", "--", "systemctl", "--failed", "--no-legend"), "", "units that failed")
    check_equal([(row["name"], row["state"]) for row in json.loads(done("ps", "--json"))], [("d", "running")], "what ps lists")
    machine_id = done("exec", "d", "--", "cat", "/etc/machine-id")
    refused(FAILED, "clone", "d", "e", says=["in use by the VM 'd'"])
    end = time.monotonic() + SECONDS
    while "joe@d" not in done("logs", "d"):
        check(time.monotonic() < end, "nobody is logged in on the console")
        time.sleep(1)
    vm.stop()
    refused(FAILED, "exec", "d", "--", "true", says=["'d' does not run"])
    check("d" in done("ps", "-a"), "ps -a does not list it")
    check("Power down" in done("logs", "d") or "Power-Off" in done("logs", "d"), f"the guest did not power off: {done('logs', 'd')[-300:]}")
    check_equal(done("clone", "d", "e"), "e\n", "what clone prints")
    refused(FAILED, "clone", "d", "e", says=["'e' already"])
    done("start", "e")
    code, out, error = cosm("exec", "--wait", SECONDS, "e", "--", "sh", "-c", "hostname; cat /etc/machine-id",
                            seconds=SECONDS + 60)
    check_equal((code, out.split("\n")[0]), (0, "e"), f"the clone's name ({error[-1000:]})")
    check(out.split("\n")[1] not in ("", machine_id.strip()), f"the clone's machine-id is {out}")
    check_equal(done("exec", "e", "--", "apt-config", "shell", "proxy", "Acquire::http::Proxy"), "",
                "the proxy in the clone, when the host's apt has none")
    check_equal(done("exec", "e", "--", "sha256sum", "/root/file").split()[0],
                hashlib.sha256((HOME / "file").read_bytes()).hexdigest(), "a file of the clone")
    done("kill", "e")
    done("rm", "e")
    done("start", "d")
    done("kill", "d")
    done("rm", "d")
    check_equal(left(), [], "what is left of it")


@test("--rm leaves nothing: in the foreground, detached, killed, or not started")
def removed():
    ensure_image()
    with Console([COSM, "run", "--rm", "-n", "c", IMAGE]) as terminal:
        terminal.expect("U-Boot", SECONDS)
        check(left(), "it runs without a record")
        terminal.send("\x01x")
        terminal.wait(300)
        check("sandbox" not in terminal.output, f"its end: {terminal.tail(4)}")
    check_equal(left(), [], "what is left of one in the foreground")
    for verb in ["stop", "-t", "0"], ["kill"], ["rm", "-f"]:
        done("run", "-d", "--rm", "-n", "c", IMAGE)
        done(*verb, "c")
        until_nothing_is_left(f"one after '{verb[0]}'")
    refused(FAILED, "run", "-d", "-n", "c", "-p", "192.0.2.1:80:80", IMAGE, says=["192.0.2.1"])
    check_equal(left(), [], "what is left of one that did not start")


@test("a boot that goes wrong tells how far it came: no boot loader's menu, no root")
def broken():
    ensure_image()
    loader = next((DATA / "images" / IMAGE).glob("*/u-boot.bin"))
    disk = HOME / "empty.raw"
    disk.write_bytes(bytes(1 << 20))
    done("run", "-d", "-n", "z", "-k", loader, "--drive", f"{disk},format=raw")
    done("run", "-d", "-n", "y", "-k", world.obtain("linux", "trixie") / "Image", "-a", "console=ttyS0 root=/dev/vda1")
    for name, stage, words in ("z", "boot loader: =>", "boot loader: =>"), ("y", "kernel panic", "kernel panic: .*Unable to mount root fs"):
        end = time.monotonic() + SECONDS
        while not re.search(f"^{name} .*{stage}", done("ps"), re.M):
            check(time.monotonic() < end, f"ps does not tell of '{name}': {done('ps')}")
            time.sleep(0.5)
        code, _, error = cosm("exec", "--wait", "4", name, "--", "true", seconds=300)
        check_equal(code, 255, "the status of exec")
        check(re.search(words, error) and "listens on port 22" in error and error.count("\n") == 2, f"exec says: {error}")
    done("rm", "-f", "z", "y")


if LONG:

    @test("two VMs boot, are their own, and let their user in")
    def two_vms():
        ensure_image()
        a, b = Vm("a", "--size", "22G"), Vm("b")
        own = []
        for vm in a, b:
            vm.wait()
            check_equal(vm.says("id -un", user="root"), "root", "root by the same key")
            own.append([vm.says("cat /etc/machine-id"), vm.says("cat /etc/ssh/ssh_host_ed25519_key.pub"),
                        vm.says("cat /sys/class/net/e*/address"), vm.says("sudo od -An -tx1 /var/lib/systemd/random-seed || true")])
        for x, y in zip(*own):
            check(x and x != y or not (x or y), f"both VMs have {x}")
        size = int(a.says("df --output=size -BG / | tail -1").strip("G "))
        check(size >= 21, f"the file system of 22G has {size}G")
        b.stop()
        boot = a.says("cat /proc/sys/kernel/random/boot_id")
        a.ssh("sudo systemctl reboot")
        end = time.monotonic() + SECONDS
        while a.ssh("cat /proc/sys/kernel/random/boot_id")[1] in ("", boot) and time.monotonic() < end:
            time.sleep(1)
        a.wait()
        check(a.says("cat /proc/sys/kernel/random/boot_id") != boot, "it has not started again")
        check_equal([a.says("cat /etc/machine-id"), a.says("cat /etc/ssh/ssh_host_ed25519_key.pub"),
                     a.says("cat /sys/class/net/e*/address")], own[0][:3], "what it is after a reboot")
        a.stop()
        done("rm", "a", "b")
        check_equal(left(), [], "what is left of them")

    @test("--rm in the foreground: the console logs in by itself, and poweroff is the end")
    def console():
        ensure_image()
        with Console([COSM, "run", "--rm", "-n", "c", "--user", "joe", IMAGE]) as terminal:
            terminal.expect(r"joe@c:~\$ ", SECONDS)
            terminal.send("sudo poweroff\r")
            check_equal(terminal.wait(SECONDS), 0, "the exit status")
        check_equal(left(), [], "what is left of it")

    def update(vm):
        """If the mirror is between two states, older lists are taken that apt has checked, as images are made by them."""
        status, text = vm.ssh("sudo apt-get -q update", seconds=SECONDS)
        if status and re.search("unexpected size|Mirror sync", text):
            tap.say("the mirror is between two states")
            lists = (pathlib.Path(CACHE) / "cosm" / "packages" / SUITE / "state" / "lists").glob("*_*")
            done("cp", *lists, f"{vm.name}:/var/lib/apt/lists/")
            return
        check_equal(status, 0, f"the status of apt-get update ({text[-500:]})")

    @test("packages from the archive, an upgrade, and all undone by a snapshot")
    def packages():
        ensure_image()
        vm = Vm("p")
        vm.wait()
        disk = DATA / "vms" / "p" / "disk.qcow2"
        update(vm)
        vm.stop()
        done("disk", "snapshot", "create", disk, "before")
        vm.start()
        vm.says("sudo apt-get -q upgrade -y && sudo apt-get -q install -y bc && echo 6*7 | bc | grep -qx 42", seconds=2 * SECONDS)
        vm.stop()
        done("disk", "snapshot", "apply", disk, "before")
        vm.start()
        check(vm.ssh("bc --version")[0] != 0, "what was installed after the snapshot is there")
        vm.stop()
        done("disk", "check", "--backing", "-q", disk)
        done("rm", "p")

    def serve(*command):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(process.kill)

    @test("real clients in the guest meet services on the host's loopback: curl, ssh, dig, iperf3")
    def clients():
        ensure_image()
        web, load = free_port(), free_port()
        (HOME / "www").mkdir()
        (HOME / "www" / "page").write_bytes(os.urandom(3 << 20))
        serve(sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", HOME / "www", str(web))
        vm = Vm("n")
        vm.wait()
        digest = hashlib.sha256((HOME / "www" / "page").read_bytes()).hexdigest()
        check_equal(vm.says(f"curl -sSf http://10.0.2.2:{web}/page | sha256sum").split()[0], digest, "what curl got")
        check_equal(vm.says(f"curl -s -o /dev/null -w '%{{http_code}}' http://10.0.2.2:{web}/none"), "404", "what curl is told")
        # Out to a port of the host that leads in again.
        vm.says("ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519 && cat ~/.ssh/id_ed25519.pub >>~/.ssh/authorized_keys")
        check_equal(vm.says(f"hostname | ssh -q -o StrictHostKeyChecking=no -p {vm.port} 10.0.2.2 'echo $SSH_CONNECTION; cat'")
                    .split()[-1], "n", "what ssh in the guest printed")
        update(vm)
        vm.says("sudo DEBIAN_FRONTEND=noninteractive apt-get -q install -y dnsutils iperf3", seconds=2 * SECONDS)
        name = urllib.parse.urlparse(json.loads(done("image", "info", "--json", IMAGE))["mirror"]).hostname
        check(re.search(r"^[0-9]+(\.[0-9]+){3}$", vm.says(f"dig +short {name} @10.0.2.3"), re.M), f"dig was not told where {name} is")
        check("NXDOMAIN" in vm.says("dig nothing.invalid @10.0.2.3"), "a name that nobody has was found")
        if shutil.which("iperf3"):
            serve("iperf3", "-s", "-B", "127.0.0.1", "-p", str(load))
            for options in "", "-R", "-u -b 20M":
                told = json.loads(vm.says(f"iperf3 -J -t 3 -c 10.0.2.2 -p {load} {options}"))
                total = told["end"]["sum" if "-u" in options else "sum_received"]
                check(total["bytes"] > 1 << 20, f"iperf3 {options} moved {total['bytes']} bytes")
        done("rm", "-f", "n")

    @test("memory that a Debian used and freed goes back to the host")
    def memory():
        ensure_image()
        vm = Vm("m", "-m", "2G")
        vm.wait()

        def resident():
            return json.loads(done("memory", "m", "--json"))["resident"] >> 20

        before = resident()
        vm.says("head -c 500M /dev/zero >/dev/shm/file")
        used = resident()
        check(used > before + 400, f"500 MiB of a file in memory take {used - before} MiB")
        vm.says("rm /dev/shm/file")
        end = time.monotonic() + 60
        while resident() > used - 400 and time.monotonic() < end:
            time.sleep(0.5)
        now = resident()
        tap.say(f"resident MiB before, with 500 MiB in use, after: {before}, {used}, {now}")
        check(now < used - 400, f"of {used - before} MiB {used - now} came back")
        done("rm", "-f", "m")

    @test("an image of one's own: packages, files, commands, size")
    def own_image():
        ensure_image()
        (DATA / "images").unlink()
        (HOME / "hello").write_text("#!/bin/sh\necho hello\n")
        (HOME / "hello").chmod(0o755)
        (HOME / "own.image").write_text(f"# mine\nname own:1\nfrom minimal:{SUITE}\npackages bc\nsize 4G\n"
                                        "copy hello /usr/local/bin/hello\nrun useradd -m ann\nrun echo made >/etc/made\n")
        code, out, error = cosm("image", "build", "-q", HOME / "own.image", seconds=4 * SECONDS)
        if code and "apt-get" in error:
            raise tap.Skip(error.splitlines()[-1])
        check_equal((code, out), (0, "own:1\n"), f"the outcome of image build ({error[-500:]})")
        vm = Vm("o", image="own:1")
        vm.wait()
        check_equal(vm.says("hello; id -un ann; cat /etc/made; echo 6*7 | bc"), "hello\nann\nmade\n42", "what is in it")
        check(int(vm.says("df --output=size -BM / | tail -1").strip("M ")) in range(3000, 4097), "its size")
        done("rm", "-f", "o")
        done("image", "rm", "own:1")


if __name__ == "__main__":
    tap.main([word for word in sys.argv[1:] if word != "--long"])
