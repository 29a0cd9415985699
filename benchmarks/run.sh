#!/usr/bin/env bash
# All benchmarks in one run, on one core, and the table of their figures.
#
#   benchmarks/run.sh [DATASET]     DATASET: labelled single faces for the made scenes
#                                   (default: the public-domain portraits that scikit-image and matplotlib ship)
#
# PYTHON  the interpreter (default: .venv); with TensorFlow in it the ancestor runs in Keras too
# OUT     folder for the JSON files (default: benchmarks/results)
# ROUNDS, FILMS, EMPTY_MINUTES  how thorough (default: 9, 24, 60)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=${OUT:-benchmarks/results}
mkdir -p "$out"
export TF_CPP_MIN_LOG_LEVEL=3

"$python" -m edge_agent models fetch res10 >/dev/null
"$python" -m benchmarks.loop --rounds "${ROUNDS:-9}" --json "$out/loop.json" >/dev/null
"$python" -m benchmarks.networks --json "$out/networks.json"
"$python" -m benchmarks.startup --json "$out/startup.json" >/dev/null
"$python" -m benchmarks.events ${1+"$1"} --films "${FILMS:-24}" --empty-minutes "${EMPTY_MINUTES:-60}" \
  --json "$out/events.json"
"$python" -m benchmarks.report "$out" --json "$out/all.json"
