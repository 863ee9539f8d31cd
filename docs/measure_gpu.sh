#!/bin/sh
# Measures the engine sadtalker on a GPU in about ten minutes; needs no checkpoints. Usage: docs/measure_gpu.sh [OFFICIAL_FOLDER]
# The results are printed and kept in measure_gpu.txt. Every step may fail without stopping the others.
out=measure_gpu.txt
run() { echo "== $*" | tee -a "$out"; timeout "$limit" "$@" 2>&1 | tee -a "$out"; }
: > "$out"
weights=$(mktemp -d)
trap 'rm -rf "$weights"' EXIT
limit=60
run nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv
limit=150
run python -m sadtalker_ext bench renderer --device cuda --size 256 --size 512 ${1:+--against "$1"}
limit=90
run python -m sadtalker_ext bench renderer --device cuda --dtype float16 --mode graphs
limit=120
run python -m sadtalker_ext bench renderer --device cuda --size 256 --dtype float16 --mode compiled
limit=60
run python -m sadtalker_ext weights make-random "$weights"
limit=60
run python -m sadtalker_ext bench pipeline
for size in 256 512; do
    for dtype in float32 float16 bfloat16; do
        run python -m sadtalker_ext animate "$(python -c 'from sadtalker_ext.assets import demo_portrait; print(demo_portrait())')" \
            "$(python -c 'from sadtalker_ext.assets import demo_voice; print(demo_voice())')" -o "$weights/$size.mp4" \
            --engine sadtalker --size "$size" --device cuda --dtype "$dtype" --folder "$weights" --json
    done
done
