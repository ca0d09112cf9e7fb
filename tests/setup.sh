#!/usr/bin/env bash
# Brings a fresh Debian 12 or Ubuntu 24.04 to where Ringfence builds and its tests run. Installs only what is missing; running it again
# does nothing. Needs root only when something is missing. With the argument `test` also what only the tests need, with `bench` what only
# `make bench` needs.
set -euo pipefail

RUST_MINOR=90 # rust-version in Cargo.toml: 1.90

missing=()
need() { # need COMMAND-OR-FILE PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing+=("$2")
}
need gcc gcc
need /usr/include/stdio.h libc6-dev
need /usr/include/linux/bpf.h linux-libc-dev
need make make
need pkg-config pkg-config
need clang clang
need clang-format clang-format
need /usr/include/libelf.h libelf-dev
need /usr/include/zlib.h zlib1g-dev
need protoc protobuf-compiler
need ip iproute2
need git git
need curl curl
need /etc/ssl/certs/ca-certificates.crt ca-certificates
if [ "${1:-}" = test ]; then
    need ethtool ethtool
    need ping iputils-ping
    # Clients of DHCP and router advertisements, and who asks for neighbours.
    need busybox busybox
    need dhclient isc-dhcp-client
    need rdisc6 ndisc6
    need arping iputils-arping
    # Guests, and what they boot from.
    need qemu-system-x86_64 qemu-system-x86
    need cpio cpio
fi
if [ "${1:-}" = bench ]; then
    # What Ringfence is compared with. Only comparing needs it.
    need iptables-restore iptables
    need ipset ipset
    need nft nftables
    need chrt util-linux
fi

if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "setup: these packages are missing and only root can install them: ${missing[*]}" >&2
        exit 1
    fi
    echo "setup: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# shellcheck source=/dev/null
[ ! -f "${CARGO_HOME:-$HOME/.cargo}/env" ] || . "${CARGO_HOME:-$HOME/.cargo}/env"
minor=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
if [ "${minor:-0}" -lt "$RUST_MINOR" ]; then
    echo "setup: installing Rust (found: $(cargo --version 2>/dev/null || echo none), needed: 1.$RUST_MINOR)"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -y -q --profile minimal --default-toolchain stable -c rustfmt -c clippy
fi

if [ "${1:-}" = test ] && ! cargo deny --version >/dev/null 2>&1; then
    echo "setup: building cargo-deny"
    cargo install --quiet --locked --debug --version 0.20.2 cargo-deny # --debug: it runs once, its build counts more than its speed
fi
