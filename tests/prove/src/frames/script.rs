//! A world and the frames that are sent into it, one after the other: how a finding is told, shrunk and kept.
//!
//! A file of the corpus is one of the language, so that it reads like any; the frames stand in comments of it:
//!
//! ```text
//! #> here h1                                   the host; `all`: one that runs everything
//! #> change moved workload acme/world/w0       what a later step may do to the world; the first is number 1
//! #> at 2000000000                             from here on, in seconds since 1970-01-01T00:00:00Z
//! #> world 1                                   as it is changed; 0: as it was
//! #> silence                                   nothing is sent until every connection is over
//! #> send workload:w0/eth11 0 plain 0252...    way, bytes of a segment, `plain` or `any`, the frame
//! ```

use std::{fmt::Write as _, fs, path::Path};

use ringfence_agent::engine::{Engine, raw::Way, twice::Twice};
use ringfence_policy::{
    object::Object,
    text::{SourceFile, parse_all, render},
};

use super::{
    change::{Change, Worlds},
    model::Model,
    oracle::{Oracle, Wrong, hex},
    read::read,
    seats::{Here, Seats},
    talk::Shot,
};
use crate::{chain::ChainError, corpus::CorpusError, ground::Ground};

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The world as it is at a moment comes in force.
    At(u64),
    /// The world as it is changed ([`Worlds::at`]).
    World(usize),
    /// Nothing is sent for longer than any connection lasts.
    Silence,
    /// A frame is sent.
    Send(Shot),
}

/// A world and what happens in it.
#[derive(Clone, Debug)]
pub struct Script {
    /// The world.
    pub objects: Vec<Object>,
    /// The host.
    pub here: Here,
    /// What may happen to it.
    pub changes: Vec<Change>,
    /// In this order, [`Step::At`] first.
    pub steps: Vec<Step>,
}

/// Plays a script, or makes one as it goes.
#[derive(Debug)]
pub struct Player<'a> {
    engine: &'a mut Engine,
    worlds: &'a Worlds,
    oracle: Oracle<'a>,
}

const MARK: &str = "#> ";

impl<'a> Player<'a> {
    /// A world that nothing has happened in.
    ///
    /// # Errors
    /// The programs' maps cannot be written.
    pub fn new(engine: &'a mut Engine, worlds: &'a Worlds, here: Here) -> Result<Self, ChainError> {
        engine.forget_all()?;
        let seats = Seats { ground: &worlds.whole, here };
        Ok(Self { engine, worlds, oracle: Oracle { seats, at: 0, model: Model::default() } })
    }

    /// Who sits where by now.
    pub fn seats(&self) -> Seats<'a> {
        self.oracle.seats
    }

    /// One step; what became of a frame, and what is wrong with that.
    ///
    /// # Errors
    /// The programs cannot be asked.
    pub fn step(&mut self, step: &Step) -> Result<(Option<Twice>, Result<(), Wrong>), ChainError> {
        match step {
            Step::At(at) => {
                self.oracle.at = *at;
                self.load()?;
            }
            Step::World(number) => {
                self.oracle.seats.ground = self.worlds.at(*number);
                self.load()?;
            }
            Step::Silence => {
                self.engine.be_silent()?;
                self.oracle.model.silent();
            }
            // By now it cannot come.
            Step::Send(shot) if !self.oracle.seats.has(shot.way) => {}
            Step::Send(shot) => {
                let twice = self.send(shot)?;
                let right = self.oracle.check(shot.way, &shot.frame, &twice.sent, shot.plain);
                let right = right.and_then(|()| match &twice.differ {
                    Some([quick, long]) => Err(format!("the quick way: {quick}; the long way: {long}")),
                    None => Ok(()),
                });
                return Ok((Some(twice), right));
            }
        }
        Ok((None, Ok(())))
    }

    fn load(&mut self) -> Result<(), ChainError> {
        let Seats { ground, here } = self.oracle.seats;
        match here {
            Here::All => self.engine.load(&ground.bundle, self.oracle.at)?,
            Here::One(host) => self.engine.load_on(&ground.bundle, host, self.oracle.at)?,
        }
        Ok(())
    }

    fn send(&mut self, Shot { way, frame, gso_size, .. }: &Shot) -> Result<Twice, ChainError> {
        let has_quick_way = matches!(way, Way::Workload(_) | Way::Overlay { .. });
        match read(frame).ok().and_then(|frame| frame.tuple()).filter(|_| has_quick_way) {
            Some(flow) => Ok(self.engine.send_twice(*way, frame, *gso_size, &flow)?),
            None => Ok(Twice { sent: self.engine.send_frame(*way, frame, *gso_size)?, long: None, differ: None }),
        }
    }
}

