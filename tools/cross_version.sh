#!/bin/sh
# Usage: tools/cross_version.sh      The demo's receipt must have the same bytes on another Python version.
set -eu
cd "$(dirname "$0")/.."
here=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
other=3.13
[ "$here" = 3.13 ] && other=3.11

runs() { "$1" -c "import sys, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$other')" >/dev/null 2>&1; }
find_other() {
    python=python$other
    runs "$python" && return
    command -v pyenv >/dev/null || return 1
    python=$(pyenv prefix "$(pyenv latest "$other" 2>/dev/null)" 2>/dev/null)/bin/python
    runs "$python"
}
find_other || { echo "cross-version: skipped, python$other is not here (fix: install it, or: pyenv install $other)"; exit 0; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
PIP_DISABLE_PIP_VERSION_CHECK=1 "$work/venv/bin/python" -m pip install -q --require-hashes --only-binary :all: -r requirements.txt

# From src, not installed: nothing is built into this tree.
replay() {
    PYTHONPATH=src PYTHONDONTWRITEBYTECODE=1 "$1" -c 'from stellwerk.cli.main import main; main()' \
        replay "$demand" --receipt "$2" > /dev/null
}
for demand in ${*:-demo}; do
    replay .venv/bin/python "$work/a.json"
    replay "$work/venv/bin/python" "$work/b.json"
    cmp "$work/a.json" "$work/b.json" || { echo "cross-version: the receipt of $demand differs between Python $here and $other"; exit 1; }
    echo "cross-version: the receipt of $demand has the same bytes on Python $here and $other"
done
