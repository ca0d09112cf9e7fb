//! The whole chain, to the real programs. All need root, and fail without it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod root {
    mod chain;
    mod cut_off;
    mod frames;
    mod history;
    mod kept;
}
