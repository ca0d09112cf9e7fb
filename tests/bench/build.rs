//! Compiles the floor program, and the agent's programs once more: what is measured "without policy" is loaded by a
//! skeleton of the benchmark's own, so that the agent has no way to do so.

use std::{env, error::Error, path::PathBuf};

use libbpf_cargo::SkeletonBuilder;

/// The agent's programs and headers.
const AGENT: &str = "../../agent/bpf";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let headers = format!("-I/usr/include/{}-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?);
    for (source, skeleton) in
        [("bpf/floor.bpf.c".to_owned(), "floor.skel.rs"), (format!("{AGENT}/ringfence.bpf.c"), "ringfence.skel.rs")]
    {
        // As the agent compiles its own.
        let arguments = ["-Wall", "-Werror", "-fno-strict-aliasing", "-mcpu=v3", &headers, &format!("-I{AGENT}")];
        SkeletonBuilder::new()
            .source(source)
            .clang_args(arguments.map(std::ffi::OsString::from))
            .build_and_generate(out.join(skeleton))?;
    }
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-changed={AGENT}");
    Ok(())
}
