# shellcheck shell=bash
# Sourced by the benchmarks: the virtual environment for requirements.txt in the folder $here, made when it is missing.
# Sets cache and python, and lets scripts import what is in this folder. Needs Python 3.11 or later with venv.
cache=${PHANTOMNET_CACHE:-$HOME/.cache/phantomnet}
export PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore PYTHONPATH=${here:?}/../common

venv=$cache/venv-$(sha256sum "$here/requirements.txt" | cut -c1-16)
python=$venv/bin/python
mkdir -p "$cache"
(
    flock 9
    if [[ ! -e $venv/complete ]]; then
        # What an installation that was stopped left behind.
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
        touch "$venv/complete"
    fi
) 9>"$cache/lock"
