//! An agent that dies at any step of a plan leaves every packet judged by the old state or by the new one, and the next
//! agent finishes what it began: the real plan, cut off after each of its steps, over real maps.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_agent::engine::{Answer, Engine, UnderWay};
use ringfence_policy::{
    bundle::Bundle,
    evaluate::{End, Flow, Traffic, evaluate},
    object::{Object, Spec},
};
use ringfence_prove::{
    before::instead_of_policy,
    case::{Case, Maker},
    ground::Ground,
    world::{EPOCH, World},
};

/// Asked at each step, of each kind.
const CASES: usize = 20;

/// From one state of a host to another; `None`: no domain is here.
struct Change<'a> {
    from: Option<&'a Ground>,
    to: Option<&'a Ground>,
    /// Addresses that are a workload's in one of both alone.
    newcomer: BTreeSet<End>,
    cases: Vec<Case>,
}

/// What happened.
#[derive(Debug, Default)]
struct Seen {
    steps: usize,
    /// Flows that both states allow and that were asked whether they go on.
    kept: usize,
    /// Flows that the new state ends.
    ended: usize,
    /// Cuts that left the old state in force, and the new one.
    old: usize,
    new: usize,
}

impl<'a> Change<'a> {
    fn new(from: Option<&'a Ground>, to: Option<&'a Ground>, seed: u64) -> Self {
        let ends = |ground: &Ground| -> BTreeSet<End> {
            let addresses =
                ground.bundle.interfaces.iter().flat_map(|it| it.addresses.iter().map(|(address, _)| *address));
            addresses.map(End::Address).collect()
        };
        let newcomer = match (from, to) {
            (Some(from), Some(to)) => ends(from).symmetric_difference(&ends(to)).copied().collect(),
            _ => BTreeSet::new(),
        };
        let mut change = Self { from, to, newcomer, cases: Vec::new() };
        let fullest = change.fullest();
        let mut maker = Maker::new(fullest, seed);
        let mut cases = BTreeMap::new();
        // Of flows that may have something to lose, of such as pass before or after, and of such as never do.
        let kinds: [fn(&Flow, [bool; 2]) -> bool; 3] = [
            |flow, allows| is_datagram(flow) && allows != [false; 2],
            |_, allows| allows != [false; 2],
            |_, allows| allows == [false; 2],
        ];
        for kind in kinds {
            let found = std::iter::repeat_with(|| maker.case()).take(2_000).flatten();
            let fit =
                found.filter(|case| is_judged(fullest, &case.flow) && kind(&case.flow, change.allows(&case.flow)));
            cases.extend(fit.take(CASES).map(|case| (format!("{:?}", case.flow), case)));
        }
        change.cases = cases.into_values().collect();
        change
    }

    /// The state that has every workload of both.
    fn fullest(&self) -> &'a Ground {
        let count = |ground: &&Ground| ground.bundle.interfaces.len();
        self.from.into_iter().chain(self.to).max_by_key(count).unwrap()
    }

    /// What each state says of a flow, the old one first.
    fn allows(&self, flow: &Flow) -> [bool; 2] {
        [self.from, self.to].map(|ground| ground.is_some_and(|ground| is_judged(ground, flow) && says(ground, flow)))
    }

    /// How many flows there are that could be held and of which both states say this.
    fn datagrams(&self, says: [bool; 2]) -> usize {
        let datagrams = self.cases.iter().map(|case| &case.flow).filter(|flow| is_datagram(flow));
        let answer = |flow: &Flow| Flow { source: flow.destination, destination: flow.source, ..*flow };
        let one_way = |flow: &&Flow| says[1] || self.allows(&answer(flow)) == [false; 2];
        datagrams.filter(|flow| !self.is_newcomers(flow) && self.allows(flow) == says).filter(one_way).count()
    }

    fn is_newcomers(&self, flow: &Flow) -> bool {
        self.newcomer.contains(&flow.source) || self.newcomer.contains(&flow.destination)
    }

    /// Every packet is judged as one of both states says, and all by the same one.
    fn require_one_of_both(&self, engine: &mut Engine, step: usize, seen: &mut Seen) {
        let mut agrees = [true; 2];
        for Case { flow, .. } in &self.cases {
            let passes = passes(engine, flow);
            let allows = self.allows(flow);
            assert!(
                allows.contains(&passes) || !passes && self.is_newcomers(flow),
                "step {step}: {flow:?} passes: {passes}"
            );
            // Where a workload is new, its device and its addresses come and go apart from the policy.
            if !self.is_newcomers(flow) {
                agrees.iter_mut().zip(allows).for_each(|(agrees, allows)| *agrees &= passes == allows);
            }
        }
        // Where there is no domain before or after, devices come and go one by one, and are closed when they are unknown.
        let is_whole = agrees.contains(&true) || self.from.is_none() || self.to.is_none();
        assert!(is_whole, "step {step} is neither wholly old nor wholly new");
        seen.old += usize::from(agrees[0]);
        seen.new += usize::from(agrees[1]);
    }

    /// Flows from a port that are let through now, with a connection.
    fn begin(&self, engine: &mut Engine, source_port: u16) -> Vec<UnderWay> {
        let datagrams = self.cases.iter().filter(|case| is_datagram(&case.flow));
        datagrams.filter_map(|case| engine.begin(&case.flow, source_port).unwrap()).collect()
    }

    /// Flows go on that both states allow, and none does that the state in force now denies, if `settled`.
    fn require_flows(&self, engine: &mut Engine, flows: &[UnderWay], settled: bool, seen: &mut Seen) {
        for under_way in flows.iter().filter(|it| !self.is_newcomers(it.flow())) {
            let [forth, back] = engine.goes_on(under_way).unwrap();
            match self.allows(under_way.flow()) {
                [true, true] => {
                    assert!(forth && back, "{under_way:?} is cut");
                    seen.kept += 1;
                }
                // An answer that may be a first packet has opened a flow of its own, which this one then answers.
                [_, false] if settled && !under_way.reverse().is_some_and(|flow| self.allows(&flow)[1]) => {
                    assert!(!forth, "{under_way:?} goes on");
                    seen.ended += 1;
                }
                _ => {}
            }
        }
    }

    /// Cuts the plan off after each of its steps.
    fn cut_everywhere(&self, engine: &mut Engine) -> Seen {
        let bundle = |ground: Option<&'a Ground>| -> Option<&'a Bundle> { ground.map(|ground| &ground.bundle) };
        let (from, to) = (bundle(self.from), bundle(self.to));
        let mut seen = Seen::default();
        engine.ask_as(&self.fullest().bundle);
        loop {
            engine.load_cut_off(from, EPOCH, usize::MAX).unwrap();
            engine.forget_all().unwrap();
            let before = self.begin(engine, 50_000);
            let more = engine.load_cut_off(to, EPOCH, seen.steps).unwrap();
            self.require_one_of_both(engine, seen.steps, &mut seen);
            self.require_flows(engine, &before, false, &mut seen);
            let meanwhile = self.begin(engine, 50_001);
            engine.take_up(to, EPOCH).unwrap();
            self.require_flows(engine, &[before, meanwhile].concat(), true, &mut seen);
            for Case { flow, .. } in &self.cases {
                assert_eq!(passes(engine, flow), self.allows(flow)[1], "{flow:?}");
            }
            if !more {
                return seen;
            }
            seen.steps += 1;
        }
    }
}

