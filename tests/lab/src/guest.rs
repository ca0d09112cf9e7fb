//! Real guests: kernels of a distribution in QEMU, emulated, on the TAP devices of a lab's hosts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{daemon::Daemon, lab::Host, layout::Attachment, wait};

/// Of the guest; its kernel and what it runs need half of it.
const MEMORY_MIB: &str = "160";

/// What guests boot from.
#[derive(Clone, Debug)]
pub struct Image {
    kernel: PathBuf,
    initramfs: PathBuf,
}

/// A machine that runs; ended when dropped.
#[derive(Debug)]
pub struct Guest {
    machine: Daemon,
    console: PathBuf,
}

impl Image {
    /// Makes it, or takes the one that is there.
    pub fn make() -> Result<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the lab is not in the tree")?;
        let script = tests.join("guest/make.sh");
        let status = Command::new(&script).status().with_context(|| format!("cannot run {}", script.display()))?;
        if !status.success() {
            bail!("{} ended with {status}", script.display());
        }
        let made = tests.join("../target/guest");
        Ok(Self { kernel: made.join("vmlinuz"), initramfs: made.join("initramfs.gz") })
    }
}

impl Guest {
    /// Boots a guest behind an interface's device. `asks` is what its `init` reads, as words of its command line
    /// without their `rf.`; what it says goes to a file in `directory`.
    pub fn boot(
        image: &Image,
        host: &Host,
        link: &Attachment,
        asks: &[(&str, String)],
        directory: &Path,
    ) -> Result<Self> {
        let console = directory.join(format!("{}.console", link.workload));
        let asks: Vec<String> = asks.iter().map(|(word, value)| format!("rf.{word}={value}")).collect();
        let append = format!("console=ttyS0 quiet panic=-1 {}", asks.join(" "));
        let text = |path: &Path| path.display().to_string();
        // Emulated, since a machine that tests run on seldom lets its own guests have guests. "pc" boots every time.
        let arguments = [
            ["-accel", "tcg"].map(str::to_owned),
            ["-M", "pc"].map(str::to_owned),
            ["-cpu", "max"].map(str::to_owned),
            ["-m", MEMORY_MIB].map(str::to_owned),
            ["-display", "none"].map(str::to_owned),
            ["-serial".to_owned(), format!("file:{}", text(&console))],
            ["-kernel".to_owned(), text(&image.kernel)],
            ["-initrd".to_owned(), text(&image.initramfs)],
            ["-append".to_owned(), append],
            ["-netdev".to_owned(), format!("tap,id=n0,ifname={},script=no,downscript=no", link.device)],
            ["-device".to_owned(), format!("virtio-net-pci,netdev=n0,mac={},romfile=", link.mac)],
        ];
        let flags = ["-nodefaults", "-no-user-config", "-no-reboot"].into_iter().map(Into::into);
        let arguments = arguments.into_iter().flatten().map(Into::into).chain(flags).collect();
        let log = directory.join(format!("{}.log", link.workload));
        let machine = Daemon::start(&host.namespace, "qemu-system-x86_64".into(), arguments, log)?;
        Ok(Self { machine, console })
    }

    /// What it said so far of what it does.
    pub fn says(&self) -> Vec<String> {
        let console = fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).replace('\r', "");
        console.lines().filter_map(|line| Some(line.split_once("rf: ")?.1.to_owned())).collect()
    }

    /// Waits until it has done all; what it said.
    pub fn finish(&mut self, patience: Duration) -> Result<Vec<String>> {
        let ended = wait::until("the guest has done all", patience, || {
            self.machine.check()?;
            if let Some(failed) = self.says().iter().find(|line| line.starts_with("failed: ")) {
                bail!("the guest {failed}");
            }
            Ok(self.says().iter().any(|line| line == "end"))
        });
        let console = fs::read(&self.console).unwrap_or_default();
        ended.with_context(|| String::from_utf8_lossy(&console).into_owned())?;
        Ok(self.says())
    }
}
