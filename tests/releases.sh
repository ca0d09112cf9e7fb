#!/usr/bin/env bash
# Builds the programs of a release from the commit that CHANGELOG.md names, once: tests/releases.sh VERSION. Its last line is their folder.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?tests/releases.sh VERSION}
commit=$(sed -n "/^## $version /,/^## /p" CHANGELOG.md | grep -oE '\b[0-9a-f]{40}\b' | head -n 1 || true)
if [ -z "$commit" ]; then
    echo "CHANGELOG.md names no commit for release $version" >&2
    exit 1
fi
if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    echo "release $version was built from commit $commit, which this clone lacks: fetch the whole history (git fetch --unshallow)" >&2
    exit 1
fi

place=$PWD/target/releases/$version
mkdir -p "$place"
exec 9>"$place.lock" # tests may run beside each other
flock 9
if [ "$(cat "$place/commit" 2>/dev/null)" != "$commit" ]; then
    rm -rf "$place"
    mkdir -p "$place/source" "$place/bin"
    git archive "$commit" | tar -x -C "$place/source"
    # A folder of its own: cargo would take these packages for the ones of this tree. Nobody measures them, and nothing of the build is kept,
    # so the quickest will do.
    (cd "$place/source" && CARGO_INCREMENTAL=0 cargo build --quiet --locked --target-dir "$place/build" -p ringfence-controller -p ringfence-agent --bins \
        --config 'profile.dev.package."*".opt-level=0' --config 'profile.dev.package."*".debug=false' --config 'profile.dev.debug=false') >&2
    cp "$place/build/debug/"{ringfence,ringfence-controller,ringfence-agent} "$place/bin/"
    rm -rf "$place/source" "$place/build"
    echo "$commit" >"$place/commit"
fi
echo "$place/bin"
