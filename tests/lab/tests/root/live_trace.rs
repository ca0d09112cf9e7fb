//! A host's own programs are asked what they would do with a flow.

use serde_json::Value;

use super::{ACME, Fixture, fixture};

impl Fixture {
    /// What the first host says of a flow of one family.
    fn live(&self, from: &str, to: &str, traffic: &str) -> Value {
        let asked = ["trace", from, to, traffic, "--domain", ACME, "--family", "ipv4", "--live", "-o", "json"];
        let answer: Value = serde_json::from_str(&self.cli_ok(&asked).unwrap().answer).unwrap();
        let mut flows = answer["flows"].as_array().unwrap().clone();
        assert_eq!(flows.len(), 1, "{answer}");
        flows.remove(0)["live"].take()
    }

    /// What a packet that was sent would move; kernels chatter, so other drops may.
    fn moved(&self) -> Vec<[Value; 4]> {
        let counters = self.cli_ok(&["counters", "-o", "json"]).unwrap().answer;
        let counters: Value = serde_json::from_str(&counters).unwrap();
        let interfaces = counters["interfaces"].as_array().unwrap().iter();
        interfaces
            .map(|row| {
                [&row["device"], &row["passedFrom"], &row["passedTo"], &row["drops"]["policy_deny"]].map(Value::clone)
            })
            .collect()
    }
}

#[test]
fn a_host_answers_from_its_own_maps_and_no_counter_moves() {
    let fixture = fixture();
    let before = fixture.moved();

    let passes = fixture.live("web-1", "app-1", "tcp/8081");
    assert_eq!((&passes["agreement"], &passes["passes"]), (&"same".into(), &true.into()), "{passes}");
    assert_eq!(
        (&passes["hook"], &passes["from"]["rule"]),
        (&"from_workload".into(), &"shop/to-app".into()),
        "{passes}"
    );
    assert_ne!(passes["target"], "", "{passes}");

    let dropped = fixture.live("web-1", "db-1", "tcp/22");
    assert_eq!((&dropped["passes"], &dropped["reason"]), (&false.into(), &"policy_deny".into()), "{dropped}");
    assert_eq!(dropped["to"]["rule"], "shop/no-ssh", "{dropped}");

    let outside = fixture.live("203.0.113.9", "web-1", "tcp/443");
    assert_eq!((&outside["hook"], &outside["passes"]), (&"from_uplink".into(), &true.into()), "{outside}");

    assert_eq!(fixture.moved(), before);
}
