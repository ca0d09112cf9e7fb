//! Nodes → expectations.

use super::reader::{Field, Reader};
use crate::{
    expectation::{Expectation, ExpectedFlow, Outcome, parse_rule},
    model::{check_object, parse_moment, split_domain},
};

/// Fields of an expected flow.
const FLOW: [&str; 7] = ["from", "to", "traffic", "expect", "rule", "family", "at"];

/// Reads the content of one document, or nothing and what is wrong with it.
pub(super) fn read(reader: &mut Reader<'_>, root: &Field<'_>) -> Option<Expectation> {
    let fields = reader.fields(root, &["kind", "domain", "name", "flows"]);
    let domain = reader.required_value(&fields, "domain", |text| split_domain(text).map(|_| text.to_owned()));
    let name = reader.required_value(&fields, "name", |text| check_object(text).map(|()| text.to_owned()));
    let flows = reader.required(&fields, "flows")?;
    let told = reader.errors.len();
    let read = reader.list(&flows, flow);
    if read.is_empty() && reader.errors.len() == told {
        reader.error(flows.node.place, &flows.path, "is empty: name a flow");
    }
    Some(Expectation { domain: domain?, name: name?, flows: read.into_iter().collect::<Option<_>>()? })
}

fn flow(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ExpectedFlow> {
    let fields = reader.fields(field, &FLOW);
    let from = reader.required_value(&fields, "from", str::parse);
    let to = reader.required_value(&fields, "to", str::parse);
    let traffic = reader.required_value(&fields, "traffic", str::parse);
    let expect = reader.required_value(&fields, "expect", str::parse);
    let rule = reader.given_value(&fields, "rule", parse_rule);
    let family = reader.given_value(&fields, "family", str::parse);
    let at = reader.given_value(&fields, "at", parse_moment);
    if let (Some(rule), Some(Outcome::Ambiguous)) = (fields.get("rule"), expect) {
        reader.error(rule.node.place, &rule.path, "no one rule makes an answer ambiguous: remove it");
    }
    Some(ExpectedFlow {
        from: from?,
        to: to?,
        traffic: traffic?,
        expect: expect?,
        rule: rule?,
        family: family?,
        at: at?,
    })
}
