//! Compiles the programs, and generates from their sources what the agent must share with them:
//! the skeleton (types by BTF), the reasons and the constants.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use libbpf_cargo::SkeletonBuilder;

const SOURCES: &str = "bpf";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // libbpf-cargo names no header, and a forgotten one means a stale datapath. The folder
    // itself covers files that come and go.
    println!("cargo:rerun-if-changed={SOURCES}");
    for entry in fs::read_dir(SOURCES)? {
        println!("cargo:rerun-if-changed={}", entry?.path().display());
    }

    let sources = Path::new(SOURCES);
    fs::write(out.join("reason.rs"), reasons(&fs::read_to_string(sources.join("reasons.def"))?)?)?;
    fs::write(out.join("consts.rs"), constants(&fs::read_to_string(sources.join("consts.h"))?)?)?;
    SkeletonBuilder::new()
        .source(sources.join("ringfence.bpf.c"))
        .clang_args([
            "-Wall".into(),
            "-Werror".into(),
            // An address is read as bytes here and as words there.
            "-fno-strict-aliasing".into(),
            // 32-bit registers and atomics with a result; any kernel since 5.12.
            "-mcpu=v3".into(),
            format!("-I{}", asm_headers()?),
        ])
        .build_and_generate(out.join("ringfence.skel.rs"))?;
    Ok(())
}

/// `-target bpf` forgets where a multiarch system keeps `asm/types.h`.
fn asm_headers() -> Result<String, Box<dyn Error>> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    Ok(format!("/usr/include/{arch}-linux-gnu"))
}

/// `RF_REASON(NAME, "name", "doc")` lines to a Rust enum, numbered from 1 as in C.
fn reasons(definitions: &str) -> Result<String, Box<dyn Error>> {
    let mut variants = String::new();
    let mut table = String::new();
    let mut names = Vec::new();
    for line in definitions.lines().filter(|line| line.starts_with("RF_REASON(")) {
        let quoted: Vec<&str> = line.split('"').collect();
        let [_, name, _, doc, _] = quoted[..] else {
            return Err(format!("reasons.def: not RF_REASON(NAME, \"name\", \"doc\"): {line}").into());
        };
        let variant: String = name.split('_').map(capitalised).collect();
        let number = names.len() + 1;
        writeln!(variants, "    /// {}.\n    {variant} = {number},", capitalised(doc))?;
        writeln!(table, "    (Reason::{variant}, {name:?}, {doc:?}),")?;
        names.push(variant);
    }
    Ok(format!(
        "/// Why the programs dropped a packet; numbers and names are stable.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
         #[repr(u32)]\npub enum Reason {{\n{variants}}}\n\n\
         const REASONS: [(Reason, &str, &str); {}] = [\n{table}];\n",
        names.len()
    ))
}

/// `#define NAME NUMBER` lines to Rust constants; computed ones stay C's own.
fn constants(header: &str) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for line in header.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["#define", name, value, ..] = words[..] else {
            continue;
        };
        let value = value.trim_end_matches('U');
        let number = match value.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => value.parse(),
        };
        if let Ok(number) = number {
            writeln!(text, "/// `{name}` of `consts.h`.\npub const {name}: u32 = {number};")?;
        }
    }
    Ok(text)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
