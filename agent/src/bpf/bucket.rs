//! Where an address that is no interface's keeps its epoch; the same function as `rf_bucket` in C.

use super::types::Ip;

/// The place in `rf_epochs` of an address that `rf_addrs` does not know: 0–65535.
pub fn bucket(domain_id: u32, ip: &Ip) -> u32 {
    let hash = ip.bytes.chunks_exact(4).fold(domain_id, |hash, word| {
        let word = word.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        (hash ^ word).wrapping_mul(0x9E37_79B1)
    });
    hash >> 16
}
