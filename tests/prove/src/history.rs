//! State, not history: a world comes out the same in whatever order it was written and from whatever was before.

use std::collections::BTreeMap;

use ringfence_policy::{
    bundle::Bundle,
    compile::{Compilation, CompileError},
    object::{Object, Spec, WorkloadSpec},
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

/// The bundle of a world that came out of another by one workload: it was not there, had another role, or there was one
/// more. What more would differ is compiled anew, and so says little.
///
/// # Errors
/// A domain that the compiler refuses.
pub fn grown(objects: &[Object], ground: &Ground, random: &mut Random) -> Result<Bundle, CompileError> {
    let workloads: Vec<usize> = (0..objects.len()).filter(|place| workload(&objects[*place]).is_some()).collect();
    let mut before = objects.to_vec();
    let mut ids = ground.ids.clone();
    if let Some(place) = random.pick(&workloads) {
        match random.below(3) {
            0 => drop(before.remove(*place)),
            1 => change_role(&mut before[*place], random),
            _ => {
                let more = one_more(&objects[*place], random);
                let interfaces = workload(&more).into_iter().flat_map(|workload| &workload.interfaces);
                ids.interfaces.extend(interfaces.map(|it| ((more.name.clone(), it.name.clone()), u32::MAX)));
                before.push(more);
            }
        }
    }
    let hosts = BTreeMap::new();
    // Where rules name a workload that was not there, nothing was.
    let before = domain(&before).unwrap_or_default();
    let before = Compilation::new(&before, &ids, &hosts, 0)?;
    Ok(before.next(&ground.domain, &ids, &hosts, ground.bundle.generation)?.bundle().clone())
}

fn workload(object: &Object) -> Option<&WorkloadSpec> {
    match &object.spec {
        Spec::Workload(workload) => Some(workload),
        _ => None,
    }
}

fn change_role(object: &mut Object, random: &mut Random) {
    if let Spec::Workload(workload) = &mut object.spec {
        workload.labels.insert("role".to_owned(), random.one(["web", "app", "db", "none"]).to_owned());
    }
}

/// A workload like another, perhaps of another role, with an address of its own.
fn one_more(like: &Object, random: &mut Random) -> Object {
    let mut more = Object { name: "more".to_owned(), ..like.clone() };
    change_role(&mut more, random);
    if let Spec::Workload(workload) = &mut more.spec {
        workload.interfaces.truncate(1);
        for interface in &mut workload.interfaces {
            interface.mac = "02:00:00:00:00:fe".to_owned();
            interface.address_pairs.clear();
            interface.addresses.truncate(1);
            for address in &mut interface.addresses {
                let end = address.rfind(['.', ':']).map_or(0, |end| end + 1);
                address.replace_range(end.., "99");
            }
        }
    }
    more
}
