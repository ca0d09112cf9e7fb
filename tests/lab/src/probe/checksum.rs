//! The checksum of IP, ICMP, UDP and TCP.

/// RFC 1071, in network order, of octets whose checksum field is zero.
pub fn internet_checksum(octets: &[u8]) -> [u8; 2] {
    let pairs = octets.chunks(2).map(|pair| [pair[0], pair.get(1).copied().unwrap_or(0)]);
    let mut sum: u32 = pairs.map(|pair| u32::from(u16::from_be_bytes(pair))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_its_checksum_sums_up_to_nothing() {
        let mut message = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1, b'o', b'd', b'd'];
        let checksum = internet_checksum(&message);
        message[2..4].copy_from_slice(&checksum);
        assert_eq!(internet_checksum(&message), [0, 0]);
    }
}