/// A packet of such a flow is like another.
fn is_datagram(flow: &Flow) -> bool {
    matches!(flow.traffic, Traffic::Udp(_))
}

/// Whether the first packet passes of a flow that leaves nothing behind.
fn passes(engine: &mut Engine, flow: &Flow) -> bool {
    matches!(engine.ask(flow).unwrap(), Answer::Judged { passes: true, .. })
}

fn says(ground: &Ground, flow: &Flow) -> bool {
    evaluate(&ground.domain, flow, EPOCH).allows()
}

/// Whether policy decides about the flow's first packet.
fn is_judged(ground: &Ground, flow: &Flow) -> bool {
    let right = evaluate(&ground.domain, flow, EPOCH);
    (right.from.is_some() || right.to.is_some()) && instead_of_policy(ground, flow, &right).is_none()
}

/// The same world with every second rule the other way round.
fn turned(objects: &[Object]) -> Vec<Object> {
    let mut objects = objects.to_vec();
    let policies = objects.iter_mut().filter_map(|object| match &mut object.spec {
        Spec::Policy(policy) => Some(policy),
        _ => None,
    });
    for rule in policies.flat_map(|policy| policy.rules.iter_mut().step_by(2)) {
        rule.action = if rule.action == "allow" { "deny" } else { "allow" }.to_owned();
    }
    objects
}

/// The same world without the workload that comes last, so that the others keep their devices; `None`: a rule names it.
fn without_the_last(objects: &[Object], ground: &Ground) -> Option<Ground> {
    let last = ground.bundle.interfaces.last()?.workload.clone();
    let is_last = |object: &Object| matches!(object.spec, Spec::Workload(_)) && object.name == last;
    let rest: Vec<Object> = objects.iter().filter(|object| !is_last(object)).cloned().collect();
    Ground::new(&rest).ok()
}

/// The first world in which flows outlive a change, and what it changes to; flows that it ends, too, if there `must_end` any.
fn changing_world(
    first: u64,
    must_end: bool,
    change: impl Fn(&[Object], &Ground) -> Option<Ground>,
) -> (Ground, Ground) {
    let changing = (first..first + 100).find_map(|seed| {
        let World { objects } = World::generate(seed);
        let from = Ground::new(&objects).unwrap();
        let to = change(&objects, &from)?;
        let change = Change::new(Some(&from), Some(&to), first);
        let fits = change.datagrams([true, true]) > 3 && (!must_end || change.datagrams([true, false]) > 3);
        fits.then_some((from, to))
    });
    changing.unwrap()
}

#[test]
fn a_policy_change_cut_off_after_any_step_leaves_one_state_or_the_other() {
    let (from, to) = changing_world(8_000, true, |objects, _| Ground::new(&turned(objects)).ok());
    let seen = Change::new(Some(&from), Some(&to), 8_000).cut_everywhere(&mut Engine::open().unwrap());
    println!("{seen:?}");
    assert!(seen.steps > 10 && seen.kept > 0 && seen.ended > 0 && seen.old > 0 && seen.new > 0);
}

#[test]
fn a_workload_that_joins_or_leaves_with_a_plan_cut_off_after_any_step_harms_no_other() {
    let (with, without) = changing_world(8_100, false, without_the_last);
    let mut engine = Engine::open().unwrap();
    for (from, to) in [(&without, &with), (&with, &without)] {
        let seen = Change::new(Some(from), Some(to), 8_100).cut_everywhere(&mut engine);
        println!("{seen:?}");
        assert!(seen.steps > 3 && seen.kept > 0);
    }
}

#[test]
fn a_first_start_and_a_last_removal_cut_off_after_any_step_open_nothing() {
    let ground = Ground::new(&World::generate(8_200).objects).unwrap();
    let mut engine = Engine::open().unwrap();
    for (from, to) in [(None, Some(&ground)), (Some(&ground), None)] {
        let seen = Change::new(from, to, 8_200).cut_everywhere(&mut engine);
        println!("{seen:?}");
        assert!(seen.steps > 10 && seen.old > 0 && seen.new > 0);
    }
}
