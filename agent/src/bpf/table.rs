//! One map, typed.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use super::{BpfError, Pod};

/// Entries asked of the kernel at once; more than any bucket of a hash holds.
const BATCH: u32 = 4096;

/// Fills the error with what was tried on which map.
pub(super) fn failed(map: &'static str, action: &'static str) -> impl Fn(libbpf_rs::Error) -> BpfError {
    move |error| BpfError::Map { map, action, source: io::Error::new(error_kind(&error), error.to_string()) }
}

fn error_kind(error: &libbpf_rs::Error) -> io::ErrorKind {
    match error.kind() {
        libbpf_rs::ErrorKind::NotFound => io::ErrorKind::NotFound,
        libbpf_rs::ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
        libbpf_rs::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    }
}

/// A map with keys `K` and values `V`. In an array, what is all zero counts as absent.
#[derive(Debug)]
pub struct Table<K, V> {
    name: &'static str,
    handle: MapHandle,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Pod, V: Pod> Table<K, V> {
    pub(super) fn new(name: &'static str, handle: MapHandle) -> Self {
        Self { name, handle, types: PhantomData }
    }

    /// Its name in `maps.h`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many entries it may hold.
    pub fn capacity(&self) -> u32 {
        self.handle.max_entries()
    }

    /// The value under `key`; of a trie, that of the longest prefix that covers it.
    pub fn get(&self, key: &K) -> Result<Option<V>, BpfError> {
        let found = self.handle.lookup(key.bytes(), MapFlags::ANY).map_err(failed(self.name, "look up"))?;
        Ok(found.and_then(|bytes| V::from_bytes(&bytes)).filter(|value| self.counts(value)))
    }

    /// Adds or replaces.
    pub fn put(&self, key: &K, value: &V) -> Result<(), BpfError> {
        self.handle.update(key.bytes(), value.bytes(), MapFlags::ANY).map_err(failed(self.name, "write"))
    }

    /// Adds unless there is a value; whether it did.
    pub fn put_new(&self, key: &K, value: &V) -> Result<bool, BpfError> {
        match self.handle.update(key.bytes(), value.bytes(), MapFlags::NO_EXIST) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == libbpf_rs::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed(self.name, "write")(error)),
        }
    }

    /// Removes (an array's place is zeroed); what is absent already is no error.
    pub fn delete(&self, key: &K) -> Result<(), BpfError> {
        if self.is_array() {
            return self.put(key, &V::zeroed());
        }
        match self.handle.delete(key.bytes()) {
            Err(error) if error.kind() != libbpf_rs::ErrorKind::NotFound => Err(failed(self.name, "delete")(error)),
            _ => Ok(()),
        }
    }

    /// Removes and returns, in one step of the kernel. Not for arrays.
    pub fn take(&self, key: &K) -> Result<Option<V>, BpfError> {
        let taken = self.handle.lookup_and_delete(key.bytes()).map_err(failed(self.name, "take"))?;
        Ok(taken.and_then(|bytes| V::from_bytes(&bytes)))
    }

    /// Everything in it. Programs may add and remove meanwhile: what stays all the time is there.
    pub fn entries(&self) -> Result<Vec<(K, V)>, BpfError> {
        let mut entries = Vec::new();
        self.visit(|key, value| entries.push((key, value)))?;
        Ok(entries)
    }

    /// The same, one by one, for what may be too much to be held at once.
    pub fn visit(&self, mut visit: impl FnMut(K, V)) -> Result<(), BpfError> {
        each(self.name, &self.handle, |key, value| {
            let entry = K::from_bytes(key).zip(V::from_bytes(value));
            if let Some((key, value)) = entry.filter(|(_, value)| self.counts(value)) {
                visit(key, value);
            }
        })
    }

    fn is_array(&self) -> bool {
        self.handle.map_type() == MapType::Array
    }

    fn counts(&self, value: &V) -> bool {
        !self.is_array() || value.bytes().iter().any(|byte| *byte != 0)
    }
}

/// Calls `entry` with key and value of everything in a map. Programs may add and remove meanwhile: what stays all the time
/// is there.
pub(super) fn each(name: &'static str, map: &MapHandle, mut entry: impl FnMut(&[u8], &[u8])) -> Result<(), BpfError> {
    let mut size = BATCH;
    let mut position: Option<Vec<u8>> = None;
    loop {
        let batch = batch(name, map, position.as_deref(), size)?;
        // A bucket holds more than the batch: the same position again, with more room.
        let Some((keys, values, next)) = batch.filled else {
            size = size.saturating_mul(2);
            continue;
        };
        let keys = keys.chunks_exact(map.key_size() as usize);
        keys.zip(values.chunks_exact(map.value_size() as usize)).for_each(|(key, value)| entry(key, value));
        if batch.last {
            return Ok(());
        }
        position = Some(next);
    }
}

