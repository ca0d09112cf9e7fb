//! The way out of a domain and back in.

use ringfence_lab::probe::Outcome;

use super::{ACME, GLOBEX, fixture};

#[test]
fn both_directions_and_both_families_pass_as_policy_says() {
    let fixture = fixture();
    let is_outside = |name: &str| matches!(name, "internet" | "office");
    let mut questions = fixture.questions();
    questions.retain(|it| {
        let asker = &fixture.endpoints[it.asker];
        let asked = |name| fixture.somebody(&asker.domain, name).addresses.contains(&it.target);
        is_outside(&asker.name) || asked("internet") || asked("office")
    });
    let answers = fixture.require_right(&questions);
    for domain in [ACME, GLOBEX] {
        for outward in [true, false] {
            for ipv4 in [true, false] {
                let answered = answers.iter().any(|it| {
                    let asker = &fixture.endpoints[it.question.asker];
                    asker.domain == domain
                        && is_outside(&asker.name) != outward
                        && it.question.target.is_ipv4() == ipv4
                        && it.observed != Outcome::Silence
                });
                // In globex only ICMPv6 may go out.
                let expected = !(domain == GLOBEX && outward && ipv4);
                assert_eq!(answered, expected, "{domain} outward: {outward} ipv4: {ipv4}");
            }
        }
    }
}
