//! Scripts from consecutive seeds, until there are enough frames or something is wrong.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ringfence_agent::{
    bpf::Reason,
    engine::{
        Engine,
        raw::{Sent, Target, Way},
        twice::Twice,
    },
};

use super::{
    change::{Change, Worlds},
    mutate::{mutate, nearly},
    oracle::Wrong,
    read::{Carried, ETHERNET, Says, read},
    script::{HOSTS, Player, Script, Step, renamed},
    seats::Here,
    talk::{Shot, Talker},
};
use crate::{case::Maker, chain::ChainError, ground::Ground, random::Random, shrink::shrink, world::World};

/// Conversations, and turns of streams, of a world at one moment.
const TURNS: usize = 60;
/// Ways in which a world may change meanwhile, at most.
const CHANGES: usize = 5;
/// Frames that mutations start from.
const RECENT: usize = 60;

/// A test run takes what fits a page with what the kernel puts around it.
const LONGEST: usize = 3000;

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first world's seed.
    pub seed: u64,
    /// Frames to send.
    pub frames: u64,
    /// Or how long to send; whichever is first.
    pub time: Duration,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Frames sent.
    pub frames: u64,
    /// Worlds.
    pub worlds: u64,
    /// What became of frames: the program, and where they went or why they did not.
    pub outcomes: BTreeMap<(&'static str, &'static str), u64>,
    /// What passed, of what must be seen to pass.
    pub shapes: BTreeMap<&'static str, u64>,
    /// Drops seen, by reason; of what was sent twice, both.
    pub drops: BTreeMap<&'static str, u64>,
    /// How long it took.
    pub took: Duration,
}

/// A script whose last step is wrong.
#[derive(Clone, Debug)]
pub struct Found {
    /// The seed it is from.
    pub seed: u64,
    /// What happened.
    pub script: Script,
    /// What is wrong with that.
    pub wrong: Wrong,
}

/// Runs until the plan is fulfilled or something is wrong.
///
/// # Errors
/// The programs cannot be asked.
pub fn run(
    engine: &mut Engine,
    plan: &Plan,
    mut progress: impl FnMut(&Done),
) -> Result<(Done, Option<Found>), ChainError> {
    let start = Instant::now();
    let mut done = Done::default();
    let mut seed = plan.seed;
    while done.frames < plan.frames && done.took < plan.time {
        let found = world(engine, seed, &mut done)?;
        done.took = start.elapsed();
        if found.is_some() {
            return Ok((done, found));
        }
        progress(&done);
        seed = seed.wrapping_add(1);
    }
    Ok((done, None))
}

/// A world, what is said in it at each moment while it changes, and mutations of that.
fn world(engine: &mut Engine, seed: u64, done: &mut Done) -> Result<Option<Found>, ChainError> {
    let World { objects } = World::generate(seed);
    let ground = Ground::new(&objects)?;
    let mut random = Random::new(!seed);
    let here = random.one([Here::All, Here::One(HOSTS[0]), Here::One(HOSTS[1])]);
    let changes = Change::of(&mut random, &ground, &objects, CHANGES);
    let worlds = Worlds::new(&objects, &changes)?;
    let mut maker = Maker::new(&ground, seed);
    let mut player = Player::new(engine, &worlds, here)?;
    let mut talker = Talker::new(player.seats(), seed);
    let mut script = Script { objects: objects.clone(), here, changes, steps: Vec::new() };
    done.worlds += 1;
    for at in maker.moments(3) {
        let mut steps = vec![Step::At(at)];
        for _ in 0..TURNS {
            let happens = random.chance(12).then(|| happens(&mut random, script.changes.len()));
            for step in steps.drain(..).chain(happens) {
                let (_, _) = player.step(&step)?;
                script.steps.push(step);
            }
            talker.seats = player.seats();
            let flow = maker.case().map(|case| case.flow);
            let said = match (random.below(100), flow) {
                (0..45, flow) => talker.stream(flow),
                (45..90, Some(flow)) => talker.conversation(&flow),
                _ => talker.aside().into_iter().collect(),
            };
            for shot in said {
                let wild = random.chance(45).then(|| mutated(&mut random, &mut talker, &script.steps)).flatten();
                for shot in [Some(shot), wild].into_iter().flatten() {
                    let step = Step::Send(shot);
                    script.steps.push(step.clone());
                    let (sent, right) = player.step(&step)?;
                    done.count(&step, sent.as_ref());
                    if let Err(wrong) = right {
                        return Ok(Some(Found { seed, script, wrong }));
                    }
                }
            }
        }
    }
    Ok(None)
}

/// What happens to a world while frames are under way; most often it becomes what it was.
fn happens(random: &mut Random, changes: usize) -> Step {
    match random.below(10) {
        0 => Step::Silence,
        1..5 => Step::World(0),
        _ => Step::World(random.between(0, changes)),
    }
}

/// One of the last frames, changed, or by another way.
fn mutated(random: &mut Random, talker: &mut Talker<'_>, steps: &[Step]) -> Option<Shot> {
    let recent: Vec<&Shot> = steps
        .iter()
        .rev()
        .take(RECENT)
        .filter_map(|step| match step {
            Step::Send(shot) => Some(shot),
            _ => None,
        })
        .collect();
    let [one, other] = [*random.pick(&recent)?, *random.pick(&recent)?];
    let mut shot = Shot { plain: false, ..one.clone() };
    if random.chance(20) {
        shot.way = talker.any_way();
    }
    if matches!(shot.way, Way::Overlay { .. }) && random.chance(40) {
        shot.way = talker.any_overlay();
    }
    match random.below(10) {
        0 => {}
        1..4 => nearly(random, &mut shot.frame),
        _ => mutate(random, &mut shot.frame, &other.frame),
    }
    fit(&mut shot.frame);
    Some(shot)
}

