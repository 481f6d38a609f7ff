#!/bin/sh
# Usage: tools/lock.sh [--upgrade]      Writes requirements.txt and requirements-dev.txt from pyproject.toml.
# Hashes cover every wheel of a version, so one lock serves Linux and macOS, x86-64 and Arm, Python 3.11 and newer.
set -eu
cd "$(dirname "$0")/.."
sh tools/setup.sh runtime
[ -x .venv/lock/bin/pip-compile ] || {
    .venv/bin/python -m venv .venv/lock
    .venv/lock/bin/python -m pip install -q pip-tools==7.6.2
}
compile() {
    # No header, index or find-links: the lock must be the same whoever writes it. setuptools is pinned as well,
    # since the project itself is installed without build isolation.
    .venv/lock/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --build-deps-for editable \
        --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options "$@" pyproject.toml
}
compile "$@" -o requirements.txt
compile "$@" --extra dev -c requirements.txt -o requirements-dev.txt
