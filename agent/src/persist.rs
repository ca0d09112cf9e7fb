//! The last state that was enforced, on disk: a host that reboots without a controller enforces it again.
//!
//! One file for each domain, one for the admitted interfaces: a magic line, the SHA-256 of the rest, the rest. A file is
//! written beside and renamed over the old one, so it is the old or the new. One that is not what it claims is set aside
//! as `NAME.corrupt` and reported: better one domain denied until the controller sends it again than an agent that
//! does not start.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use prost::Message;
use ringfence_policy::{bundle::Bundle, wire};
use ringfence_proto::v1;
use sha2::{Digest, Sha256};

use crate::{lower::admit::lacking, netlink::sysctl::Setting};

/// Raised when a file's content changes its meaning.
const MAGIC: &[u8] = b"ringfence-agent-state 1\n";
const DIGEST: usize = 32;
const ADMITTED: &str = "admitted";
const DEFAULTS: &str = "defaults";
const LOCK: &str = "lock";

/// The state directory, held by this process alone.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: Flock<File>,
}

/// What was read back.
#[derive(Debug, Default)]
pub struct Loaded {
    /// By domain id.
    pub bundles: Vec<Bundle>,
    /// Interfaces the controller had admitted.
    pub admitted: BTreeSet<u32>,
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersistError {
    /// A file of it.
    #[error("state {path:?}: cannot {action}: {source}; check --state-dir and its file system")]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Another agent works with it, so also on the same programs and maps.
    #[error("state {dir:?}: another agent runs on it; stop that one, or give this one its own --state-dir and --bpffs")]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
}

/// Why a file is not what it claims.
#[derive(Debug, thiserror::Error)]
enum Corrupt {
    #[error("it does not start as a state file of this version")]
    Magic,
    #[error("its content does not match its digest")]
    Digest,
    #[error("it cannot be decoded: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("it holds no domain's whole state: {0}")]
    Bundle(#[from] wire::InvalidMessage),
    #[error(
        "it is of another version of ringfence: it needs feature {0:?}, which this agent lacks; the controller sends the \
         domain again, and unless the programs hold it still its workloads are denied until then"
    )]
    Feature(String),
}

impl Store {
    /// Opens the directory, making it if need be, and locks it until it is dropped.
    pub fn open(dir: &Path) -> Result<Self, PersistError> {
        fs::create_dir_all(dir).map_err(failed(dir, "create"))?;
        let path = dir.join(LOCK);
        let file = File::create(&path).map_err(failed(&path, "create"))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => PersistError::Locked { dir: dir.to_owned() },
            errno => failed(&path, "lock")(errno.into()),
        })?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// Everything that was kept, less what is corrupt.
    pub fn load(&self) -> Result<Loaded, PersistError> {
        let mut loaded = Loaded::default();
        for entry in fs::read_dir(&self.dir).map_err(failed(&self.dir, "list"))? {
            let path = entry.map_err(failed(&self.dir, "list"))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let read = if name == ADMITTED {
                read(&path, |bytes| Ok(v1::Admission::decode(bytes)?))?
                    .map(|admission| loaded.admitted = admission.interface_ids.into_iter().collect())
            } else if is_domain(name) {
                read(&path, domain)?.map(|bundle| loaded.bundles.push(bundle))
            } else {
                continue;
            };
            if let Err(corrupt) = read {
                tracing::error!(path = %path.display(), %corrupt, "a state file is set aside");
                fs::rename(&path, path.with_extension("corrupt")).map_err(failed(&path, "set aside"))?;
            }
        }
        Ok(loaded)
    }

    /// Keeps a domain's state.
    pub fn save_domain(&self, bundle: &Bundle) -> Result<(), PersistError> {
        self.write(&domain_file(bundle.domain_id), &wire::whole_update(bundle).encode_to_vec())
    }

    /// Forgets a domain.
    pub fn remove_domain(&self, domain_id: u32) -> Result<(), PersistError> {
        self.remove(&domain_file(domain_id))
    }

    /// Keeps which interfaces are admitted.
    pub fn save_admitted(&self, admitted: &BTreeSet<u32>) -> Result<(), PersistError> {
        let admission = v1::Admission { interface_ids: admitted.iter().copied().collect() };
        self.write(ADMITTED, &admission.encode_to_vec())
    }

    /// Keeps what new devices were born with before it was changed.
    pub fn save_defaults(&self, settings: &[Setting]) -> Result<(), PersistError> {
        let lines: String = settings.iter().map(Setting::to_line).collect();
        self.write(DEFAULTS, lines.as_bytes())
    }

    /// Reads that back; nothing if it was never changed.
    pub fn load_defaults(&self) -> Result<Vec<Setting>, PersistError> {
        let path = self.dir.join(DEFAULTS);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let lines = |bytes: &[u8]| Ok(String::from_utf8_lossy(bytes).lines().filter_map(Setting::of_line).collect());
        Ok(read(&path, lines)?.unwrap_or_else(|corrupt| {
            tracing::error!(path = %path.display(), %corrupt, "a state file is not used");
            Vec::new()
        }))
    }

    /// Forgets it.
    pub fn forget_defaults(&self) -> Result<(), PersistError> {
        self.remove(DEFAULTS)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), PersistError> {
        let path = self.dir.join(name);
        let fresh = self.dir.join(format!("{name}.new"));
        let mut file = File::create(&fresh).map_err(failed(&fresh, "create"))?;
        [MAGIC, &Sha256::digest(content), content]
            .iter()
            .try_for_each(|part| file.write_all(part))
            .and_then(|()| file.sync_all())
            .map_err(failed(&fresh, "write"))?;
        fs::rename(&fresh, &path).map_err(failed(&path, "replace"))?;
        self.sync()
    }

    fn remove(&self, name: &str) -> Result<(), PersistError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, "remove")(error)),
            // Also where it is gone already: what removed it may not have come to this.
            _ => self.sync(),
        }
    }

    /// A rename or removal lasts only once its directory is on disk.
    fn sync(&self) -> Result<(), PersistError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed(&self.dir, "sync"))
    }
}

