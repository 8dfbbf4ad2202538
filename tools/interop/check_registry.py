#!/usr/bin/env python3
"""Checks that registered models of the program are MLflow's, and the other way round.

    check_registry.py BINARY TRACKING_URI OUT [--serve]

Trains, judges, promotes and rolls back with BINARY on the project's sample, and reads everything back with MLflow's client
and its loaders; then MLflow's client changes things, and BINARY reads them. TRACKING_URI is `sqlite:////absolute/path`, a
file that need not exist, or the http(s):// address of a tracking server; it must not have the registered models of this
check yet. OUT, which must be new, gets models, events and logs. --serve: `mlflow models serve` is tried too.
"""

import csv
import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import urllib.request

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from checking import check, close, equal, read_predictions
from serving import scoring_server

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME, COPY = "registry-check", "registry-check-copy"
CHAMPION = f"models:/{NAME}@champion"
# Of the sample's 4,000 events; the rest is what promotions are judged on.
LEARNED = 3000
GATE = ["--set", "gate.accuracy=0.5"]
HISTORY = "phantomnet.history"
ALTERED = 3  # Exit status of `models history --verify`.


class Program:
    """The program on one tracking store, run where phantomnet.toml is."""

    def __init__(self, binary, uri):
        self.binary, self.uri = binary, uri

    def text(self, *arguments, status=0):
        """What a command writes to standard output."""
        command = [self.binary, *arguments, "--tracking-uri", self.uri]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
        if done.returncode != status:
            shown = " ".join(str(part) for part in command)
            sys.exit(f"FAILED: {shown}: status {done.returncode}, not {status}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def json(self, *arguments, status=0):
        return json.loads(self.text(*arguments, "--json", status=status))

    def predict(self, model, events):
        """Verdicts and probabilities, event by event. (A payload may hold what Python takes for the end of a line.)"""
        lines = self.text("predict", model, events, "--probabilities").split("\n")
        rows = [json.loads(line) for line in lines if line]
        classes = [key for key in rows[0] if key.startswith("prob_")]
        return [row["verdict"] for row in rows], np.array([[row[key] for key in classes] for row in rows])


def write_events(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def split_sample(out):
    """Files of the events to learn from, and of those that no model has learned from."""
    with open(ROOT / "data" / "sample_events.csv", newline="", encoding="utf-8") as file:
        head, *events = csv.reader(file)
    learned = write_events(out / "learned.csv", [head, *events[:LEARNED]])
    return learned, write_events(out / "unseen.csv", [head, *events[LEARNED:]])


def holdout_events(out, predictions):
    """A file of the events of a run's predictions.csv, in its order."""
    [source] = set(predictions.file)
    rows, first = {}, 1
    with open(source, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        for row in reader:
            rows[first] = row
            first = reader.line_num + 1
    return write_events(out / "holdout.csv", [rows[line] for line in [1, *predictions.line]])


# What the program says and what MLflow's client reads.


def version_of(client, name, version):
    """A version as `models show` has it."""
    found = client.get_model_version(name, str(version))
    return {
        "name": found.name,
        "version": int(found.version),
        "source": found.source,
        "run_id": found.run_id,
        # Of a version MLflow's stores keep no model id beside its source.
        "model_id": found.source.removeprefix("models:/") if found.source.startswith("models:/m-") else None,
        "description": found.description or "",
        "creation_time_ms": found.creation_timestamp,
        "tags": dict(found.tags),
        "aliases": sorted(found.aliases),
    }


def model_of(client, name):
    """A registered model as `models show` has it, which leaves the history to `models history`."""
    found = client.get_registered_model(name)
    versions = [int(version.version) for version in client.search_model_versions(f"name = '{name}'")]
    return {
        "name": found.name,
        "description": found.description or "",
        "creation_time_ms": found.creation_timestamp,
        "last_updated_ms": found.last_updated_timestamp,
        "tags": {key: value for key, value in found.tags.items() if not key.startswith(HISTORY)},
        "aliases": {alias: int(version) for alias, version in found.aliases.items()},
        "versions": [version_of(client, name, version) for version in sorted(versions)],
    }


def registered_names(client):
    return [model.name for model in client.search_registered_models(max_results=1000)]


def check_shown(program, client, when, name=NAME):
    """`models show` and `models list` print what the client reads; gives it."""
    found = model_of(client, name)
    shown = program.json("models", "show", name)
    for version in shown["versions"]:
        version["aliases"].sort()
    equal(f"{when}: models show {name}", shown, found)
    listed = {model["name"]: model for model in program.json("models", "list")}
    equal(f"{when}: models of the list", sorted(listed), sorted(registered_names(client)))
    equal(f"{when}: {name} in the list", listed[name], {key: found[key] for key in found if key != "versions"})
    return found


def check_history(program, client, when, actions):
    """The entries are tags of the registered model, whole, and name these actions; gives the hash of the last one."""
    history = program.json("models", "history", NAME, "--verify")
    equal(f"{when}: problems of the history", history["problems"], [])
    equal(f"{when}: actions", [(e["action"], e["forced"], e["champion"]) for e in history["entries"]], actions)
    tags = client.get_registered_model(NAME).tags
    texts = [tags[key] for key in sorted(tags) if key.startswith(HISTORY)]
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    equal(f"{when}: hashes of the entries", [entry["hash"] for entry in history["entries"]], hashes)
    return hashes[-1]


def check_origin(client, printed):
    """A version that `train --register` made: its run, its logged model, and what that knows of the version."""
    registered = printed["registered"]
    version = client.get_model_version(NAME, str(registered["version"]))
    what = f"version {version.version}"
    equal(f"{what}: source", version.source, f"models:/{printed['model_id']}")
    equal(f"{what}: source run", version.run_id, printed["run_id"])
    equal(f"{what}: status and stage", (version.status, version.current_stage), ("READY", "None"))
    equal(f"{what}: tag of the gate", version.tags.get("phantomnet.gate"), "passed")
    equal(f"{what}: aliases", version.aliases, ["challenger"])
    model = client.get_logged_model(printed["model_id"])
    equal(f"{what}: run of its logged model", model.source_run_id, printed["run_id"])
    named = json.loads(model.tags["mlflow.modelVersions"])
    named = [(entry["name"], int(entry["version"])) for entry in named]
    equal(f"{what}: mlflow.modelVersions of its logged model", named, [(NAME, registered["version"])])
    files = mlflow.artifacts.download_artifacts(client.get_model_version_download_uri(NAME, version.version))
    check(f"{what}: its files", (pathlib.Path(files) / "MLmodel").is_file(), files)


# The life of a registered model.


def train(program, out, events, seed):
    folder = out / f"seed-{seed}"
    return program.json("train", events, "--experiment", "registry", "--seed", str(seed), "--register", NAME,
                        "--output", folder, "--set", f"tracking.outbox={out / 'outbox'}", *GATE)


def check_promotion(what, printed, champion, promoted, forced=False):
    shown = {key: printed[key] for key in ["name", "promoted", "forced", "champion"]}
    equal(what, shown, {"name": NAME, "promoted": promoted, "forced": forced, "champion": champion})


def live(program, client, out):
    """Two versions, of which the second is rejected, promoted by force and rolled back; gives what `train` printed."""
    learned, unseen = split_sample(out)
    first = train(program, out, learned, 1)
    equal("first training", first["registered"], {"name": NAME, "version": 1, "alias": "challenger"})
    check_origin(client, first)
    check_shown(program, client, "one version")

    promote = ["models", "promote", NAME, unseen, *GATE]
    check_promotion("a first champion", program.json(*promote), 1, True)
    check_shown(program, client, "with a champion")
    check_history(program, client, "with a champion", [("promote", False, 1)])

    second = train(program, out, learned, 2)
    equal("second training", second["registered"], {"name": NAME, "version": 2, "alias": "challenger"})
    check_origin(client, second)
    check_shown(program, client, "two versions")

    promote += ["--set", "promotion.min_gain=1"]
    rejected = program.json(*promote, "--reason", "no gain is enough", status=1)
    check_promotion("a challenger that is not good enough", rejected, 1, False)
    equal("what it does not meet", [c["name"] for c in rejected["judged"]["conditions"] if not c["passed"]], ["gain"])
    check_shown(program, client, "after a rejection")

    forced = program.json(*promote, "--force", "--reason", "the check wants it")
    check_promotion("a promotion by force", forced, 2, True, True)
    found = check_shown(program, client, "after a promotion by force")
    equal("aliases after a promotion by force", found["aliases"], {"champion": 2})

    rolled_back = program.json("models", "rollback", NAME, "--reason", "the check wants it back")
    equal("the champion that is restored", (rolled_back["previous"], rolled_back["champion"]), (2, 1))
    actions = [("promote", False, 1), ("reject", False, 1), ("promote", True, 2), ("rollback", False, 1)]
    head = check_history(program, client, "after a rollback", actions)
    equal("hash that the rollback printed", rolled_back["history"]["hash"], head)
    equal("hash at the version", client.get_model_version(NAME, "1").tags[HISTORY], head)
    return first, second


def edit(program, client):
    """Descriptions, tags and aliases by the program, some beyond ASCII."""
    program.json("models", "edit", NAME, "--description", "Модели of the check", "--tag", "team=blüte")
    version = ["models", "edit", f"models:/{NAME}/2"]
    program.json(*version, "--description", "Второй", "--tag", "seed=2", "--tag", "note=a = b", "--alias", "runner-up")
    found = check_shown(program, client, "edited")
    equal("description of the model", found["description"], "Модели of the check")
    equal("tags of the model", found["tags"], {"team": "blüte"})
    [_, second] = found["versions"]
    equal("description of a version", second["description"], "Второй")
    equal("tags of a version", [second["tags"][key] for key in ["seed", "note"]], ["2", "a = b"])
    equal("aliases of a version", second["aliases"], ["runner-up"])
    program.json(*version, "--remove-alias", "runner-up")
    equal("aliases, one taken away", check_shown(program, client, "edited again")["aliases"], {"champion": 1})


# Probabilities by three readers of the same files.


class Expected:
    """Events in a file, their features, and what the program says of them."""

    def __init__(self, program, model, events, feature_names, features):
        self.frame = pd.DataFrame(np.asarray(features, dtype=np.float64), columns=feature_names)
        self.verdicts, self.probabilities = program.predict(model, events)

    def compare(self, what, answer):
        close(f"{what}: probabilities", answer.drop(columns="label").to_numpy(), self.probabilities)
        equal(f"{what}: labels", [str(label) for label in answer["label"]], self.verdicts)


def check_golden(program, out):
    """The golden events of the downloaded files, with their features, give the probabilities that are kept with them."""
    folder = out / "downloaded"
    program.json("models", "download", CHAMPION, folder)
    golden = [json.loads(line) for line in (folder / "golden.jsonl").read_text(encoding="utf-8").split("\n") if line]
    events = out / "golden_events.jsonl"
    events.write_text("".join(json.dumps(one["event"]) + "\n" for one in golden), encoding="utf-8")
    names = mlflow.models.Model.load(folder).get_input_schema().input_names()
    features = [[float("nan") if value is None else value for value in one["features"]] for one in golden]
    expected = Expected(program, CHAMPION, events, names, features)
    close("golden events: predict", expected.probabilities, [one["probabilities"] for one in golden])
    return expected


def check_loaders(expected):
    loaded, graph = mlflow.pyfunc.load_model(CHAMPION), mlflow.onnx.load_model(CHAMPION)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for what, one in expected.items():
        one.compare(f"{what}: mlflow.pyfunc", loaded.predict(one.frame))
        rows = one.frame.to_numpy(dtype=np.float32)
        outputs = session.run(None, {session.get_inputs()[0].name: rows})
        answer = pd.DataFrame({name: values.reshape(-1) for name, values in zip(names, outputs)})
        one.compare(f"{what}: mlflow.onnx", answer)


def invoke(address, frame):
    """What a scoring server answers to a frame, missing values as null."""
    rows = [[None if np.isnan(value) else value for value in row] for row in frame.to_numpy().tolist()]
    body = json.dumps({"dataframe_split": {"columns": list(frame.columns), "data": rows}}).encode()
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return pd.DataFrame(json.loads(answer.read())["predictions"])


def check_scoring_server(program, expected, out):
    with open(out / "serve.log", "w", encoding="utf-8") as log, scoring_server(CHAMPION, program.uri, log) as address:
        for what, one in expected.items():
            one.compare(f"{what}: mlflow models serve", invoke(address, one.frame))


def check_predictions(program, out, champion, serve):
    """Of the events that the champion was tested on, and of its golden ones, among which values are missing."""
    kept = read_predictions(out / f"seed-{champion['params']['seed']}" / "predictions.csv")
    holdout = Expected(program, CHAMPION, holdout_events(out, kept), kept.feature_names, kept.features)
    close("hold-out: predict and predictions.csv", holdout.probabilities, kept.probabilities)
    check("the probabilities differ between events", np.ptp(holdout.probabilities, axis=0).max() > 0.1)
    expected = {"hold-out": holdout, "golden events": check_golden(program, out)}
    check_loaders(expected)
    if serve:
        check_scoring_server(program, expected, out)


def check_folder(program, client, out):
    """A model of a folder, which a run of its own brings into the store, is one that MLflow loads."""
    version = program.json("models", "register", out / "downloaded", COPY, "--alias", "copy", "--tag", "from=folder",
                           "--set", "tracking.experiment=registry")
    found = check_shown(program, client, "registered from a folder", COPY)
    equal("the version that was made", version, found["versions"][0])
    events = out / "holdout.csv"
    close("predictions of the copy", program.predict(f"models:/{COPY}@copy", events)[1], program.predict(CHAMPION, events)[1])
    check("MLflow loads the copy", mlflow.pyfunc.load_model(f"models:/{COPY}@copy"))
    program.json("models", "delete", COPY, "--force")
    gone(lambda: client.get_registered_model(COPY), "a registered model that the program deleted")


def gone(read, what):
    try:
        read()
    except MlflowException as error:
        equal(what, error.error_code, "RESOURCE_DOES_NOT_EXIST")
    else:
        check(what, False, "is still there")


# What MLflow's client does, read by the program.


def verify(program, what, mentions, name=NAME):
    """The history is not what it was, and the program says of what."""
    problems = program.json("models", "history", name, "--verify", status=ALTERED)["problems"]
    said = "; ".join(problems)
    check(f"{what}: {said}", all(mention in said for mention in mentions), f"{mentions} is not mentioned")


def check_registration(program, client, out, second):
    """Versions that MLflow's client makes of the second model."""
    made = mlflow.register_model(f"models:/{second['model_id']}", NAME, tags={"by": "MLflow"})
    equal("number of MLflow's version", int(made.version), 3)
    client.set_registered_model_alias(NAME, "canary", made.version)
    client.set_model_version_tag(NAME, made.version, "ticket", "42")
    client.update_model_version(NAME, made.version, "made by MLflow's client")
    found = check_shown(program, client, "a version by MLflow")
    third = found["versions"][2]
    shown = [third[key] for key in ["description", "aliases", "model_id"]] + [third["tags"]["ticket"]]
    equal("MLflow's version", shown, ["made by MLflow's client", ["canary"], second["model_id"], "42"])

    by_run = mlflow.register_model(f"runs:/{second['run_id']}/model", NAME)
    # As MLflow 2 did it: the files are among the run's artifacts.
    client.log_artifacts(second["run_id"], second["model"], "older")
    place = f"{client.get_run(second['run_id']).info.artifact_uri}/older"
    by_place = client.create_model_version(NAME, place, run_id=second["run_id"])
    check_shown(program, client, "versions by a run and by its files")
    events = out / "holdout.csv"
    labels, probabilities = program.predict(f"models:/{NAME}/2", events)
    for what in ["@canary", f"/{by_run.version}", f"/{by_place.version}"]:
        found = program.predict(f"models:/{NAME}{what}", events)
        equal(f"verdicts of MLflow's version {what}", found[0], labels)
        close(f"probabilities of MLflow's version {what}", found[1], probabilities)
    for uri in [f"models:/{second['model_id']}", f"runs:/{second['run_id']}/model"]:
        close(f"probabilities of {uri}", program.predict(uri, events)[1], probabilities)


def check_tampering(program, client):
    """An alias, an entry of the history and the name, changed and put back."""
    client.set_registered_model_alias(NAME, "champion", "2")
    verify(program, "the champion was moved", ["version 2", "version 1"])
    client.delete_registered_model_alias(NAME, "champion")
    verify(program, "the champion was taken away", ["none", "version 1"])
    client.set_registered_model_alias(NAME, "champion", "1")
    equal("the champion, moved back", program.json("models", "history", NAME, "--verify")["problems"], [])

    entries = {key: text for key, text in client.get_registered_model(NAME).tags.items() if key.startswith(HISTORY)}
    key = sorted(entries)[1]
    client.set_registered_model_tag(NAME, key, entries[key].replace("no gain is enough", "no gain is wanted"))
    verify(program, "an entry was changed", [key])
    client.delete_registered_model_tag(NAME, key)
    verify(program, "an entry was taken out", ["missing"])
    client.set_registered_model_tag(NAME, key, entries[key])
    equal("the entry, put back", program.json("models", "history", NAME, "--verify")["problems"], [])

    client.rename_registered_model(NAME, COPY)
    verify(program, "the model was renamed", [f"`{NAME}`"], COPY)
    client.rename_registered_model(COPY, NAME)
    equal("the name, put back", program.json("models", "history", NAME, "--verify")["problems"], [])


def check_deletion(program, client, second):
    """Versions that one deletes are gone for the other, with their aliases, and their numbers are not given again."""
    client.delete_model_version(NAME, "5")
    found = check_shown(program, client, "a version deleted by MLflow")
    equal("versions that are left", [version["version"] for version in found["versions"]], [1, 2, 3, 4])
    program.text("predict", f"models:/{NAME}/5", "data/sample_events.csv", status=2)
    program.json("models", "delete", f"models:/{NAME}/3", "--reason", "the check has seen it")
    gone(lambda: client.get_model_version(NAME, "3"), "a version that the program deleted")
    found = check_shown(program, client, "a version deleted by the program")
    equal("aliases that are left", found["aliases"], {"champion": 1})
    program.json("models", "delete", f"models:/{NAME}/4")
    made = program.json("models", "register", f"runs:/{second['run_id']}/model", NAME, "--alias", "")
    equal("number after deletions", (made["version"], made["aliases"]), (6, []))
    check_shown(program, client, "registered after deletions")
    equal("the history, at the end", program.json("models", "history", NAME, "--verify")["problems"], [])


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--serve"]
    if len(arguments) != 3:
        sys.exit(__doc__)
    binary, uri, out = pathlib.Path(arguments[0]).resolve(), arguments[1], pathlib.Path(arguments[2]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    # As an exit, so that the scoring server ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    program = Program(binary, uri)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient(uri, uri)
    first, second = live(program, client, out)
    edit(program, client)
    check_predictions(program, out, first, "--serve" in sys.argv)
    check_folder(program, client, out)
    check_registration(program, client, out, second)
    check_tampering(program, client)
    check_deletion(program, client, second)
    print(f"mlflow {mlflow.__version__} and the program agree on registered models")


if __name__ == "__main__":
    main()
