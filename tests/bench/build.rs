//! Compiles the floor program.

use std::{env, error::Error, path::PathBuf};

use libbpf_cargo::SkeletonBuilder;

/// The agent's headers.
const AGENT: &str = "../../agent/bpf";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let headers = format!("-I/usr/include/{}-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?);
    // As the agent compiles its own.
    let arguments = ["-Wall", "-Werror", "-fno-strict-aliasing", "-mcpu=v3", &headers, &format!("-I{AGENT}")];
    SkeletonBuilder::new()
        .source("bpf/floor.bpf.c")
        .clang_args(arguments.map(std::ffi::OsString::from))
        .build_and_generate(out.join("floor.skel.rs"))?;
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-changed={AGENT}");
    Ok(())
}
