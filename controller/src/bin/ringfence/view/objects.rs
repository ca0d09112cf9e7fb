//! Objects as the controller keeps them.

use ringfence_policy::{
    object::{Kind, Object},
    text,
    wire::object_from_wire,
};
use ringfence_proto::v1;
use serde::Serialize;

use crate::error::Error;

/// An object and what the controller knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// As its author wrote it.
    pub(crate) object: Object,
    /// The file set that made it.
    pub(crate) source: String,
    meta: v1::ObjectMeta,
}

/// The JSON document of `get`.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    revision: u64,
    objects: Vec<Entry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// Field for field what a policy file says.
    object: serde_json::Value,
    source: String,
    uid: u64,
    created_revision: u64,
    changed_revision: u64,
}

/// Reads objects, sorted by kind, domain and name.
pub(crate) fn from_wire(messages: Vec<v1::Object>) -> Result<Vec<Stored>, Error> {
    let mut objects = messages
        .into_iter()
        .map(|mut message| {
            let source = std::mem::take(&mut message.source);
            let meta = message.meta.take().unwrap_or_default();
            let what = format!("object {}", message.name);
            let object =
                object_from_wire(message).map_err(|invalid| Error::Garbled { what, message: invalid.to_string() })?;
            Ok(Stored { object, source, meta })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    objects
        .sort_by_cached_key(|stored| (stored.object.kind(), stored.object.domain.clone(), stored.object.name.clone()));
    Ok(objects)
}

/// The JSON document.
pub(crate) fn document(revision: u64, objects: Vec<Stored>) -> Result<Document, Error> {
    let objects = objects.into_iter().map(Entry::of).collect::<Result<_, _>>()?;
    Ok(Document { revision, objects })
}

impl Stored {
    /// Whether it is of this kind.
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.object.kind() == kind
    }
}

impl Entry {
    /// JSON says what YAML says, by being made from it: there is one definition of what a field is called.
    fn of(stored: Stored) -> Result<Self, Error> {
        let Stored { object, source, meta } = stored;
        let v1::ObjectMeta { uid, created_revision, changed_revision } = meta;
        let object = serde_yaml::from_str(&text::render(&[object]))
            .map_err(|error| Error::Write { form: "JSON", message: error.to_string() })?;
        Ok(Self { object, source, uid, created_revision, changed_revision })
    }
}

/// An object as the controller would send it.
#[cfg(test)]
pub(crate) fn stored(object: &Object) -> Stored {
    let meta = v1::ObjectMeta { uid: 9, created_revision: 3, changed_revision: 4 };
    Stored { object: object.clone(), source: "shop.yaml".into(), meta }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ringfence_policy::{
        object::{Spec, WorkloadSpec},
        wire::object_to_wire,
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn json_says_what_the_file_said_and_what_the_controller_knows() {
        let object = Object { domain: String::new(), name: "acme".into(), spec: Spec::Tenant };
        assert_eq!(
            serde_json::to_value(document(4, vec![stored(&object)]).unwrap()).unwrap(),
            json!({"revision": 4, "objects": [{
                "object": {"kind": "Tenant", "name": "acme"}, "source": "shop.yaml",
                "uid": 9, "createdRevision": 3, "changedRevision": 4,
            }]})
        );
    }

    #[test]
    fn labels_that_look_like_other_types_stay_text() {
        let values = ["yes", "null", "1e3", "012", "0x10", "1.0", "~", "on", "2026-01-01", ".inf"];
        let labels = values.iter().enumerate().map(|(index, value)| (format!("k{index}"), (*value).to_owned()));
        let spec = Spec::Workload(WorkloadSpec { labels: labels.collect(), ..Default::default() });
        let object = Object { domain: "acme/prod".into(), name: "web-1".into(), spec };
        let entry = Entry::of(stored(&object)).unwrap();
        for (index, value) in values.iter().enumerate() {
            assert_eq!(entry.object["labels"][format!("k{index}")], json!(value));
        }
    }

    #[test]
    fn objects_are_sorted_by_kind_then_name() {
        let tenant = |name: &str| Object { domain: String::new(), name: name.into(), spec: Spec::Tenant };
        let domain = Object { spec: Spec::Domain(Default::default()), ..tenant("a/b") };
        let messages = [&domain, &tenant("b"), &tenant("a")].map(object_to_wire).to_vec();
        let names: Vec<_> = from_wire(messages).unwrap().into_iter().map(|stored| stored.object.name).collect();
        assert_eq!(names, ["a", "b", "a/b"]);
    }
}
