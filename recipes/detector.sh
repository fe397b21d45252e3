#!/usr/bin/env bash
# Rebuilds the detector that scores pictures (`fantascope eval`), on one CPU core and without a GPU, in about forty minutes.
#
# It learns from drawing styles that the embedded checkpoint never sees (`trains = "detector"` in sources.toml); its
# objects, threshold and ceiling are then found on composed pictures in the checkpoint's styles. The command can be
# killed and started again; it goes on where it was. SOURCES is the folder that embedded.sh fills. The shipped one has the
# net that this trains; its reader of colours, threshold and ceiling were made later, with `--net FOLDER`.
#
#   pip install 'fantascope[train]' && SOURCES=out/embedded/sources bash recipes/detector.sh
set -euo pipefail

RUN=${RUN:-out/detector}
export OMP_WAIT_POLICY=PASSIVE

fantascope train detector --sources "$SOURCES" --run "$RUN" --out "$RUN/detector" --cache "$RUN/rasters" \
  --steps 4200 --batch 32 --rate 2e-3 --warmup 100 --cooldown 0.35
