//! Statistics of measurements taken in turns (A B A B), so that what else happens on the machine hits all alike.

use serde_json::{Value, json};

/// What several rounds found, as medians and as the quartiles around them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// A quarter of the rounds found less.
    pub(crate) low: f64,
    /// Half of them.
    pub(crate) median: f64,
    /// Three quarters.
    pub(crate) high: f64,
}

impl Spread {
    /// Of what the rounds found; `None`: there was none.
    pub(crate) fn of(mut found: Vec<f64>) -> Option<Self> {
        found.sort_by(f64::total_cmp);
        let at = |part: usize| found.get((found.len().checked_sub(1)? * part + 2) / 4).copied();
        Some(Self { low: at(1)?, median: at(2)?, high: at(3)? })
    }

    /// The ratio of each round of one to the same round of another.
    pub(crate) fn ratio(of: &[f64], to: &[f64]) -> Option<Self> {
        Self::of(of.iter().zip(to).filter(|(_, to)| **to > 0.0).map(|(of, to)| of / to).collect())
    }

    /// For a report: the median, and the quartiles.
    pub(crate) fn shown(&self) -> Value {
        json!({ "median": self.median, "low": self.low, "high": self.high })
    }
}

/// What a ratio must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    /// No more than that.
    AtMost(f64),
    /// No less than that.
    AtLeast(f64),
}

impl Bar {
    /// Whether a ratio, by its median, is as it must be.
    pub(crate) fn holds(self, ratio: &Spread) -> bool {
        match self {
            Self::AtMost(bar) => ratio.median <= bar,
            Self::AtLeast(bar) => ratio.median >= bar,
        }
    }

    /// For a table: the bar and whether it is kept; nothing where there is no bar.
    pub(crate) fn judged(bar: Option<Self>, ratio: &Spread) -> [Value; 2] {
        let Some(bar) = bar else { return [json!(""), json!("")] };
        let text = match bar {
            Self::AtMost(bar) => format!("≤ {bar}"),
            Self::AtLeast(bar) => format!("≥ {bar}"),
        };
        [json!(text), json!(if bar.holds(ratio) { "pass" } else { "MISS" })]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_rounds_and_not_of_medians() {
        // Everything took twice as long in the second round: the ratio does not see it.
        let ratio = Spread::ratio(&[10.0, 20.0, 10.0], &[5.0, 10.0, 5.0]);
        assert_eq!(ratio, Some(Spread { low: 2.0, median: 2.0, high: 2.0 }));
    }

    #[test]
    fn a_bar_is_judged_by_the_median() {
        let ratio = Spread { low: 0.9, median: 1.2, high: 1.5 };
        assert!(Bar::AtMost(1.3).holds(&ratio) && !Bar::AtMost(1.1).holds(&ratio));
        assert!(Bar::AtLeast(1.0).holds(&ratio) && !Bar::AtLeast(1.3).holds(&ratio));
    }

    #[test]
    fn quartiles_of_five_are_the_second_the_third_and_the_fourth() {
        assert_eq!(Spread::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]), Some(Spread { low: 2.0, median: 3.0, high: 4.0 }));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
