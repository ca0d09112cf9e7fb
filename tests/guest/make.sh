#!/usr/bin/env bash
# Makes what a guest of the lab boots from, in target/guest: a kernel of the distribution, taken from its package without installing that,
# and an initramfs of busybox, the modules that virtio needs, and probe.rs. Downloads about 30 MB once; run again it does nothing unless a
# file here changed. Prints nothing unless it works.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
guest=$here/../../target/guest
mkdir -p "$guest"
cd "$guest"

unpacked() { # unpacked PACKAGE FOLDER: what a package holds, not installed
    echo "guest: fetching $1"
    apt-get download -qq -o APT::Sandbox::User=root "$1"
    dpkg-deb -x "$1"_*.deb "$2"
    rm "$1"_*.deb
}

if [ ! -e vmlinuz ]; then
    . /etc/os-release
    meta=linux-image-cloud-amd64
    [ "$ID" != ubuntu ] || meta=linux-image-virtual
    [ -n "$(apt-cache depends $meta 2>/dev/null)" ] || apt-get update -qq
    package=$(apt-cache depends $meta | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')
    [ -n "$package" ] || { echo "guest: no kernel package behind $meta" >&2; exit 1; }
    # The static busybox may not be installed beside the other one.
    unpacked busybox-static kernel
    # On Ubuntu the modules are a package of their own; virtio is built in there.
    unpacked "$package" kernel
    cp kernel/boot/vmlinuz-* vmlinuz
fi

if [ -n "$(find "$here" -newer initramfs.gz 2>/dev/null)" ] || [ ! -e initramfs.gz ]; then
    rm -rf root
    mkdir -p root/bin root/modules
    cp "$(find kernel -path '*bin/busybox' -print -quit)" root/bin/busybox
    cp "$here/init" root/init
    cp "$here/dhcp" root/bin/dhcp
    chmod +x root/init root/bin/dhcp
    rustc --edition 2024 -O -C target-feature=+crt-static -o root/bin/probe "$here/probe.rs"
    # In the order in which they go in.
    n=10
    for module in failover net_failover virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_net; do
        file=$(find kernel -name "$module.ko" -print -quit 2>/dev/null || true)
        [ -z "$file" ] || cp "$file" "root/modules/$n-$module.ko"
        n=$((n + 1))
    done
    (cd root && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) > initramfs.new
    mv initramfs.new initramfs.gz
fi
