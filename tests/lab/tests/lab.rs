//! What only a whole lab can show. All of it needs root: `cargo test -- --skip root` leaves it out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by panicking")]

mod root;
