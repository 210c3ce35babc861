# Shared by the scripts. Source it first: it finds the repository and sets strict mode.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools="$root/.tools"
cd "$root"

# What was put there by scripts/setup comes first.
export PATH="$tools/bin:$tools/go/bin:$HOME/.cargo/bin:$PATH"

if [[ -t 2 && -z "${NO_COLOR:-}" ]]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

say() { printf '%s\n' "$*" >&2; }
head_line() { printf '%s%s%s\n' "$bold" "$*" "$plain" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 2
}

# Seconds since an earlier value of SECONDS.
since() { echo $((SECONDS - $1)); }

target_dir() { echo "${CARGO_TARGET_DIR:-$root/target}"; }
