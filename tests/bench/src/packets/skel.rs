//! What libbpf-cargo generates of `bpf/floor.bpf.c`.

#![allow(missing_docs, unreachable_pub, unused_imports, dead_code, unsafe_code, clippy::all, rust_2018_idioms)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::semicolon_if_nothing_returned)]
#![allow(clippy::needless_pass_by_value, clippy::todo, clippy::unimplemented)]

include!(concat!(env!("OUT_DIR"), "/floor.skel.rs"));
