#!/usr/bin/env python3
"""Runs the contract of the tracking stores with artifacts in an object store, and reads them with MLflow's own client.

    check_s3.py TESTS DEMO OUT [BINARY]

TESTS are the compiled integration tests of phantomnet-track, DEMO a database that the embedded store wrote. OUT gets databases and
logs. With BINARY, the program, `train` is run too. The object store is that of moto, which checks signatures.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import boto3
import mlflow

from check_server import copy_of, run_tests, train
from checking import check, equal
from serving import SERVER_TIMEOUT_S, free_port, group, mlflow_server

BUCKET, REGION, USER = "artifacts", "eu-central-1", "ana"
POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
# From the request after those that make a user and a bucket on, each needs a signature.
N_UNSIGNED = 4
# Those of the test that names are kept as they are.
NAMES = ["a b", "ü/漢字/🦀", "50%", "a%20b", "a+b=c&d", "it's (\"[*]\");:@,!$~^{}|<>`", "dir/50% off/x"]


def client(service, environment):
    return boto3.client(service, endpoint_url=environment["MLFLOW_S3_ENDPOINT_URL"], region_name=REGION,
                        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
                        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"])


@contextlib.contextmanager
def object_store(log):
    """An object store with a bucket; gives the variables by which it is reached."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with group(command, stdout=log, stderr=log, env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(N_UNSIGNED)}) as process:
        deadline = time.monotonic() + SERVER_TIMEOUT_S
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if urllib.request.urlopen(f"{address}/moto-api/", timeout=5).status == 200:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the object store did not start, see {log.name}")
            time.sleep(0.2)
        variables = {"MLFLOW_S3_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": REGION,
                     "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
        iam = client("iam", variables)
        iam.create_user(UserName=USER)
        iam.put_user_policy(UserName=USER, PolicyName="all", PolicyDocument=POLICY)
        key = iam.create_access_key(UserName=USER)["AccessKey"]
        variables |= {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        client("s3", variables).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield variables


def keys_below(s3, prefix):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [file["Key"] for page in pages for file in page.get("Contents", [])]


def check_embedded(tests, variables):
    """The embedded store, and what it left in the bucket."""
    s3 = client("s3", variables)
    wrong = variables | {"AWS_SECRET_ACCESS_KEY": "wrong-key", "PHANTOMNET_TRACK_TEST_S3": f"s3://{BUCKET}/refused"}
    command = [tests, "--ignored", "--exact", "s3::artifacts_are_written_and_read"]
    done = subprocess.run(command, env=os.environ | wrong, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    check("a wrong signature is refused", done.returncode != 0 and "SignatureDoesNotMatch" in said, said)
    check("no key is shown", "wrong-key" not in said, said)

    passed = run_tests("the contract on an embedded store", tests, "s3::", "",
                       variables | {"PHANTOMNET_TRACK_TEST_S3": f"s3://{BUCKET}/embedded"})
    check(f"embedded store: {len(passed)} tests, half of them through a proxy that fails", len(passed) >= 20)
    keys = keys_below(s3, "embedded/")
    missing = [name for name in NAMES if not any(key.endswith(f"/artifacts/{name}") for key in keys)]
    check("names are the keys that MLflow would make of them", not missing, missing)
    [report] = [key for key in keys if key.endswith("artifacts/plots/roc.svg")][:1]
    equal("type of a picture", s3.head_object(Bucket=BUCKET, Key=report)["ContentType"], "image/svg+xml")


def check_client(address):
    """What MLflow's own client reads of what the contract left on a server."""
    mlflow.set_tracking_uri(address)
    reader = mlflow.MlflowClient()
    [experiment] = reader.search_experiments(filter_string="name = 'exp'")
    n_read = 0
    for run in reader.search_runs([experiment.experiment_id], max_results=1000):
        if not run.info.artifact_uri.startswith(f"s3://{BUCKET}/server/"):
            sys.exit(f"FAILED: artifacts are in {run.info.artifact_uri}")
        files = {file.path: (file.is_dir, file.file_size) for file in reader.list_artifacts(run.info.run_id)}
        if "config.toml" not in files:
            continue
        n_read += 1
        equal("files of a run", files, {"config.toml": (False, 8), "empty.txt": (False, 0), "plots": (True, None)})
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=folder))
            equal("content of a file", (root / "config.toml").read_text(), "seed = 2")
            equal("content of a file in a folder", (root / "plots" / "roc.svg").read_text(), "<svg/>")
    check(f"artifacts of {n_read} runs, read by MLflow's client", n_read >= 2)

    models = [model for model in reader.search_registered_models() if model.name.startswith("found@home")]
    check("models are registered", models)
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(mlflow.artifacts.download_artifacts(f"models:/{model.name}@champion", dst_path=folder))
            equal("a model, read by MLflow's client",
                  {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*")
                   if path.is_file() and path.name != "registered_model_meta"},
                  {"MLmodel": b"flavors: {}", "sub dir/b.bin": bytes([0, 159, 255]), "empty": b""})


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    tests, demo, out, *binary = (pathlib.Path(argument).absolute() for argument in sys.argv[1:])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    # A configuration of this machine is none of ours.
    for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_S3_", "MLFLOW_BOTO_"))]:
        del os.environ[name]
    with (out / "moto.log").open("w") as store_log, (out / "server.log").open("w") as log:
        with object_store(store_log) as variables:
            check_embedded(tests, variables)
            options = ["--no-serve-artifacts", "--default-artifact-root", f"s3://{BUCKET}/server"]
            with mlflow_server(copy_of(demo, out), log, options, variables, out) as address:
                passed = run_tests("the contract on a server", tests, "rest::", address, variables)
                check(f"server: {len(passed)} tests of the contract, half of them through a proxy that fails", len(passed) >= 40)
                os.environ |= variables
                check_client(address)
                for program in binary:
                    train("artifacts in an object store", program, address, variables, out)


if __name__ == "__main__":
    main()
