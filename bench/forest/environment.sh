# Sourced by the scripts beside it: the virtual environment of the peers and the release build of ours.
# Sets python, ours, cache and shared. Needs cargo, cc, and Python 3.11 or later with venv.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
shared=$here/../../../shared/data
source "$here/../common/python.sh"

ours_target=${CARGO_TARGET_DIR:-$here/../../target/forest-bench}
CARGO_TARGET_DIR=$ours_target cargo build --quiet --release --manifest-path "$here/ours/Cargo.toml"
ours=$ours_target/release/phantomnet-forest-bench
