//! The proof chain (docs/PROOFS.md): on generated worlds the definition of what is right, the compiled form, the maps and
//! the real programs say the same of every flow.
//!
//! | file | what |
//! |---|---|
//! | `random` | numbers from a seed |
//! | `world` | objects from a seed |
//! | `ground` | a world validated and compiled |
//! | `case` | flows that hit rules and just miss them |
//! | `before` | what the programs do before policy is asked |
//! | `chain` | what the four layers say of a flow |
//! | `feature` | which pairs of features met |
//! | `history` | the same world by other ways |
//! | `run` | worlds and cases, until there are enough |
//! | `shrink` | the least world in which something shows |
//! | `corpus` | cases that are kept |
//! | `frames` | packet fuzzing |
//! | `failures` | bugs that the tests of docs/FAILURES.md find |

pub mod before;
pub mod case;
pub mod chain;
pub mod corpus;
pub mod failures;
pub mod feature;
pub mod frames;
pub mod ground;
pub mod history;
pub mod random;
pub mod run;
pub mod shrink;
pub mod world;
