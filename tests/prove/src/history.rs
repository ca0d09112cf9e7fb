//! State, not history: a world comes out the same in whatever order it was written and from whatever was before.

use std::collections::BTreeMap;

use ringfence_policy::{
    bundle::Bundle,
    compile::{Compilation, CompileError},
    object::{Object, Spec},
};

use crate::{
    ground::{Ground, GroundError, domain},
    random::Random,
};

/// The bundle of a world whose objects came in another order.
///
/// # Errors
/// Objects that are refused.
pub fn shuffled(objects: &[Object], random: &mut Random) -> Result<Bundle, GroundError> {
    let mut shuffled = objects.to_vec();
    for end in (1..shuffled.len()).rev() {
        shuffled.swap(end, random.below(end + 1));
    }
    Ok(Ground::new(&shuffled)?.bundle)
}

/// The bundle of a world that grew out of another: some workloads were not there, some had other labels.
///
/// # Errors
/// A domain that the compiler refuses.
pub fn grown(objects: &[Object], ground: &Ground, random: &mut Random) -> Result<Bundle, CompileError> {
    let mut before = objects.to_vec();
    before.retain(|object| !matches!(object.spec, Spec::Workload(_)) || !random.chance(40));
    for object in &mut before {
        if let Spec::Workload(workload) = &mut object.spec
            && random.chance(40)
        {
            workload.labels.insert("role".to_owned(), random.one(["web", "app", "none"]).to_owned());
        }
    }
    let hosts = BTreeMap::new();
    // Where rules name a workload that was not there, nothing was.
    let before = domain(&before).unwrap_or_default();
    let before = Compilation::new(&before, &ground.ids, &hosts, 0)?;
    Ok(before.next(&ground.domain, &ground.ids, &hosts, ground.bundle.generation)?.bundle().clone())
}
