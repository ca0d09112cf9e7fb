//! Plain data: types that may be viewed as, and made from, any bytes of their size.

/// A type that a map may hold.
///
/// # Safety
///
/// Every bit pattern is a value, there is no padding, and nothing in it points anywhere.
pub unsafe trait Pod: Copy + 'static {
    /// All bits zero.
    fn zeroed() -> Self {
        // SAFETY: every bit pattern is a value of Self.
        unsafe { std::mem::zeroed() }
    }

    /// The value's memory.
    fn bytes(&self) -> &[u8] {
        // SAFETY: without padding every byte is initialised; the borrow keeps it alive.
        unsafe { std::slice::from_raw_parts((&raw const *self).cast(), size_of::<Self>()) }
    }

    /// The value in `bytes`, or nothing if they are of another length.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != size_of::<Self>() {
            return None;
        }
        // SAFETY: as long as Self, any bits will do, and the read expects no alignment.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }
}

// SAFETY: an integer.
unsafe impl Pod for u32 {}
// SAFETY: an integer.
unsafe impl Pod for u64 {}

/// Makes generated structures plain data that compares and hashes by its bytes, as the kernel
/// compares keys.
macro_rules! pod {
    ($($name:ident),+ $(,)?) => { $(
        // SAFETY: repr(C) of integers and arrays of them; `-Wpadded` in types.h refuses a hole.
        unsafe impl $crate::bpf::Pod for $name {}

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                $crate::bpf::Pod::bytes(self) == $crate::bpf::Pod::bytes(other)
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                $crate::bpf::Pod::bytes(self).cmp($crate::bpf::Pod::bytes(other))
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                $crate::bpf::Pod::bytes(self).hash(state);
            }
        }
    )+ };
}
pub(super) use pod;