/// To what a test run takes: no less than Ethernet and the IP header that it names, or a byte.
fn fit(frame: &mut Vec<u8>) {
    frame.resize(frame.len().max(ETHERNET), 0);
    let carried = match frame[ETHERNET - 2..ETHERNET] {
        [8, 0] => 20,
        [0x86, 0xdd] => 40,
        _ => 1,
    };
    frame.resize(frame.len().clamp(ETHERNET + carried, LONGEST), 0);
}

impl Done {
    fn count(&mut self, step: &Step, sent: Option<&Twice>) {
        let (Step::Send(shot), Some(Twice { sent, long, .. })) = (step, sent) else { return };
        let program = match shot.way {
            Way::Workload(_) => "from_workload",
            Way::Host(_) => "to_workload",
            Way::Uplink => "from_uplink",
            Way::HostToUplink => "to_uplink",
            Way::Overlay { .. } => "from_overlay",
        };
        let outcome = match sent.went {
            Ok(Target::Interface(_)) if sent.judged => "to an interface here",
            Ok(Target::Interface(_)) => "to an interface here, by what is known of its flow",
            Ok(Target::Remote { .. }) if sent.judged => "to another host",
            Ok(Target::Remote { .. }) => "to another host, by what is known of its flow",
            Ok(Target::Uplink) if sent.judged => "to the uplink",
            Ok(Target::Uplink) => "to the uplink, by what is known of its flow",
            Ok(Target::On) => "on its way",
            Ok(Target::Back) => "answered",
            Err(reason) => reason.map_or("no reason", Reason::name),
        };
        self.frames += 1;
        *self.outcomes.entry((program, outcome)).or_default() += 1;
        if sent.went.is_ok() {
            shapes(&shot.frame).into_iter().for_each(|shape| *self.shapes.entry(shape).or_default() += 1);
        }
        for Sent { went, .. } in [sent].into_iter().chain(long) {
            if let Err(reason) = went {
                *self.drops.entry(reason.map_or("no reason", Reason::name)).or_default() += 1;
            }
        }
        if let Some(long) = long {
            let open = if long.went.is_ok() { "of an open flow, passed" } else { "of an open flow, dropped" };
            *self.outcomes.entry((program, open)).or_default() += 1;
        }
    }
}

/// What there is to say of a frame that passed.
fn shapes(frame: &[u8]) -> Vec<&'static str> {
    let Ok(read) = read(frame) else { return Vec::new() };
    let Carried::Ip(packet) = &read.carries else { return vec!["ARP"] };
    let next = frame[read.at + 6];
    [
        (read.tagged, "priority tag"),
        (packet.src.is_ipv4() && frame[read.at] != 0x45, "options of IPv4"),
        (packet.src.is_ipv6() && matches!(next, 0 | 43 | 51 | 60), "extension headers of IPv6"),
        (packet.fragment.is_some_and(|part| part.offset == 0), "first fragment"),
        (packet.says == Says::Rest, "later fragment"),
        (matches!(&packet.says, Says::Icmp { quote: Some(_), .. }), "ICMP error"),
    ]
    .into_iter()
    .filter_map(|(is, shape)| is.then_some(shape))
    .collect()
}

/// The least script in which the same still shows.
pub fn shrunk(engine: &mut Engine, found: &Found) -> Found {
    let kind = |wrong: &str| wrong.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let mut least = found.clone();
    let mut shows = |script: &Script| {
        let wrong = script.play(engine).ok().flatten()?.1;
        (kind(&wrong) == kind(&found.wrong)).then_some(wrong)
    };
    // The longest stretches first, then step by step.
    let mut size = least.script.steps.len();
    while size > 0 {
        // The world has to be in force.
        let mut start = 1;
        while start < least.script.steps.len() {
            let mut lesser = least.script.clone();
            let end = (start + size).min(lesser.steps.len());
            lesser.steps.drain(start..end);
            match shows(&lesser) {
                Some(wrong) => (least.script, least.wrong) = (lesser, wrong),
                None => start += size,
            }
        }
        size /= 2;
    }
    let script = least.script.clone();
    let objects = shrink(&script.objects, |objects| lesser(&script, objects).and_then(|it| shows(&it)).is_some());
    if let Some(lesser) = lesser(&script, &objects)
        && let Some(wrong) = shows(&lesser)
    {
        (least.script, least.wrong) = (lesser, wrong);
    }
    least
}

/// The same steps in a lesser world.
fn lesser(script: &Script, objects: &[ringfence_policy::object::Object]) -> Option<Script> {
    let (before, after) = (Ground::new(&script.objects).ok()?, Ground::new(objects).ok()?);
    Worlds::new(objects, &script.changes).ok()?;
    let step = |step: &Step| match step {
        Step::Send(shot) => Some(Step::Send(Shot { way: renamed(&before, &after, shot.way)?, ..shot.clone() })),
        other => Some(other.clone()),
    };
    let steps = script.steps.iter().map(step).collect::<Option<Vec<_>>>()?;
    Some(Script { objects: objects.to_vec(), here: script.here, changes: script.changes.clone(), steps })
}
