mod address_services;
mod adoption;
mod agent_restart;
mod bare_metal;
mod churn;
mod controller_down;
mod demo;
mod flood;
mod flows;
mod frame;
mod guests;
mod isolation;
mod lifecycle;
mod live_trace;
mod long_packets;
mod multicast;
mod path_mtu;
mod policy_change;
mod put_back;
mod release_upgrade;
mod rule_times;
mod shared_address;
mod teardown;
mod unattached_device;
mod uplink;
mod watch;

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ringfence_lab::{
    files::{example, read_objects},
    lab::{Lab, Options},
    probe::{Endpoint, Question, expectation, expectation::Answer, responder::Responders},
};
use ringfence_policy::model::Model;

const ACME: &str = "acme/prod";
const GLOBEX: &str = "globex/prod";

/// One lab at a time: tests read clocks, and the machine may be small.
static TURN: Mutex<()> = Mutex::new(());

/// A lab with the example applied, and somebody answering everywhere.
struct Fixture {
    responders: Responders,
    model: Model,
    lab: Lab,
    _turn: MutexGuard<'static, ()>,
}

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fixture() -> Fixture {
    fixture_with(&Options::default())
}

fn fixture_with(options: &Options) -> Fixture {
    let turn = turn();
    let shop = example("shop.yaml");
    let mut lab = Lab::raise(&[&shop], options).unwrap();
    let responders = Responders::start(&lab.endpoints).unwrap();
    lab.apply(&shop).unwrap();
    Fixture { responders, model: model_of(&[&shop]), lab, _turn: turn }
}

fn model_of(files: &[&Path]) -> Model {
    // One by one: within one set of files an object twice is an error.
    let objects: Vec<_> = files.iter().flat_map(|file| read_objects(&[file]).unwrap()).collect();
    expectation::model_of(&objects).unwrap()
}

impl Fixture {
    /// A copy, so that the lab can be changed meanwhile.
    fn somebody(&self, domain: &str, name: &str) -> Endpoint {
        self.lab.endpoint(domain, name).unwrap().clone()
    }

    /// Asks these, and requires what the reference evaluator says.
    fn require_right(&self, questions: &[Question]) -> Vec<Answer> {
        let answers = expectation::ask_all(&self.lab.endpoints, questions, &self.model).unwrap();
        expectation::require_right(&self.lab.endpoints, &answers).unwrap();
        answers
    }

    /// Every question there is.
    fn questions(&self) -> Vec<Question> {
        expectation::questions(&self.lab.endpoints)
    }
}

impl Deref for Fixture {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl DerefMut for Fixture {
    fn deref_mut(&mut self) -> &mut Lab {
        &mut self.lab
    }
}
