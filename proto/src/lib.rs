//! The wire: everything in `ringfence.v1`, generated from `proto/ringfence/v1/*.proto`.
//!
//! Nothing here is written by hand and nothing here has meaning: `ringfence-policy` turns these
//! messages into types that cannot be wrong.

/// Package `ringfence.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("ringfence.v1");

    /// The encoded descriptors, for gRPC reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("ringfence");
}