fn batch(name: &'static str, map: &MapHandle, position: Option<&[u8]>, size: u32) -> Result<Batch, BpfError> {
    let (key_size, value_size) = (map.key_size() as usize, map.value_size() as usize);
    let mut keys = vec![0; size as usize * key_size];
    let mut values = vec![0; size as usize * value_size];
    // A hash keeps 4 bytes of position, other maps a key.
    let mut next = vec![0; key_size.max(4)];
    let mut count = size;
    let opts =
        libbpf_sys::bpf_map_batch_opts { sz: size_of::<libbpf_sys::bpf_map_batch_opts>() as _, ..Default::default() };
    // SAFETY: keys and values have room for `count` entries, positions for a key; the kernel
    // only reads the old position, although the prototype does not say so.
    let result = unsafe {
        libbpf_sys::bpf_map_lookup_batch(
            map.as_fd().as_raw_fd(),
            position.map_or(std::ptr::null_mut(), |bytes| bytes.as_ptr().cast_mut().cast()),
            next.as_mut_ptr().cast(),
            keys.as_mut_ptr().cast(),
            values.as_mut_ptr().cast(),
            &raw mut count,
            &raw const opts,
        )
    };
    let last = match -result {
        0 => false,
        nix::libc::ENOENT => true,
        nix::libc::ENOSPC => {
            return Ok(Batch { filled: None, last: false });
        }
        errno => {
            let source = io::Error::from_raw_os_error(errno);
            return Err(BpfError::Map { map: name, action: "list", source });
        }
    };
    keys.truncate(count as usize * key_size);
    values.truncate(count as usize * value_size);
    Ok(Batch { filled: Some((keys, values, next)), last })
}

/// One answer of the kernel: keys, values and the position to go on from, unless it had no room.
struct Batch {
    filled: Option<(Vec<u8>, Vec<u8>, Vec<u8>)>,
    last: bool,
}

/// A map with a value for each CPU, of which only the sum means something.
#[derive(Debug)]
pub struct PerCpu<K, V> {
    name: &'static str,
    handle: MapHandle,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Pod + Ord, V: Sum> PerCpu<K, V> {
    pub(super) fn new(name: &'static str, handle: MapHandle) -> Self {
        Self { name, handle, types: PhantomData }
    }

    /// The sum over all CPUs; nothing if there is no entry.
    pub fn get(&self, key: &K) -> Result<Option<V>, BpfError> {
        let found = self.handle.lookup_percpu(key.bytes(), MapFlags::ANY).map_err(failed(self.name, "look up"))?;
        Ok(found.map(|values| values.iter().filter_map(|bytes| V::from_bytes(bytes)).fold(V::zeroed(), V::plus)))
    }

    /// Every sum; an array's zeros too.
    pub fn entries(&self) -> Result<Vec<(K, V)>, BpfError> {
        let keys: Vec<K> = self.handle.keys().filter_map(|bytes| K::from_bytes(&bytes)).collect();
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(sum) = self.get(&key)? {
                entries.push((key, sum));
            }
        }
        Ok(entries)
    }

    /// Starts again from zero, for a device that is new under an old number.
    pub fn reset(&self, key: &K) -> Result<(), BpfError> {
        if self.handle.map_type() == MapType::PercpuArray {
            let cpus = libbpf_rs::num_possible_cpus().map_err(failed(self.name, "count CPUs"))?;
            let zeros = vec![V::zeroed().bytes().to_vec(); cpus];
            return self.handle.update_percpu(key.bytes(), &zeros, MapFlags::ANY).map_err(failed(self.name, "write"));
        }
        match self.handle.delete(key.bytes()) {
            Err(error) if error.kind() != libbpf_rs::ErrorKind::NotFound => Err(failed(self.name, "delete")(error)),
            _ => Ok(()),
        }
    }
}

/// Counters that add up.
pub trait Sum: Pod {
    /// Both together; wraps, as counters do.
    fn plus(self, other: Self) -> Self;
}

impl Sum for u64 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

impl Sum for super::Passed {
    fn plus(self, other: Self) -> Self {
        Self {
            from: self.from.wrapping_add(other.from),
            to: self.to.wrapping_add(other.to),
            builtin: self.builtin.wrapping_add(other.builtin),
        }
    }
}
