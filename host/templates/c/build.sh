#!/bin/sh
# Builds the plugin, with what is installed in .venv. CC may name another compiler for wasm32-wasi.
set -eu
cd "$(dirname "$0")"
PATH="$PWD/.venv/bin:$PATH"
if [ -z "${CC:-}" ] && ! python3 -c 'import ziglang' 2> /dev/null; then
  echo "ziglang is not installed here: {{install}}" >&2
  exit 1
fi
[ -e {{name}}.wasm ] || echo "building {{name}}.wasm: the first time it compiles the C library too, which may take minutes"
${CC:-python3 -m ziglang cc} --target=wasm32-wasi -mexec-model=reactor -std=c11 -O2{{define}} -Wall -Wl,--strip-debug \
  -I vendor/pelton-sdk/c src/plugin.c vendor/pelton-sdk/c/pelton.c -o {{name}}.wasm
