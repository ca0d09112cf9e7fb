//! Maps of 64-bit words that lie in the agent's memory, so that one store changes what programs do.

use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use libbpf_rs::{MapCore, MapHandle};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::consts::RF_WORD_SLOT_SHIFT;
use super::{Account, BpfError, Pod};

/// A shared mapping of an array whose values are made of u64.
#[derive(Debug)]
struct Cells {
    map: &'static str,
    cells: NonNull<AtomicU64>,
    places: usize,
}

// SAFETY: the memory is reached only through atomics and unmapped only on drop.
unsafe impl Send for Cells {}
// SAFETY: as above.
unsafe impl Sync for Cells {}

impl Cells {
    fn new(map: &'static str, handle: &MapHandle) -> Result<Self, BpfError> {
        let places = handle.max_entries() as usize * (handle.value_size() as usize / size_of::<AtomicU64>());
        let fail = |source: std::io::Error| BpfError::Map { map, action: "map into memory", source };
        let length = NonZeroUsize::new(places * size_of::<AtomicU64>())
            .ok_or_else(|| fail(std::io::ErrorKind::InvalidInput.into()))?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let memory = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, handle.as_fd(), 0) }
            .map_err(|errno| fail(errno.into()))?;
        Ok(Self { map, cells: memory.cast(), places })
    }

    fn cell(&self, index: u32) -> Result<&AtomicU64, BpfError> {
        if index as usize >= self.places {
            return Err(BpfError::Index { map: self.map, index, places: self.places });
        }
        // SAFETY: within the mapping, aligned as the kernel aligns u64, alive as long as self.
        Ok(unsafe { self.cells.add(index as usize).as_ref() })
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        // SAFETY: the mapping made in new(), of the same length; no reference outlives self.
        let unmapped = unsafe { munmap(self.cells.cast(), self.places * size_of::<AtomicU64>()) };
        if let Err(errno) = unmapped {
            tracing::error!(map = self.map, error = %errno, "cannot unmap");
        }
    }
}

/// `rf_domain_words`: by domain index, which slot and epoch packets are judged by.
#[derive(Debug)]
pub struct Words(Cells);

impl Words {
    pub(super) fn new(handle: &MapHandle) -> Result<Self, BpfError> {
        Cells::new("rf_domain_words", handle).map(Self)
    }

    /// Slot (0 or 1) and epoch in force.
    pub fn load(&self, domain: u32) -> Result<(u32, u32), BpfError> {
        let word = self.0.cell(domain)?.load(Ordering::SeqCst);
        Ok(((word >> RF_WORD_SLOT_SHIFT) as u32 & 1, word as u32))
    }

    /// Puts a slot and an epoch in force at once.
    pub fn store(&self, domain: u32, slot: u32, epoch: u32) -> Result<(), BpfError> {
        let word = u64::from(slot & 1) << RF_WORD_SLOT_SHIFT | u64::from(epoch);
        self.0.cell(domain)?.store(word, Ordering::SeqCst);
        Ok(())
    }
}

/// `rf_epochs`: by place, how often the meaning of an address changed. Only ever raised.
#[derive(Debug)]
pub struct Epochs(Cells);

impl Epochs {
    pub(super) fn new(handle: &MapHandle) -> Result<Self, BpfError> {
        Cells::new("rf_epochs", handle).map(Self)
    }

    /// The epoch at a place.
    pub fn load(&self, place: u32) -> Result<u64, BpfError> {
        Ok(self.0.cell(place)?.load(Ordering::SeqCst))
    }

    /// Raises it by one: flows of this address are judged again at their next packet.
    pub fn bump(&self, place: u32) -> Result<(), BpfError> {
        self.0.cell(place)?.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// `rf_accounts`: by account, what an interface has in use and how often it was refused more.
#[derive(Debug)]
pub struct Accounts(Cells);

/// Words of an account.
const ACCOUNT_WORDS: u32 = (size_of::<Account>() / size_of::<u64>()) as u32;

impl Accounts {
    pub(super) fn new(handle: &MapHandle) -> Result<Self, BpfError> {
        Cells::new("rf_accounts", handle).map(Self)
    }

    /// How many there are.
    pub fn capacity(&self) -> u32 {
        (self.0.places / ACCOUNT_WORDS as usize) as u32
    }

    /// What it says now; programs count on meanwhile.
    pub fn load(&self, account: u32) -> Result<Account, BpfError> {
        let mut read = Account::zeroed();
        let words = read.used.iter_mut().chain(&mut read.refused);
        for (word, place) in words.zip(first_word(account)..) {
            *word = self.0.cell(place)?.load(Ordering::Relaxed);
        }
        Ok(read)
    }

    /// Adds to what is in use of a budget (`RF_BUDGET_*`); wraps, as the programs do, so that a negative number takes away.
    pub fn add_used(&self, account: u32, budget: u32, difference: i64) -> Result<(), BpfError> {
        let place = first_word(account).saturating_add(budget);
        self.0.cell(place)?.fetch_add(difference as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn first_word(account: u32) -> u32 {
    account.saturating_mul(ACCOUNT_WORDS)
}
