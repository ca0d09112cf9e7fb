#!/usr/bin/env bash
# Runs every layer of tests, cheapest first, and ends with a table of what ran. Exit 0 only if every layer that ran passed, and, where CI
# is set, only if every layer ran.
set -uo pipefail
cd "$(dirname "$0")/.."

names=() results=() times=()
failed=0 skipped=0

layer() { # layer NAME COMMAND...
    local name=$1 start=$SECONDS
    shift
    printf '\n=== %s\n' "$name"
    if "$@"; then
        results+=(passed)
    else
        results+=(FAILED)
        failed=$((failed + 1))
    fi
    names+=("$name") times+=("$((SECONDS - start)) s")
}

not_run() { # not_run NAME REASON
    printf '\n=== %s\nnot run: %s\n' "$1" "$2"
    names+=("$1") results+=("not run: $2") times+=("")
    skipped=$((skipped + 1))
}

rooted() { # rooted NAME COMMAND...: a layer that needs root
    if [ "$(id -u)" = 0 ]; then layer "$@"; else not_run "$1" "needs root"; fi
}

format() { cargo fmt --all --check && clang-format --dry-run --Werror agent/bpf/*.[ch]; }
lints() { cargo clippy --workspace --all-targets --quiet -- -D warnings; }
unit() {
    cargo test --quiet --workspace --exclude ringfence-lab --lib --bins &&
        cargo test --quiet -p ringfence-policy -p ringfence-controller --test '*' &&
        cargo test --quiet -p ringfence-prove --test corpus --test failures
}
packets() { cargo test --quiet -p ringfence-agent --test '*' -- --test-threads=2; }
proofs() { cargo test --quiet -p ringfence-prove --test programs -- --test-threads=1; }
bench() { cargo test --quiet -p ringfence-bench --test smoke; }
lab() { cargo build --quiet --workspace --bins && cargo test --quiet -p ringfence-lab --tests -- --test-threads=1; }
licences() { cargo deny --locked check licenses bans sources; }

layer "formatting" format
layer "lints" lints
layer "licences of dependencies" licences
layer "unit, property and API tests" unit
rooted "verifier and packet tests" packets
rooted "proof chain, to the programs" proofs
rooted "lab tests" lab
rooted "bench harness" bench

printf '\n%-34s %-10s %s\n' layer time result
for i in "${!names[@]}"; do printf '%-34s %-10s %s\n' "${names[$i]}" "${times[$i]}" "${results[$i]}"; done
if [ -n "${CI:-}" ] && [ "$skipped" -gt 0 ]; then
    echo "CI: $skipped layers were not run"
    failed=$((failed + skipped))
fi
exit $((failed > 0))
