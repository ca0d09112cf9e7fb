//! What libbpf-cargo generates; a module of its own since its inner names must not meet ours.

#![allow(missing_docs, unreachable_pub, unused_imports, clippy::all, rust_2018_idioms)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::semicolon_if_nothing_returned)]
#![allow(clippy::needless_pass_by_value, clippy::todo, clippy::unimplemented)]

include!(concat!(env!("OUT_DIR"), "/ringfence.skel.rs"));
