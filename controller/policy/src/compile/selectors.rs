//! Selectors of the peers in use, found by the labels of a workload.

use std::collections::{BTreeMap, HashMap};

use crate::model::Selector;

/// Selectors with the places of their peers.
pub(super) struct Selectors {
    selectors: Vec<(u32, Selector)>,
    /// Those that ask for one of some values, by key and value; the others must be tried on every workload.
    by_value: HashMap<String, HashMap<String, Vec<usize>>>,
    others: Vec<usize>,
}

impl Selectors {
    /// The places of the peers whose selector selects a workload with these labels, in no order.
    pub(super) fn matching(&self, labels: &BTreeMap<String, String>) -> impl Iterator<Item = u32> {
        let by_value = labels.iter().filter_map(|(key, value)| self.by_value.get(key)?.get(value)).flatten();
        let tried = by_value.chain(&self.others).filter_map(|index| self.selectors.get(*index));
        tried.filter(|(_, selector)| selector.matches(labels)).map(|(place, _)| *place)
    }
}

impl<'a> FromIterator<(u32, &'a Selector)> for Selectors {
    fn from_iter<I: IntoIterator<Item = (u32, &'a Selector)>>(selectors: I) -> Self {
        let mut found = Self { selectors: Vec::new(), by_value: HashMap::new(), others: Vec::new() };
        for (index, (place, selector)) in selectors.into_iter().enumerate() {
            match selector.required() {
                None => found.others.push(index),
                Some((key, values)) => {
                    let by_value = found.by_value.entry(key.to_owned()).or_default();
                    for value in values {
                        by_value.entry(value.clone()).or_default().push(index);
                    }
                }
            }
            found.selectors.push((place, selector.clone()));
        }
        found
    }
}