fn read<T>(path: &Path, decode: impl FnOnce(&[u8]) -> Result<T, Corrupt>) -> Result<Result<T, Corrupt>, PersistError> {
    let bytes = fs::read(path).map_err(failed(path, "read"))?;
    Ok(content(&bytes).and_then(decode))
}

/// Features first: another version's content is not to be taken for damage.
fn domain(bytes: &[u8]) -> Result<Bundle, Corrupt> {
    let update = v1::DomainUpdate::decode(bytes)?;
    match lacking(&update.features) {
        Some(feature) => Err(Corrupt::Feature(feature.to_owned())),
        None => Ok(wire::apply_update(None, update)?),
    }
}

fn content(bytes: &[u8]) -> Result<&[u8], Corrupt> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Corrupt::Magic)?;
    let (digest, content) = rest.split_at_checked(DIGEST).ok_or(Corrupt::Digest)?;
    if Sha256::digest(content).as_slice() == digest { Ok(content) } else { Err(Corrupt::Digest) }
}

fn domain_file(domain_id: u32) -> String {
    format!("domain-{domain_id}")
}

fn is_domain(name: &str) -> bool {
    name.strip_prefix("domain-").is_some_and(|id| id.parse::<u32>().is_ok())
}

fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> PersistError {
    let path = path.to_owned();
    move |source| PersistError::File { path, action, source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ringfence_policy::bundle::{CompiledPolicy, RuleName, Topology};

    use super::*;

    fn bundle(domain_id: u32) -> Bundle {
        let default = RuleName { id: 0, name: "default/deny".to_owned(), stateless: false, log: false };
        Bundle {
            domain_id,
            name: format!("acme/{domain_id}"),
            generation: 7,
            topology: Topology { transit_vni: 9, ..Topology::default() }.into(),
            policy: CompiledPolicy { rules: vec![default], ..CompiledPolicy::default() }.into(),
            ..Bundle::default()
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let (_dir, store) = store();
        store.save_domain(&bundle(1)).unwrap();
        store.save_domain(&bundle(2)).unwrap();
        store.remove_domain(1).unwrap();
        store.save_admitted(&BTreeSet::from([3, 4])).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.bundles, [bundle(2)]);
        assert_eq!(loaded.admitted, BTreeSet::from([3, 4]));
    }

    #[test]
    fn the_defaults_of_before_are_kept_until_they_are_forgotten() {
        let (dir, store) = store();
        assert_eq!(store.load_defaults().unwrap(), []);
        let before = [Setting::of_line("ipv6 disable_ipv6 0").unwrap(), Setting::of_line("ipv4 rp_filter 2").unwrap()];
        store.save_defaults(&before).unwrap();
        assert_eq!(store.load_defaults().unwrap(), before);
        fs::write(dir.path().join(DEFAULTS), "ipv4 rp_filter 2").unwrap();
        assert_eq!(store.load_defaults().unwrap(), []);
        store.forget_defaults().unwrap();
        assert!(!dir.path().join(DEFAULTS).exists());
    }

    #[test]
    fn any_damage_sets_the_file_aside_and_keeps_the_others() {
        let (dir, store) = store();
        store.save_domain(&bundle(1)).unwrap();
        let good = fs::read(dir.path().join("domain-1")).unwrap();
        let mut damaged: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
        damaged.extend((0..good.len()).map(|place| {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            bytes
        }));
        store.save_domain(&bundle(2)).unwrap();
        for bytes in damaged {
            fs::write(dir.path().join("domain-1"), &bytes).unwrap();
            assert_eq!(store.load().unwrap().bundles, [bundle(2)]);
            assert!(!dir.path().join("domain-1").exists());
            assert_eq!(fs::read(dir.path().join("domain-1.corrupt")).unwrap(), bytes);
        }
    }

    #[test]
    fn a_state_of_another_version_is_set_aside_by_name() {
        let (dir, store) = store();
        store.save_domain(&Bundle { features: vec!["bundle-v1".to_owned()], ..bundle(1) }).unwrap();
        store.save_domain(&bundle(2)).unwrap();
        store.save_admitted(&BTreeSet::from([3])).unwrap();
        let file = fs::read(dir.path().join("domain-1")).unwrap();
        let refused = domain(content(&file).unwrap()).unwrap_err().to_string();
        assert_eq!(
            refused,
            "it is of another version of ringfence: it needs feature \"bundle-v1\", which this agent lacks; the controller \
             sends the domain again, and unless the programs hold it still its workloads are denied until then"
        );
        let loaded = store.load().unwrap();
        assert_eq!((loaded.bundles, loaded.admitted), (vec![bundle(2)], BTreeSet::from([3])));
        assert_eq!(fs::read(dir.path().join("domain-1.corrupt")).unwrap(), file);
    }

    #[test]
    fn a_write_that_was_cut_off_leaves_the_old_state() {
        let (dir, store) = store();
        store.save_domain(&bundle(1)).unwrap();
        fs::write(dir.path().join("domain-1.new"), MAGIC).unwrap();
        assert_eq!(store.load().unwrap().bundles, [bundle(1)]);
    }

    #[test]
    fn a_state_directory_has_one_agent() {
        let (dir, store) = store();
        assert!(matches!(Store::open(dir.path()), Err(PersistError::Locked { .. })));
        drop(store);
        Store::open(dir.path()).unwrap();
    }
}
