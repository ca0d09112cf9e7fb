//! Names of objects between the wire and what is shown.

use ringfence_policy::object::{Kind, ObjectKey};
use ringfence_proto::v1;

/// A kind as it travels.
pub(crate) fn kind_to_wire(kind: Kind) -> v1::Kind {
    match kind {
        Kind::Tenant => v1::Kind::Tenant,
        Kind::Domain => v1::Kind::Domain,
        Kind::Network => v1::Kind::Network,
        Kind::Workload => v1::Kind::Workload,
        Kind::Segment => v1::Kind::Segment,
        Kind::Policy => v1::Kind::Policy,
        Kind::Host => v1::Kind::Host,
    }
}

/// A key as it travels.
pub(crate) fn key_to_wire(key: ObjectKey) -> v1::ObjectKey {
    let ObjectKey { kind, domain, name } = key;
    v1::ObjectKey { kind: kind_to_wire(kind).into(), domain, name }
}

/// A key from the wire; `None` when its kind is one that this version does not know.
pub(crate) fn key_from_wire(key: v1::ObjectKey) -> Option<ObjectKey> {
    let v1::ObjectKey { kind, domain, name } = key;
    let kind = match v1::Kind::try_from(kind).ok()? {
        v1::Kind::Unspecified => return None,
        v1::Kind::Tenant => Kind::Tenant,
        v1::Kind::Domain => Kind::Domain,
        v1::Kind::Network => Kind::Network,
        v1::Kind::Workload => Kind::Workload,
        v1::Kind::Segment => Kind::Segment,
        v1::Kind::Policy => Kind::Policy,
        v1::Kind::Host => Kind::Host,
    };
    Some(ObjectKey { kind, domain, name })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_survives_the_wire() {
        for kind in [Kind::Tenant, Kind::Domain, Kind::Network, Kind::Workload, Kind::Segment, Kind::Policy, Kind::Host]
        {
            let key = ObjectKey { kind, domain: "acme/prod".into(), name: "x".into() };
            assert_eq!(key_from_wire(key_to_wire(key.clone())).unwrap(), key);
        }
    }

    #[test]
    fn a_kind_of_a_later_version_has_no_key() {
        assert_eq!(key_from_wire(v1::ObjectKey { kind: 99, domain: String::new(), name: "x".into() }), None);
    }
}
