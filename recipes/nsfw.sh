#!/usr/bin/env bash
# Writes the graph of the picture classifier (src/fantascope/weights/nsfw) again: half a minute on one core. Its weights
# do not ship; a user unpacks them with the two commands that `fantascope policy detector` prints.
#
#   pip install 'fantascope[train]' && bash recipes/nsfw.sh
set -euo pipefail

RUN=${RUN:-out/nsfw}
mkdir -p "$RUN"
(cd "$RUN" && npm pack nsfwjs@4.3.0)
python recipes/nsfw.py "$RUN/nsfwjs-4.3.0.tgz" "$RUN/built"
cp "$RUN/built/model.onnx" "$RUN/built/classifier.json" src/fantascope/weights/nsfw/
