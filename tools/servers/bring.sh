#!/bin/sh
# Usage: tools/servers/bring.sh      Brings the databases that tests read from; instant when they are there.
# Debian's package is unpacked, never installed: no service starts. All lands in one folder outside the project.
set -eu
cd "$(dirname "$0")"
say() { printf 'stellwerk: %s\n' "$*" >&2; }

kept=${STELLWERK_SERVERS:-${XDG_CACHE_HOME:-${HOME:?names no folder; set STELLWERK_SERVERS=<folder>}/.cache}/stellwerk/servers}
missing=""
lacks() { missing="$missing $1"; shift; say "$*"; }
has() { [ -x "$kept/$1" ] || command -v "$1" >/dev/null; }
place() { [ -x "$kept/$1" ] && echo "$kept/$1" || command -v "$1"; }

# Another version in go.mod is another database: the stamp says what was built. What is put there by hand has none.
stamp() { cat victoriametrics/go.mod victoriametrics/go.sum | cksum; }
built() {
    if [ ! -x "$kept/victoria-metrics" ]; then command -v victoria-metrics >/dev/null; return; fi
    [ ! -e "$kept/victoria-metrics.stamp" ] || [ "$(cat "$kept/victoria-metrics.stamp")" = "$(stamp)" ]
}
ready() { has prometheus && has promtool && built; }

listed() { apt-cache show prometheus >/dev/null 2>&1; }

download() (cd "$work" && apt-get download -qq prometheus >apt.log 2>&1 && dpkg -x prometheus_*.deb unpacked)

unpack() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || {
        lacks prometheus "prometheus and promtool are missing, and this is not Debian;" \
            "fix: put both into PATH, or into $kept"
        return 0
    }
    listed || [ "$(id -u)" != 0 ] || apt-get update -qq >&2 || true
    listed || {
        lacks prometheus "apt knows no package prometheus; fix: as root, apt-get update, then make servers"
        return 0
    }
    say "downloading Debian's prometheus (18 MiB) ..."
    # Old lists name a version that the mirror has no more.
    { download || { [ "$(id -u)" = 0 ] && apt-get update -qq >&2 && download; }; } || {
        sed 's/^/    /' "$work/apt.log" >&2
        lacks prometheus "prometheus could not be downloaded (lines above);" \
            "fix: check network and proxy, as root apt-get update, then make servers"
        return 0
    }
    mv "$work/unpacked/usr/bin/promtool" "$work/unpacked/usr/bin/prometheus" "$kept/"
}

build() {
    command -v go >/dev/null || {
        lacks victoria-metrics "VictoriaMetrics is built with Go, and there is no go in PATH;" \
            "fix: install Go 1.26 or newer (go.dev/dl), then make servers; or put victoria-metrics into $kept"
        return 0
    }
    say "building VictoriaMetrics (first time about 1 minute) ..."
    (cd victoriametrics && go build -mod=readonly -o "$work/victoria-metrics" \
        github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics) >"$work/go.log" 2>&1 || {
        tail -n 5 "$work/go.log" | sed 's/^/    /' >&2
        lacks victoria-metrics "VictoriaMetrics could not be built with $(go version) (lines above);" \
            "fix: Go 1.26 or newer and a network that reaches its modules, then make servers"
        return 0
    }
    mv "$work/victoria-metrics" "$kept/"
    stamp > "$kept/victoria-metrics.stamp"
}

bring() {
    mkdir -p "$kept" 2>/dev/null && [ -w "$kept" ] || {
        say "$kept cannot be written; fix: STELLWERK_SERVERS=<folder> names another"
        exit 1
    }
    # Two makes at once: the second waits, then finds the work done. (flock is part of every Linux.)
    if command -v flock >/dev/null; then
        exec 9< "$kept"
        flock 9
    fi
    # Beside the programs, so that mv replaces them in one step: a test may be running the old ones.
    work=$(mktemp -d "$kept/.work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    { has prometheus && has promtool; } || unpack
    built || build
}

ready || bring
[ -z "$missing" ] || { say "tests that need$missing are skipped (with CI=true: fail)"; exit 1; }
say "$(place prometheus), $(place promtool), $(place victoria-metrics)"
