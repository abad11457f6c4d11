#!/usr/bin/env bash
# clang-format agrees with every source: format.sh ROOT
set -euo pipefail
cd "$1"
find sim models scenarios analysis validation tests -name '*.[ch]pp' -print0 |
  xargs -0 -P "$(nproc)" -n 16 clang-format-14 --dry-run -Werror
