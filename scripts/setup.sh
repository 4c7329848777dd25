#!/usr/bin/env bash
# Everything winbridge's demo and tests need on a Debian or Ubuntu machine; a second run finds it all and is quick.
#
#   PYTHON=python3.12 scripts/setup.sh     with another interpreter (3.10 or newer)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python3}
VENV_PYTHON=.venv/bin/python
LOG=.cache/setup.log

say() { printf '==> %s\n' "$*"; }
loud() { printf '!!! %s\n' "$@" >&2; }
die() { loud "$@"; exit 1; }

# Runs a command with its output in the log and a dot every two seconds; the log's tail is shown if it fails.
quietly() {
    local title=$1 started=$SECONDS dots status=0
    shift
    printf '==> %s ' "$title"
    printf '\n--- %s: %s\n' "$title" "$*" >>"$LOG"
    while sleep 2 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do printf .; done &
    dots=$!
    "$@" >>"$LOG" 2>&1 </dev/null || status=$?
    kill "$dots" 2>/dev/null && wait "$dots" 2>/dev/null || true
    if ((status)); then
        printf ' failed after %d s (all of it: %s)\n' $((SECONDS - started)) "$LOG"
        tail -n 15 "$LOG" | sed 's/^/    | /'
    else
        printf ' done, %d s\n' $((SECONDS - started))
    fi
    return "$status"
}

require_python() {
    command -v "$PYTHON" >/dev/null || die "$PYTHON is not on PATH: name another interpreter, PYTHON=... make demo"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        die "winbridge needs Python 3.10 or newer, and $PYTHON is $("$PYTHON" -V): name another, PYTHON=... make demo"
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$PYTHON cannot make virtual environments: install its venv and ensurepip modules"
}

# What decides whether .venv is current: the interpreter, the place of the checkout, and the two build files.
environment_key() {
    { "$PYTHON" -c 'import sys; print(sys.version, sys.base_prefix)'; pwd; cat pyproject.toml setup.py; } | sha256sum
}

environment() {
    local stamp=.venv/.winbridge-stamp key
    key=$(environment_key)
    [[ -x $VENV_PYTHON && -f $stamp && $(<"$stamp") == "$key" ]] && return
    quietly "Python environment .venv ($("$PYTHON" -V))" "$PYTHON" -m venv --clear .venv || exit 1
    quietly "Python packages into .venv, Windows agents built" \
        .venv/bin/pip --disable-pip-version-check install --editable '.[dev]' || exit 1
    printf '%s\n' "$key" >"$stamp"
}

agents_are_current() {
    local agent
    for agent in winbridge/agents/winbridge-agent{32,64}.exe; do
        [[ -f $agent && -z $(find native/agent setup.py -newer "$agent" -type f -print -quit) ]] || return 1
    done
}

agents() {
    agents_are_current || quietly "Windows agents from native/agent" \
        "$VENV_PYTHON" setup.py build_agents --inplace || exit 1
}

# WINBRIDGE_BUILD_EXTENSION=0 leaves it out; without it, all works in Python alone.
extension() {
    local built sources=(native/extension native/agent/wire.h winbridge/core/impl.py setup.py)
    [[ ${WINBRIDGE_BUILD_EXTENSION-} != 0 ]] || return 0
    built=winbridge/_native$("$VENV_PYTHON" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
    [[ -f $built && -z $(find "${sources[@]}" -newer "$built" -type f -print -quit) ]] && return
    WINBRIDGE_BUILD_EXTENSION=1 quietly "C extension from native/extension" \
        "$VENV_PYTHON" setup.py build_ext --inplace || loud "winbridge runs without its C extension, only slower"
}

source scripts/system_packages.sh

mkdir -p .cache
system_tools
require_python
wine_packages
environment
agents
extension
"$VENV_PYTHON" -m winbridge.core.prefix </dev/null
"$VENV_PYTHON" scripts/windows_python.py </dev/null
"$VENV_PYTHON" scripts/cpython_tests.py </dev/null
"$VENV_PYTHON" scripts/binding_packages.py </dev/null
