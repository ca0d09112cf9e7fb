//! Generates the types and services of `ringfence.v1` and the descriptor set that reflection serves.
use std::{env, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("ringfence.bin"))
        .btree_map(".")
        .compile_protos(&["ringfence/v1/object.proto", "ringfence/v1/api.proto", "ringfence/v1/agent.proto"], &["."])?;
    println!("cargo::rerun-if-changed=ringfence");
    Ok(())
}
