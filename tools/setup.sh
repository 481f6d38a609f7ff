#!/bin/sh
# Usage: tools/setup.sh runtime|dev      Makes .venv from the lock file; instant when nothing has changed.
set -eu
cd "$(dirname "$0")/.."
kind=$1
lock=requirements.txt
[ "$kind" = dev ] && lock=requirements-dev.txt

say() { printf 'stellwerk: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# The stamp is what was installed, and where: a changed lock, entry point or a moved folder installs again.
wanted() { { cat "$1" pyproject.toml; pwd; } | cksum; }
stamped() { [ -x .venv/bin/python ] && [ "$(cat ".venv/.$1" 2>/dev/null)" = "$(wanted "$2")" ]; }
ready() {
    stamped "$kind" "$lock" || { [ "$kind" = runtime ] && stamped dev requirements-dev.txt; }
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# The Python asked for (make PYTHON=...), else the first that is new enough.
choose_python() {
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if new_enough "$python"; then return; fi
    done
    found=$("${PYTHON:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || found="not there"
    fail "needs Python 3.11 or newer (${PYTHON:-python3} is $found); fix: apt install python3-venv" \
        "(Debian 12, Ubuntu 24.04 or newer), or name one: make PYTHON=<path>"
}

make_venv() {
    choose_python
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python has no venv module; fix: apt install $(basename "$python")-venv"
    "$python" -m venv --clear .venv || fail "$python could not make .venv; fix: look at the lines above, then make setup"
}

install() {
    # What an interrupted start or a removed Python left behind is made anew.
    { new_enough .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; } || make_venv
    say "installing pinned packages into .venv (first time about 1 minute) ..."
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
    # Wheels only: no compiler is needed, and no setup code of a package runs.
    .venv/bin/python -m pip install -q --require-hashes --only-binary :all: -r "$lock" ||
        fail "pip could not install $lock (lines above); fix: check network and proxy, then make setup"
    .venv/bin/python -m pip install -q --no-index --no-deps --no-build-isolation -e . ||
        fail "the project itself could not be installed (lines above); fix: make clean, then make setup"
    wanted requirements.txt > .venv/.runtime
    [ "$kind" = runtime ] || wanted "$lock" > ".venv/.$kind"
}

ready && exit 0
# Two makes at once: the second waits, then finds the work done. (flock is part of every Linux.)
if command -v flock >/dev/null; then
    exec 9< pyproject.toml
    flock 9
    ready && exit 0
fi
install
