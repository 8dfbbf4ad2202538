#!/usr/bin/env bash
# Opens copies of a tracking database with other MLflow releases and runs check_run.py on each copy.
#
#   check_versions.sh DATABASE RUN_JSON CACHE PYTHON
#
# Each release gets a virtual environment of its own under CACHE. A release that cannot be installed is named and left
# out; that none can is an error.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
database=$1 run_json=$2 cache=$3 python=$4

# A release and what it runs on. 3.18.0 needs companion packages that were not published with it, so its own code,
# which is complete, runs on the dependencies of 3.17.2.
releases=(
    "3.10.1 mlflow==3.10.1 onnx==1.23.2 onnxruntime==1.32.0 sqlalchemy<2.1"
    "3.18.0 mlflow==3.17.2 onnx==1.23.2 onnxruntime==1.32.0"
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checked=0
for line in "${releases[@]}"; do
    read -r release rest <<<"$line"
    read -ra packages <<<"$rest"
    venv=$cache/venv-mlflow-$release
    if [[ ! -e $venv/complete ]]; then
        echo "installing mlflow $release"
        rm -rf "$venv"
        "$python" -m venv "$venv"
        pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
        if ! { "${pip[@]}" "${packages[@]}" && "${pip[@]}" --no-deps "mlflow==$release"; } 2>"$work/pip"; then
            tail -n 3 "$work/pip"
            echo "SKIPPED: mlflow $release cannot be installed from the package index"
            rm -rf "$venv"
            continue
        fi
        touch "$venv/complete"
    fi
    # MLflow migrates what it opens, so each release gets the file as the program left it.
    copy=$work/mlflow-$release.db
    "$python" -c 'import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as source, sqlite3.connect(sys.argv[2]) as copy:
    source.backup(copy)' "$database" "$copy"
    "$venv/bin/python" "$here/check_run.py" "$copy" "$run_json" | tee "$work/said"
    grep -q "^mlflow $release and" "$work/said"
    checked=$((checked + 1))
done
if ((checked == 0)); then
    echo "no other MLflow release could be tried"
    exit 1
fi
echo "$checked other MLflow releases read the database"
