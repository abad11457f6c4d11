#!/usr/bin/env bash
# Every header compiles with nothing included before it: headers_alone.sh ROOT COMPILER [FLAGS...]
# A header that some .cpp includes first is proven by the build; the others are compiled here.
set -euo pipefail
cd "$1"
shift
export command_line="$*"
compile() {
  # shellcheck disable=SC2086  # flags are words
  echo "#include \"$1\"" | $command_line -std=c++20 -I. -fsyntax-only -x c++ - ||
    { echo "does not compile alone: $1"; exit 1; }
}
export -f compile
folders=(sim models scenarios analysis validation)
first_include='/^#include/ && !seen[FILENAME]++ {gsub(/"/, "", $2); print $2}'
comm -23 <(find "${folders[@]}" -name '*.hpp' | sort) \
  <(find "${folders[@]}" -name '*.cpp' -exec awk "$first_include" {} + | sort -u) |
  xargs -P "$(nproc)" -I{} bash -c 'compile {}'
