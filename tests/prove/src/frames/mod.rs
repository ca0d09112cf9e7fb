//! Packet fuzzing (docs/PROOFS.md): frames into the real programs, as hosts write them and as nobody does, with one
//! invariant: **nothing passes that the definition denies**, nor as anything else than what was judged.
//!
//! | file | what |
//! |---|---|
//! | `read` | what a frame says, by the RFCs |
//! | `seats` | whose an address is |
//! | `model` | what passed before |
//! | `oracle`, `answers` | what must not become of a frame |
//! | `draft`, `talk`, `stream` | frames of flows |
//! | `mutate` | frames changed |
//! | `change` | the world changed while they are under way |
//! | `script` | worlds and frames, played; files of the corpus |
//! | `run` | scripts from seeds, until there are enough; the least script in which something shows |

pub mod answers;
pub mod change;
pub mod draft;
pub mod model;
pub mod mutate;
pub mod oracle;
pub mod read;
pub mod run;
pub mod script;
pub mod seats;
pub mod stream;
pub mod talk;
