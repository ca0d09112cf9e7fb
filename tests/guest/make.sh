#!/usr/bin/env bash
# Makes what a guest of the lab boots from, in target/guest: a kernel of the distribution, taken from its package without installing that,
# and an initramfs of busybox, the modules that virtio needs, and probe.rs. Downloads about 30 MB once; run again it does nothing unless a
# file here changed. Prints nothing unless it works.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
guest=$here/../../target/guest
mkdir -p "$guest"
cd "$guest"

if [ ! -e vmlinuz ]; then
    . /etc/os-release
    meta=linux-image-cloud-amd64
    [ "$ID" != ubuntu ] || meta=linux-image-virtual
    [ -n "$(apt-cache depends $meta 2>/dev/null)" ] || apt-get update -qq
    package=$(apt-cache depends $meta | awk '/Depends: linux-image-[0-9]/ {print $2; exit}')
    [ -n "$package" ] || { echo "guest: no kernel package behind $meta" >&2; exit 1; }
    echo "guest: fetching $package"
    # On Ubuntu the modules are a package of their own; virtio is built in there.
    apt-get download -qq -o APT::Sandbox::User=root "$package"
    dpkg-deb -x "$package"_*.deb kernel
    rm "$package"_*.deb
    cp kernel/boot/vmlinuz-* vmlinuz
fi

if [ -n "$(find "$here" -newer initramfs.gz 2>/dev/null)" ] || [ ! -e initramfs.gz ]; then
    rm -rf root
    mkdir -p root/bin root/modules
    cp "$(command -v busybox)" root/bin/busybox
    cp "$here/init" root/init
    cp "$here/dhcp" root/bin/dhcp
    chmod +x root/init root/bin/dhcp
    rustc --edition 2024 -O -C target-feature=+crt-static -o root/bin/probe "$here/probe.rs"
    # In the order in which they go in.
    n=10
    for module in failover net_failover virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_net; do
        file=$(find kernel -name "$module.ko" -print -quit 2>/dev/null || true)
        [ -z "$file" ] || cp "$file" "root/modules/$n-$module.ko"
        n=$((n + 1))
    done
    (cd root && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) > initramfs.new
    mv initramfs.new initramfs.gz
fi
