#!/usr/bin/env python3
"""Reads events from a PostgreSQL server of its own, with and without encryption, and over a Unix socket.

    check_database.py TESTS OUT

TESTS are the compiled unit tests of phantomnet-features. OUT gets the logs.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from checking import check
from serving import certificates, postgresql, postgresql_programs

# Of the roles that the tests make, each proves its password in another way; all others are trusted.
ACCESS = """local all all trust
host all by_scram 127.0.0.1/32 scram-sha-256
host all by_md5 127.0.0.1/32 md5
host all by_clear_text 127.0.0.1/32 password
host all all 127.0.0.1/32 trust
host all all ::1/128 trust
"""


def run(what, tests, url, out):
    log = out / f"{what.replace(' ', '-')}.log"
    environment = os.environ | {"PHANTOMNET_FEATURES_TEST_POSTGRES": url}
    command = [tests, "source::database::postgres::tests::", "--test-threads", "2", "--nocapture"]
    with log.open("w") as file:
        status = subprocess.run(command, env=environment, stdout=file, stderr=file, check=False).returncode
    text = log.read_text()
    print(text)
    passed = text.count(" ... ok")
    check(f"{what}: {passed} tests", status == 0 and passed >= 9 and "SKIPPED" not in text, f"see {log}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tests, out = (pathlib.Path(argument).absolute() for argument in sys.argv[1:])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    check("PostgreSQL is installed", postgresql_programs())
    # Its own user, who may not enter the folders of root, has to reach its data.
    with tempfile.TemporaryDirectory() as data, (out / "postgresql.log").open("w") as log:
        os.chmod(data, 0o755)
        folder = pathlib.Path(data)
        certificate, key, authority = certificates(folder)
        files = certificate, key
        with postgresql(folder / "postgresql", log, access=ACCESS, tls=files) as database:
            server = database.removeprefix("postgresql+psycopg2://")
            run("over TCP", tests, f"postgres://{server}?sslrootcert={authority}&sslmode=verify-full", out)
            user, address = server.split("@")
            port, name = address.split(":")[1].split("/")
            socket = f"postgres://{user}@/{name}?host={folder / 'postgresql'}&port={port}"
            run("over a Unix socket", tests, socket, out)


if __name__ == "__main__":
    main()
