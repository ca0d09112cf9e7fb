//! What the kernel must have, and waiting for its readers.

use std::io;
use std::path::Path;

use nix::libc;
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::BpfError;

/// tcx links came with 6.6.
const OLDEST: (u32, u32) = (6, 6);
/// The loopback device, which every network namespace has.
const LOOPBACK: i32 = 1;

/// Whether this kernel can run the programs and do what every pass needs, with pins in `pin_dir`
/// (which need not be there yet); the error says what is missing and what to do.
pub fn check_kernel(pin_dir: &Path) -> Result<(), BpfError> {
    check_release(&release()?)?;
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Err(BpfError::Kernel {
            missing: "no BTF at /sys/kernel/btf/vmlinux".into(),
            remedy: "boot a kernel with CONFIG_DEBUG_INFO_BTF=y and mount sysfs",
        });
    }
    check_tcx()?;
    rcu_grace_period()?;
    check_bpffs(pin_dir)
}

/// Pins can be made on a bpffs only, and on anything else all would fail one by one.
fn check_bpffs(pin_dir: &Path) -> Result<(), BpfError> {
    let lowest = pin_dir.ancestors().find(|path| path.exists()).unwrap_or(pin_dir);
    let missing = match statfs(lowest) {
        Ok(found) if found.filesystem_type() == BPF_FS_MAGIC => return Ok(()),
        Ok(_) => format!("no bpffs at {}, for the pins in {}", lowest.display(), pin_dir.display()),
        Err(errno) => format!("{} cannot be looked at: {errno}", lowest.display()),
    };
    Err(BpfError::Kernel { missing, remedy: "mount one: mount -t bpf bpf /sys/fs/bpf" })
}

fn release() -> Result<String, BpfError> {
    let uname = nix::sys::utsname::uname()
        .map_err(|errno| BpfError::Kernel { missing: format!("uname failed: {errno}"), remedy: "run on Linux" })?;
    Ok(uname.release().to_string_lossy().into_owned())
}

fn check_release(release: &str) -> Result<(), BpfError> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST {
        return Ok(());
    }
    Err(BpfError::Kernel {
        missing: format!("release {release} is older than {}.{}", OLDEST.0, OLDEST.1),
        remedy: "install a newer one (Debian 12: from bookworm-backports; Ubuntu: 24.04 or HWE)",
    })
}

/// A query of the attached programs fails at once where tcx is unknown.
fn check_tcx() -> Result<(), BpfError> {
    let mut opts =
        libbpf_sys::bpf_prog_query_opts { sz: size_of::<libbpf_sys::bpf_prog_query_opts>() as _, ..Default::default() };
    // SAFETY: opts is valid for the call and asks for no array to be filled.
    let result = unsafe { libbpf_sys::bpf_prog_query_opts(LOOPBACK, libbpf_sys::BPF_TCX_INGRESS, &raw mut opts) };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::from_raw_os_error(-result);
    let remedy = if error.kind() == io::ErrorKind::PermissionDenied {
        "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    } else {
        "boot a kernel with CONFIG_BPF_SYSCALL=y, CONFIG_NET_CLS_ACT=y and CONFIG_NET_INGRESS=y"
    };
    Err(BpfError::Kernel { missing: format!("tcx cannot be queried: {error}"), remedy })
}

/// Waits until every program that runs now has ended, so that what it might have read from a map
/// may be reused. Takes some milliseconds.
pub fn rcu_grace_period() -> Result<(), BpfError> {
    // SAFETY: membarrier takes integers only.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result == 0 {
        return Ok(());
    }
    Err(BpfError::Kernel {
        missing: format!("membarrier failed: {}", io::Error::last_os_error()),
        remedy: "boot a kernel with CONFIG_MEMBARRIER=y and without nohz_full",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_belong_on_a_bpffs() {
        let error = check_bpffs(Path::new("/proc/not/there")).unwrap_err().to_string();
        assert!(error.contains("no bpffs at /proc, for the pins in /proc/not/there"), "{error}");
        assert!(error.contains("mount -t bpf bpf /sys/fs/bpf"), "{error}");
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        for new in ["6.6.0", "6.18.44-fc", "10.0-rc1", "6.6-rc7"] {
            assert!(check_release(new).is_ok(), "{new}");
        }
        for old in ["6.5.99", "5.15.0-100-generic", "6.1.0-56-cloud-amd64", "", "weird"] {
            assert!(check_release(old).is_err(), "{old}");
        }
    }
}
