//! The whole chain, to the real programs. All need root, and fail without it.
#![allow(clippy::unwrap_used, missing_docs)]

mod root {
    mod chain;
    mod history;
    mod kept;
}