impl Script {
    /// What goes wrong first, and at which step.
    ///
    /// # Errors
    /// It is no world; the programs cannot be asked.
    pub fn play(&self, engine: &mut Engine) -> Result<Option<(usize, Wrong)>, ChainError> {
        let worlds = Worlds::new(&self.objects, &self.changes)?;
        let mut player = Player::new(engine, &worlds, self.here)?;
        for (place, step) in self.steps.iter().enumerate() {
            if let (_, Err(wrong)) = player.step(step)? {
                return Ok(Some((place, wrong)));
            }
        }
        Ok(None)
    }

    /// As a file of the corpus.
    ///
    /// # Errors
    /// It is no world.
    pub fn text(&self, wrong: &str) -> Result<String, ChainError> {
        let ground = Ground::new(&self.objects)?;
        let mut text = format!("# Found once: {wrong}\n{}", render(&self.objects));
        let here = match self.here {
            Here::All => "all",
            Here::One(host) => host,
        };
        let _ = writeln!(text, "{MARK}here {here}");
        for change in &self.changes {
            let _ = writeln!(text, "{MARK}change {change}");
        }
        for step in &self.steps {
            let _ = match step {
                Step::At(at) => writeln!(text, "{MARK}at {at}"),
                Step::World(number) => writeln!(text, "{MARK}world {number}"),
                Step::Silence => writeln!(text, "{MARK}silence"),
                Step::Send(Shot { way, frame, gso_size, plain }) => {
                    let plain = if *plain { "plain" } else { "any" };
                    writeln!(text, "{MARK}send {} {gso_size} {plain} {}", way_text(&ground, *way), hex(frame))
                }
            };
        }
        Ok(text)
    }

    /// Reads a file of the corpus.
    ///
    /// # Errors
    /// It cannot be read, or says what it cannot.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| CorpusError::File { path: name.clone(), source })?;
        let contents =
            parse_all(&[SourceFile { name: name.clone(), text: text.clone() }]).map_err(CorpusError::Text)?;
        let objects: Vec<Object> = contents.documents.into_iter().map(|document| document.object).collect();
        let ground = Ground::new(&objects)?;
        let mut script = Self { objects, here: Here::All, changes: Vec::new(), steps: Vec::new() };
        for line in text.lines().filter_map(|line| line.strip_prefix(MARK)) {
            let step = script.line(&ground, line);
            step.ok_or_else(|| CorpusError::Line { path: name.clone(), line: line.to_owned() })?;
        }
        Ok(script)
    }

    fn line(&mut self, ground: &Ground, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["here", "all"] => self.here = Here::All,
            ["here", host] => self.here = Here::One(HOSTS.into_iter().find(|known| *known == host)?),
            ["change", kind, of, key] => self.changes.push(Change::read(&format!("{kind} {of} {key}"))?),
            ["world", number] => self.steps.push(Step::World(number.parse().ok()?)),
            ["silence"] => self.steps.push(Step::Silence),
            ["at", at] => self.steps.push(Step::At(at.parse().ok()?)),
            ["send", way, gso_size, plain, frame] => {
                let way = read_way(ground, way)?;
                let (gso_size, plain) = (gso_size.parse().ok()?, plain == "plain");
                self.steps.push(Step::Send(Shot { way, frame: unhex(frame)?, gso_size, plain }));
            }
            _ => return None,
        }
        Some(())
    }
}

/// The hosts of worlds.
pub const HOSTS: [&str; 2] = ["h1", "h2"];

/// By names, since numbers are others in a lesser world.
fn way_text(ground: &Ground, way: Way) -> String {
    let of = |id| {
        let interface = ground.bundle.interfaces.iter().find(|interface| interface.id == id);
        interface.map_or_else(|| id.to_string(), |it| format!("{}/{}", it.workload, it.name))
    };
    match way {
        Way::Workload(id) => format!("workload:{}", of(id)),
        Way::Host(id) => format!("host:{}", of(id)),
        Way::Uplink => "uplink".to_owned(),
        Way::HostToUplink => "host-to-uplink".to_owned(),
        Way::Overlay { vni, remote } => format!("overlay:{vni}/{remote}"),
    }
}

fn read_way(ground: &Ground, text: &str) -> Option<Way> {
    let (kind, of) = text.split_once(':').unwrap_or((text, ""));
    let interface = || {
        let (workload, name) = of.split_once('/')?;
        let mut interfaces = ground.bundle.interfaces.iter();
        Some(interfaces.find(|it| it.workload == workload && it.name == name)?.id)
    };
    Some(match kind {
        "workload" => Way::Workload(interface()?),
        "host" => Way::Host(interface()?),
        "uplink" => Way::Uplink,
        "host-to-uplink" => Way::HostToUplink,
        "overlay" => {
            let (vni, remote) = of.split_once('/')?;
            Way::Overlay { vni: vni.parse().ok()?, remote: remote.parse().ok()? }
        }
        _ => return None,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The same world's way after objects were taken away; `None`: it is gone.
pub(super) fn renamed(before: &Ground, after: &Ground, way: Way) -> Option<Way> {
    read_way(after, &way_text(before, way))
}
