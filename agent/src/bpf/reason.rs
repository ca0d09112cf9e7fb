//! Why a packet was dropped: one list, `agent/bpf/reasons.def`, for C and Rust.

include!(concat!(env!("OUT_DIR"), "/reason.rs"));

impl Reason {
    /// The name in counters, logs and metrics; stable.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// What it means, for humans.
    pub fn doc(self) -> &'static str {
        self.entry().2
    }

    /// The reason a program wrote, if this build knows it: a pinned counter may be a newer agent's.
    pub fn from_number(number: u32) -> Option<Self> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        REASONS.get(index).map(|entry| entry.0)
    }

    /// Every reason, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        REASONS.iter().map(|entry| entry.0)
    }

    fn entry(self) -> &'static (Self, &'static str, &'static str) {
        // Numbered from 1 in the order of REASONS, by build.rs.
        &REASONS[self as usize - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_number_and_named_once() {
        let mut names = std::collections::BTreeSet::new();
        for reason in Reason::all() {
            assert_eq!(Reason::from_number(reason as u32), Some(reason));
            assert!(names.insert(reason.name()), "{} twice", reason.name());
            assert!(!reason.doc().is_empty());
        }
        assert_eq!(Reason::from_number(0), None);
        assert_eq!(Reason::from_number(names.len() as u32 + 1), None);
    }

    #[test]
    fn the_manual_explains_every_reason_in_its_own_words() {
        let manual = include_str!("../../../docs/DROPS.md");
        let told: Vec<&str> = manual.lines().filter(|line| line.starts_with("| `")).collect();
        let meant: Vec<String> = Reason::all().map(|it| format!("| `{}` | {} |", it.name(), it.doc())).collect();
        assert_eq!(told, meant);
    }
}
