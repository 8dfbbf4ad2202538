"""Servers that the interop checks need, each started on a free port of 127.0.0.1 and ended with its block."""

import contextlib
import datetime
import ipaddress
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SERVER_TIMEOUT_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def group(command, **options):
    """A program in a process group of its own, since it may start others that must end with it."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def await_health(address, process, log, context=None):
    """Waits until a server that was just started answers; one that does not ends the script."""
    deadline = time.monotonic() + SERVER_TIMEOUT_S
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if urllib.request.urlopen(f"{address}/health", timeout=5, context=context).status == 200:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"the MLflow server did not start, see {log.name}")
        time.sleep(0.2)


@contextlib.contextmanager
def mlflow_server(store, log, options=(), environment=None, folder=None, python=sys.executable, port=None, tls=None):
    """An MLflow server on a store's URI; gives its address. `tls`: files of its certificate, its key, and who signed it."""
    port = port or free_port()
    address, context = f"http://127.0.0.1:{port}", None
    if tls:
        certificate, key, authority = tls
        address, context = f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=authority)
        options = [*options, "--uvicorn-opts", f"--ssl-certfile {certificate} --ssl-keyfile {key}"]
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", store, *options]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | (environment or {})
    with group(command, stdout=log, stderr=log, env=environment, cwd=folder) as process:
        await_health(address, process, log, context)
        yield address


@contextlib.contextmanager
def scoring_server(model, store, log):
    """`mlflow models serve` of a model of a tracking store; gives its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local",
               "-h", "127.0.0.1", "-p", str(port)]
    # It starts uvicorn by its name.
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), *os.get_exec_path()])
    environment = os.environ | {"PATH": path, "MLFLOW_TRACKING_URI": store, "MLFLOW_REGISTRY_URI": store}
    with group(command, stdout=log, stderr=log, env=environment) as process:
        await_health(address, process, log)
        yield address


def certificates(folder):
    """Files of a certificate for 127.0.0.1, its key, and the authority that signed it."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def signed(name, key, issuer, issuer_key, extensions):
        builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number(),
                                          now - datetime.timedelta(days=1), now + datetime.timedelta(days=1))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def put(path, content):
        (folder / path).write_bytes(content)
        return folder / path

    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = signed(name("authority"), authority_key, name("authority"), authority_key,
                       [x509.BasicConstraints(ca=True, path_length=None)])
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = signed(name("server"), key, name("authority"), authority_key, [host])
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return (
        put("server.pem", certificate.public_bytes(pem)),
        put("server.key", key.private_bytes(pem, *plain)),
        put("authority.pem", authority.public_bytes(pem)),
    )


def postgresql_programs():
    """The folder of PostgreSQL's programs, which Debian keeps off the search path; None where it is not installed."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += map(pathlib.Path, os.get_exec_path())
    programs = ["initdb", "pg_isready", "postgres"]
    return next((folder for folder in folders if all((folder / program).exists() for program in programs)), None)


@contextlib.contextmanager
def postgresql(folder, log, access=None, tls=None):
    """A PostgreSQL server with its data in `folder`, which must not exist; gives the URI of an empty database.

    `access`: lines of pg_hba.conf; by default all users of this machine are trusted. `tls`: files of its certificate and its key.
    """
    programs = postgresql_programs()
    # It refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    folder.mkdir()
    if user:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()
    subprocess.run([*user, programs / "initdb", "-D", data, "-U", "mlflow", "-A", "trust", "--no-sync"],
                   check=True, stdout=log, stderr=log, cwd="/")
    command = [*user, programs / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1",
               "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    if access:
        (data / "pg_hba.conf").write_text(access)
    if tls:
        command += ["-c", "ssl=on"]
        for option, file in zip(["ssl_cert_file", "ssl_key_file"], tls):
            own = folder / file.name
            shutil.copyfile(file, own)
            own.chmod(0o600)
            if user:
                shutil.chown(own, "postgres")
            command += ["-c", f"{option}={own}"]
    with group(command, stdout=log, stderr=log, cwd="/") as process:
        deadline = time.monotonic() + SERVER_TIMEOUT_S
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"PostgreSQL did not start, see {log.name}")
            time.sleep(0.1)
        yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
