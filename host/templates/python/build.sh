#!/bin/sh
# Builds the plugin, with what is installed in .venv, or else on PATH.
set -eu
cd "$(dirname "$0")"
PATH="$PWD/.venv/bin:$PATH"
if ! command -v componentize-py > /dev/null; then
  echo "componentize-py is not installed here: {{install}}" >&2
  exit 1
fi
echo "building {{name}}.wasm: it takes some seconds"
componentize-py --wit-path vendor/wit/v0.1 --world {{role}}-plugin componentize plugin \
  -p src -p vendor/pelton-sdk/python -o {{name}}.wasm
