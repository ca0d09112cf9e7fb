//! When rules begin and end.

use ringfence_policy::bundle::Bundle;

/// The first moment after `at` from which the bundles mean something else; both in seconds since 1970-01-01T00:00:00Z.
pub fn next_boundary<'a>(bundles: impl IntoIterator<Item = &'a Bundle>, at: u64) -> Option<u64> {
    let rows = bundles.into_iter().flat_map(|bundle| &bundle.policy.rows);
    let boundaries = rows.flat_map(|row| row.later.iter().map(|(since, _)| *since));
    boundaries.filter(|since| *since > at).min()
}

#[cfg(test)]
mod tests {
    use ringfence_policy::bundle::{CompiledPolicy, Row};

    use super::*;

    fn bundle(boundaries: &[u64]) -> Bundle {
        let later = boundaries.iter().map(|since| (*since, 0)).collect();
        let rows = vec![Row { from_class: 2, to_class: 3, profile: 0, later }];
        Bundle { policy: CompiledPolicy { rows, ..CompiledPolicy::default() }.into(), ..Bundle::default() }
    }

    #[test]
    fn the_next_boundary_is_the_first_of_any_bundle_that_is_yet_to_come() {
        let bundles = [bundle(&[10, 30]), bundle(&[20]), bundle(&[])];
        let next: Vec<_> = [0, 9, 10, 20, 29, 30].iter().map(|at| next_boundary(&bundles, *at)).collect();
        assert_eq!(next, [Some(10), Some(10), Some(20), Some(30), Some(30), None]);
    }
}
