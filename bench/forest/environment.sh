# Sourced by the scripts beside it: the virtual environment of the peers and the release build of ours.
# Sets python, ours, cache and shared. Needs cargo, cc, and Python 3.11 or later with venv.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${PHANTOMNET_CACHE:-$HOME/.cache/phantomnet}
shared=$here/../../../shared/data
export PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore

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

ours_target=${CARGO_TARGET_DIR:-$here/../../target/forest-bench}
CARGO_TARGET_DIR=$ours_target cargo build --quiet --release --manifest-path "$here/ours/Cargo.toml"
ours=$ours_target/release/phantomnet-forest-bench
