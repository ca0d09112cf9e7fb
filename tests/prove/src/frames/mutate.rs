//! Frames that nobody writes: one or a few things of a frame, changed.

use crate::random::Random;

/// Numbers at which programs go wrong.
const EDGES: [u8; 12] = [0, 1, 2, 4, 5, 0x0f, 0x10, 0x40, 0x45, 0x7f, 0x80, 0xff];
/// Protocols and extension headers.
const PROTOCOLS: [u8; 12] = [0, 1, 6, 17, 43, 44, 50, 51, 58, 59, 60, 132];
const ETHERTYPES: [[u8; 2]; 6] = [[8, 0], [0x86, 0xdd], [8, 6], [0x81, 0], [0x88, 0xa8], [0x88, 0x47]];

/// Changes a frame, by little, in place. `other` is one to take pieces of.
pub fn mutate(random: &mut Random, frame: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..random.one([1, 1, 1, 2, 3]) {
        if frame.is_empty() {
            return;
        }
        match random.below(12) {
            0 | 1 => field(random, frame),
            2 => bits(random, frame),
            3 => {
                let at = random.below(frame.len().min(120));
                set(frame, at, random.one(EDGES));
            }
            4 => {
                let length = random.below(frame.len());
                frame.truncate(length);
            }
            5 => frame.extend((0..random.one([1, 8, 60, 700])).map(|_| 0)),
            6 => piece(random, frame, other),
            7 => doubled(random, frame),
            8 => tag(random, frame),
            9 => gone(random, frame),
            10 => place(random, frame),
            _ => addresses(random, frame),
        }
    }
}

/// Changes one thing by which a plain segment of an open flow is none any more, in place.
pub fn nearly(random: &mut Random, frame: &mut Vec<u8>) {
    let v6 = is_ipv6(frame);
    let (ttl, upper) = if v6 { (21, 54) } else { (22, 34) };
    match random.below(9) {
        // To or of somebody else.
        0 => set(frame, random.one([0, 1, 5]), random.draw() as u8),
        1 => set(frame, random.one([6, 7, 11]), random.draw() as u8),
        2 => set(frame, ttl, random.one([0, 1, 2])),
        // Flags of TCP, and the length of its header.
        3 => set(frame, upper + 13, random.one([0, 0x01, 0x02, 0x04, 0x11, 0x12, 0x14, 0x18, 0x30])),
        4 => set(frame, upper + 12, random.one([0, 0x40, 0x60, 0xf0])),
        5 => place(random, frame),
        // Longer than what follows, or options.
        6 => set(frame, if v6 { 18 } else { 16 }, random.one([0x00, 0x06, 0x20])),
        7 => set(frame, 14, random.one([0x46, 0x4f, 0x55, 0x65])),
        _ => addresses(random, frame),
    }
}

fn set(frame: &mut [u8], at: usize, byte: u8) {
    if let Some(place) = frame.get_mut(at) {
        *place = byte;
    }
}

/// Whether it bears IPv6; an untagged frame's word.
fn is_ipv6(frame: &[u8]) -> bool {
    frame.get(12) == Some(&0x86)
}

/// A field that says how to read what follows, or whose it is.
fn field(random: &mut Random, frame: &mut [u8]) {
    let v6 = is_ipv6(frame);
    let upper = if v6 { 54 } else { 34 };
    match random.below(9) {
        0 => {
            let [high, low] = random.one(ETHERTYPES);
            set(frame, 12, high);
            set(frame, 13, low);
        }
        1 => set(frame, 14, random.one([0x45, 0x46, 0x4f, 0x44, 0x40, 0x60, 0x50, 0x55])),
        2 => {
            // The length, nearly right or not at all.
            let at = if v6 { 18 } else { 16 };
            let length =
                u16::from_be_bytes([frame.get(at).copied().unwrap_or(0), frame.get(at + 1).copied().unwrap_or(0)]);
            let wrong = random.one([length.wrapping_add(1), length.wrapping_sub(1), 0, 20, 27, 0xffff, length / 2]);
            let [high, low] = wrong.to_be_bytes();
            set(frame, at, high);
            set(frame, at + 1, low);
        }
        3 => set(frame, if v6 { 20 } else { 23 }, random.one(PROTOCOLS)),
        4 => set(frame, if v6 { 21 } else { 22 }, random.one([0, 1, 2, 64, 255])),
        5 => set(frame, upper + random.below(4), random.one(EDGES)),
        6 => set(frame, upper + 12, random.one([0, 0x40, 0x50, 0x60, 0xf0])),
        7 => set(frame, upper + 13, random.draw() as u8),
        _ => set(frame, upper + 1, random.one(EDGES)),
    }
}

