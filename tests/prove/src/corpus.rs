//! Cases that are kept: files of the language, each with an expectation, that every layer must agree on for ever.
//!
//! They lie in `tests/corpus`; `ringfence policy test FILE` reads each, too.

use std::{fs, io, path::Path};

use ringfence_policy::{
    evaluate::{End, Traffic, evaluate},
    expectation::{AskError, ExpectedFlow},
    model::format_moment,
    object::Object,
    text::{SourceFile, TextError, parse_all, render},
};

use crate::{
    chain::{Difference, Link},
    ground::{Ground, GroundError, domain},
    run::Found,
    world::{DOMAIN, EPOCH},
};

/// Why a file of the corpus cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It says of frames what cannot be read.
    #[error("{path}: {line:?} is no line of frames; see tests/prove/src/frames/script.rs")]
    Line {
        /// Which.
        path: String,
        /// What it says.
        line: String,
    },
    /// It is not in the language.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Text(Vec<TextError>),
    /// It is no world.
    #[error(transparent)]
    Ground(#[from] GroundError),
    /// It asks what cannot be asked.
    #[error("{path}: {source}")]
    Ask {
        /// Which.
        path: String,
        /// Why.
        source: AskError,
    },
}

/// A file of the corpus.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its path.
    pub path: String,
    /// The world.
    pub objects: Vec<Object>,
    /// What is expected of it.
    pub flows: Vec<ExpectedFlow>,
}

/// Every file of a folder, by name.
///
/// # Errors
/// Files that cannot be read, or are not in the language.
pub fn read(folder: &Path) -> Result<Vec<Kept>, CorpusError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| CorpusError::File { path, source }
    };
    let entries = fs::read_dir(folder).map_err(failed(folder))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let file = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).map_err(failed(path))?;
        let path = path.display().to_string();
        let contents = parse_all(&[SourceFile { name: path.clone(), text }]).map_err(CorpusError::Text)?;
        let objects = contents.documents.into_iter().map(|document| document.object).collect();
        let flows = contents.expectations.into_iter().flat_map(|document| document.expectation.flows).collect();
        Ok(Kept { path, objects, flows })
    };
    paths.iter().map(file).collect()
}

impl Kept {
    /// What the definition says against what is expected: the definition is held by the corpus, too.
    ///
    /// # Errors
    /// A file that is no world, or asks what cannot be asked.
    pub fn misjudged(&self) -> Result<Vec<String>, CorpusError> {
        let ground = Ground::new(&self.objects)?;
        let mut wrong = Vec::new();
        for flow in &self.flows {
            let answer = flow
                .ask::<AskError>(&ground.domain, EPOCH, |asked, at| Ok(evaluate(&ground.domain, asked, at)))
                .map_err(|source| CorpusError::Ask { path: self.path.clone(), source })?;
            if !answer.ok {
                let ExpectedFlow { from, to, traffic, expect, .. } = flow;
                let rule = answer.rule.as_deref().unwrap_or("no rule");
                wrong.push(format!("{from} to {to} {traffic}: expected {expect}, got {} by {rule}", answer.got));
            }
        }
        Ok(wrong)
    }
}

/// A shrunk case as a file of the corpus.
fn text(found: &Found) -> Result<String, CorpusError> {
    let Found { objects, at, case, difference: Difference { link, right, said }, .. } = found;
    let head = format!("# Found once: {link} differed.\n# right: {right}\n# said:  {said}\n{}", render(objects));
    let Some(case) = case else { return Ok(head) };
    let expect = if evaluate(&*domain(objects)?, &case.flow, *at).allows() { "allow" } else { "deny" };
    let end = |end| match end {
        End::Address(address) => format!("{:?}", address.to_string()),
        End::Host => "host".to_owned(),
    };
    let (from, to) = (end(case.flow.source), end(case.flow.destination));
    let traffic = match case.flow.traffic {
        Traffic::Tcp(port) => format!("tcp/{port}"),
        Traffic::Udp(port) => format!("udp/{port}"),
        Traffic::Sctp(port) => format!("sctp/{port}"),
        Traffic::Icmp(kind, code) => format!("icmp/{kind}/{code}"),
        Traffic::Icmp6(kind, code) => format!("icmp6/{kind}/{code}"),
        Traffic::Other(number) => format!("proto/{number}"),
    };
    let (name, at) = (name(*link), format_moment(*at));
    Ok(format!(
        "{head}---\nkind: Expectation\ndomain: {DOMAIN}\nname: {name}\nflows:\n  - {{from: {from}, to: {to}, traffic: \
         {traffic}, expect: {expect}, at: {at:?}}}\n"
    ))
}

/// Writes it, under a name that follows from what it says.
///
/// # Errors
/// The folder cannot be written.
pub fn keep(folder: &Path, found: &Found) -> Result<String, CorpusError> {
    let path = folder.join(format!("{}-{}.yaml", name(found.difference.link), found.seed)).display().to_string();
    let written = fs::write(&path, text(found)?);
    written.map_err(|source| CorpusError::File { path: path.clone(), source })?;
    Ok(path)
}

fn name(link: Link) -> &'static str {
    match link {
        Link::Compiled => "compiled",
        Link::Maps => "maps",
        Link::Programs => "programs",
        Link::Reply => "reply",
        Link::History => "history",
    }
}
