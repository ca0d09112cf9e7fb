//! What became of a packet, and that exactly the right counters say so.

use std::collections::BTreeMap;

use ringfence_agent::bpf::{Action, Conn, Conn4Key, Decision, Hook, Reason, TestContext, TestOutput};

use crate::world::World;

const OK: i32 = -1;
const SHOT: i32 = 2;
const REDIRECT: i32 = 7;

impl World {
    pub fn run(&self, hook: Hook, ifindex: u32, frame: &[u8]) -> TestOutput {
        let context = TestContext { ifindex, ..TestContext::default() };
        self.datapath.test_run(hook, frame, &context).unwrap()
    }

    pub fn decision(&self) -> Decision {
        self.datapath.maps().decisions.get(&0).unwrap().expect("a decision was recorded")
    }

    /// Every counter that is not zero.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let maps = self.datapath.maps();
        let mut counters = BTreeMap::new();
        for row in [1, 2, 3, 4, 5, 6, 100, 101] {
            let passed = maps.passed.get(&row).unwrap().unwrap();
            counters.insert(format!("{row} from"), passed.from);
            counters.insert(format!("{row} to"), passed.to);
        }
        for (key, count) in maps.drops.entries().unwrap() {
            let reason = Reason::from_number(key.reason).unwrap();
            counters.insert(format!("device {} {}", key.ifindex, reason.name()), count);
        }
        for (key, count) in maps.audit.entries().unwrap() {
            let would = if key.allows == 1 { "allow" } else { "deny" };
            counters.insert(format!("audit rule {} would {would}", key.rule), count);
        }
        counters.retain(|_, count| *count != 0);
        counters
    }

    /// What moved while `act` ran, and its result.
    pub fn moved<T>(&self, act: impl FnOnce() -> T) -> (T, BTreeMap<String, u64>) {
        let before = self.counters();
        let result = act();
        let mut after = self.counters();
        for (name, count) in before {
            *after.get_mut(&name).unwrap() -= count;
        }
        after.retain(|_, count| *count != 0);
        (result, after)
    }

    /// The packet is dropped for this reason, the drop is counted once and nothing else is.
    #[track_caller]
    pub fn drops(&self, hook: Hook, ifindex: u32, frame: &[u8], reason: Reason) -> Decision {
        let (output, moved) = self.moved(|| self.run(hook, ifindex, frame));
        let decision = self.decision();
        let was = Reason::from_number(decision.reason);
        assert_eq!((output.action, was), (SHOT, Some(reason)), "action and reason");
        let expected = BTreeMap::from([(format!("device {ifindex} {}", reason.name()), 1)]);
        assert_eq!(moved, expected);
        decision
    }

    /// The packet passes, it is counted once and nothing else is.
    #[track_caller]
    pub fn passes(&self, hook: Hook, ifindex: u32, frame: &[u8]) -> (TestOutput, Decision) {
        let (output, moved) = self.moved(|| self.run(hook, ifindex, frame));
        let decision = self.decision();
        assert_eq!(Reason::from_number(decision.reason), None, "reason");
        let counter = self.datapath.maps().devices.get(ifindex).unwrap().unwrap().counter;
        let delivered = decision.action == Action::RF_ACTION_DELIVER;
        let passed = [OK, REDIRECT].contains(&output.action);
        assert!(passed, "action {}", output.action);
        let direction = if delivered { "to" } else { "from" };
        assert_eq!(moved, BTreeMap::from([(format!("{counter} {direction}"), 1)]));
        (output, decision)
    }

    /// The only IPv4 connection.
    pub fn only_conn(&self) -> (Conn4Key, Conn) {
        let conns = self.datapath.maps().conns4.entries().unwrap();
        assert_eq!(conns.len(), 1, "{conns:?}");
        conns[0]
    }
}
