#!/usr/bin/env python3
"""Runs the contract of the tracking stores, `train` and the checks of registered models and of the UI on real MLflow servers.

    check_server.py BINARY TESTS DEMO OUT [PYTHON...]

BINARY is the program, TESTS the compiled integration tests of phantomnet-track, DEMO a database that the embedded store
wrote. OUT gets databases and logs. Each PYTHON is that of an environment with another MLflow release, whose server is tried too.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import chromium
from checking import check, equal
from serving import certificates, free_port, mlflow_server, postgresql, postgresql_programs

USER, PASSWORD = "admin", "correct horse battery staple"
# MLflow's own but for the last line, without which each of some thousand requests hashes the password for 0.2 s.
AUTH_CONFIG = """[mlflow]
default_permission = READ
database_uri = sqlite:///basic_auth.db
auth_cache_ttl_seconds = 600
"""


def run_tests(what, tests, filters, address, environment):
    """Runs the tests that need a server; gives the lines of those that passed."""
    environment = os.environ | {"PHANTOMNET_TRACK_TEST_SERVER": address} | environment
    done = subprocess.run([tests, "--ignored", filters], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"FAILED: {what}\n{done.stdout}\n{done.stderr}")
    return [line for line in done.stdout.splitlines() if line.endswith("... ok")]


def run_contract(what, tests, address, environment):
    passed = run_tests(f"the contract on {what}", tests, "rest::", address, environment)
    check(f"{what}: {len(passed)} tests of the contract, half of them through a proxy that fails", len(passed) >= 40)


def run_train(what, binary, address, environment, out):
    """What `train --json` prints, and what it says beside it."""
    command = [binary, "train", "--tracking-uri", address, "--experiment", "over REST", "--output", out / "out",
               "--set", f"tracking.outbox={out / 'outbox'}", "--json"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    equal(f"{what}: status of train", (done.returncode, done.stderr if done.returncode else ""), (0, ""))
    return json.loads(done.stdout), done.stderr


def train(what, binary, address, environment, out):
    check_run(what, run_train(what, binary, address, environment, out)[0], address, environment, out)


def check_run(what, printed, address, environment, out):
    document = out / "run.json"
    document.write_text(json.dumps(printed))
    run_check(what, "check_run.py", [address, document], environment)


def run_check(what, script, arguments, environment):
    """Runs a script beside this one, and prints the last line of what it says."""
    command = [sys.executable, pathlib.Path(__file__).with_name(script), *arguments]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"FAILED: {what}: {script}\n{done.stdout}\n{done.stderr}")
    print(f"  ok  {what}: {done.stdout.splitlines()[-1].strip()}", flush=True)


def check_refusals(binary, address):
    """What a user sees who has no or wrong credentials."""
    for environment in [{}, {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": "wrong-pass-word"}]:
        command = [binary, "runs", "list", "--tracking-uri", address]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        equal("status without the right credentials", done.returncode, 4)
        check("what to set is named", "HTTP 401" in said and "MLFLOW_TRACKING_USERNAME" in said, said)
        check("no password is shown", "wrong-pass-word" not in said, said)


def copy_of(database, folder):
    """A database in a folder of its own: a server starts sooner on one that has its tables."""
    shutil.copy(database, folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"


class Checks:
    """What is tried on each server, and where it is kept."""

    def __init__(self, binary, tests, demo, out):
        self.binary, self.tests, self.demo, self.out = binary, tests, demo, out

    @contextlib.contextmanager
    def place(self, name):
        """A folder for a server, and its log."""
        folder = self.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with (folder / "server.log").open("w") as log:
            yield folder, log

    def run(self, what, address, folder, environment=None):
        run_contract(what, self.tests, address, environment or {})
        train(what, self.binary, address, environment or {}, folder)

    def registry(self, what, address, folder, environment=None):
        run_check(what, "check_registry.py", [self.binary, address, folder / "registry"], environment or {})

    def ui(self, what, address, folder):
        if chromium.program() is None:
            print(f"SKIPPED: {what}: the UI, since there is no Chromium")
        else:
            run_check(what, "check_ui.py", ["--server", address, folder / "ui"], {})

    def sqlite(self, name="sqlite", what="SQLite behind it", python=sys.executable, with_ui=False):
        with self.place(name) as (folder, log):
            options = ["--artifacts-destination", str(folder / "artifacts")]
            with mlflow_server(copy_of(self.demo, folder), log, options, folder=folder, python=python) as address:
                self.run(what, address, folder)
                self.registry(what, address, folder)
                if with_ui:
                    self.ui(what, address, folder)

    def outbox(self):
        """A server that comes up only after a run, and one that goes away during runs."""
        with self.place("outbox") as (folder, log):
            port = free_port()
            address, push = f"http://127.0.0.1:{port}", [self.binary, "runs", "push", "--json"]
            push += ["--set", f"tracking.outbox={folder / 'outbox'}"]
            kept, said = run_train("no server", self.binary, address, {}, folder)
            check("the run is kept", kept["kept_in"] and pathlib.Path(kept["kept_in"], "mlflow.db").is_file(), kept["kept_in"])
            check("the user is told", "cannot be reached" in said and kept["kept_in"] in said, said)
            done = subprocess.run(push, capture_output=True, text=True, check=False)
            equal("status of runs push without a server", done.returncode, 4)
            check("what is still to be sent", json.loads(done.stdout)[0]["error"], done.stdout)
            options = ["--artifacts-destination", str(folder / "artifacts")]
            with mlflow_server(copy_of(self.demo, folder), log, options, folder=folder, port=port):
                done = subprocess.run(push, capture_output=True, text=True, check=False)
                equal("status of runs push", (done.returncode, done.stderr if done.returncode else ""), (0, ""))
                [entry] = json.loads(done.stdout)
                [sent] = entry["runs"]
                equal("name of what was sent", sent["run_name"], kept["run_name"])
                check_run("sent later", kept | sent, address, {}, folder)
                equal("what is left of it", list((folder / "outbox").iterdir()), [])
                passed = run_tests("the outbox", self.tests, "outbox::", address, {})
                check(f"{len(passed)} tests of the outbox", len(passed) >= 4)

    def shared_folder(self):
        with self.place("shared") as (folder, log):
            options = ["--no-serve-artifacts", "--default-artifact-root", str(folder / "shared")]
            with mlflow_server(copy_of(self.demo, folder), log, options, folder=folder) as address:
                self.run("artifacts in a shared folder", address, folder)
            check("the files are in the shared folder", list((folder / "shared").glob("*/*/artifacts/report.html")))

    def basic_auth(self):
        environment = {
            "MLFLOW_AUTH_CONFIG_PATH": "basic_auth.ini",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "not a secret",
            "MLFLOW_AUTH_ADMIN_USERNAME": USER,
            "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        }
        with self.place("basic-auth") as (folder, log):
            (folder / "basic_auth.ini").write_text(AUTH_CONFIG)
            options = ["--artifacts-destination", str(folder / "artifacts"), "--app-name", "basic-auth"]
            with mlflow_server(copy_of(self.demo, folder), log, options, environment, folder) as address:
                check_refusals(self.binary, address)
                credentials = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
                self.run("basic authentication", address, folder, credentials)
                self.registry("basic authentication", address, folder, credentials)

    def tls(self):
        """A certificate that only an authority of ours vouches for."""
        with self.place("tls") as (folder, log):
            files = certificates(folder)
            options = ["--artifacts-destination", str(folder / "artifacts")]
            with mlflow_server(copy_of(self.demo, folder), log, options, folder=folder, tls=files) as address:
                def listed(**environment):
                    command = [self.binary, "runs", "list", "--tracking-uri", address, "--json"]
                    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)

                refused = listed()
                equal("status with a certificate of nobody", refused.returncode, 4)
                check("the certificate is named", "certificate" in refused.stderr, refused.stderr)
                vouched = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(files[2])}
                for what, environment in [("of our authority", vouched), ("unchecked", {"MLFLOW_TRACKING_INSECURE_TLS": "true"})]:
                    done = listed(**environment)
                    equal(f"status with a certificate {what}", (done.returncode, done.stderr), (0, ""))
                self_signed = listed(MLFLOW_TRACKING_SERVER_CERT_PATH=str(files[1]))
                equal("status with a key for an authority", self_signed.returncode, 2)
                # MLflow's own client takes the same variable.
                train("TLS", self.binary, address, vouched, folder)

    def postgresql(self):
        check("PostgreSQL is installed", postgresql_programs())
        # Its own user, who may not enter the folders of root, has to reach its data.
        with self.place("postgresql") as (folder, log), tempfile.TemporaryDirectory() as data:
            os.chmod(data, 0o755)
            options = ["--artifacts-destination", str(folder / "artifacts")]
            with postgresql(pathlib.Path(data) / "postgresql", log) as database:
                with mlflow_server(database, log, options, folder=folder) as address:
                    self.run("PostgreSQL behind it", address, folder)


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    binary, tests, demo, out, *pythons = (pathlib.Path(argument).absolute() for argument in sys.argv[1:])
    checks = Checks(binary, tests, demo, out)
    checks.sqlite(with_ui=True)
    checks.outbox()
    checks.shared_folder()
    checks.basic_auth()
    checks.tls()
    checks.postgresql()
    for python in pythons:
        release = python.parents[1].name.removeprefix("venv-mlflow-")
        checks.sqlite(f"mlflow-{release}", f"MLflow {release}", python)


if __name__ == "__main__":
    main()