fn bits(random: &mut Random, frame: &mut [u8]) {
    for _ in 0..random.between(1, 4) {
        let at = random.below(frame.len());
        let bit = 1 << random.below(8);
        if let Some(byte) = frame.get_mut(at) {
            *byte ^= bit;
        }
    }
}

/// Bytes of another frame in place of its own.
fn piece(random: &mut Random, frame: &mut [u8], other: &[u8]) {
    let length = frame.len().min(other.len());
    let start = random.one([0, 6, 12, 14, 26, 34, 38, 54]);
    let end = start + random.one([2, 4, 6, 8, 16, 20, 40]);
    if end <= length {
        frame[start..end].copy_from_slice(&other[start..end]);
    }
}

/// A header twice.
fn doubled(random: &mut Random, frame: &mut Vec<u8>) {
    let (start, end) = random.one([(0, 14), (14, 34), (14, 54), (34, 42), (54, 62), (34, 54)]);
    if let Some(header) = frame.get(start..end).map(<[u8]>::to_vec) {
        frame.splice(end..end, header);
    }
}

fn tag(random: &mut Random, frame: &mut Vec<u8>) {
    if frame.len() >= 12 {
        let kind = random.one([[0x81, 0], [0x81, 0], [0x88, 0xa8]]);
        let control = random.one([[0, 0], [0x20, 0], [0, 7], [0x0f, 0xff]]);
        frame.splice(12..12, [kind, control].concat());
    }
}

/// Some bytes taken out of the middle.
fn gone(random: &mut Random, frame: &mut Vec<u8>) {
    let start = random.below(frame.len());
    let end = (start + random.one([1, 2, 4, 8, 20])).min(frame.len());
    frame.drain(start..end);
}

/// Offset and flags of an IPv4 fragment, or a fragment header of IPv6 that was not there.
fn place(random: &mut Random, frame: &mut Vec<u8>) {
    let [high, low] = random.one([0x2000_u16, 0x2001, 0x0001, 0x0002, 0x0003, 0x1fff, 0x4000, 0x8000]).to_be_bytes();
    if !is_ipv6(frame) {
        set(frame, 20, high);
        set(frame, 21, low);
    } else if frame.len() >= 54 {
        let next = frame[20];
        let place: u16 = random.one([0, 1, 8, 9, 16, 17, 0xfff8]);
        let [high, low] = place.to_be_bytes();
        frame.splice(54..54, [next, 0, high, low, 0, 0, 0, 9]);
        frame[20] = 44;
        let length = u16::from_be_bytes([frame[18], frame[19]]).wrapping_add(8).to_be_bytes();
        frame[18..20].copy_from_slice(&length);
    }
}

/// Ends that were others: exchanged, multicast, loopback, unspecified.
fn addresses(random: &mut Random, frame: &mut [u8]) {
    let (at, size) = if is_ipv6(frame) { (22, 16) } else { (26, 4) };
    if frame.len() < at + 2 * size {
        return;
    }
    match random.below(5) {
        0 => {
            // fe80::/10, of one link.
            let end = at + random.one([0, size]);
            set(frame, end, 0xfe);
            set(frame, end + 1, 0x80);
        }
        4 => frame[at..at + 2 * size].rotate_left(size),
        1 => frame[..12].rotate_left(6),
        2 => set(frame, at + random.one([0, size]), random.one([0, 127, 224, 255, 0xfe, 0xff, 10])),
        _ => {
            let end = at + random.one([0, size]);
            let byte = random.draw() as u8;
            set(frame, end + size - 1, byte);
        }
    }
}
