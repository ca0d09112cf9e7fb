//! What the hosts count of the packets they drop, against the probes that were to be dropped.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::Demo;
use crate::{
    lab::Lab,
    layout::Attachment,
    probe::{
        Endpoint,
        asker::{Patience, ask},
    },
};

/// A host and a device of it.
type Place = (String, String);

/// What a packet that policy denies is counted as.
const REASON: &str = "policy_deny";

impl Demo {
    /// Asks once more what policy denies: the device by which a question comes in counts every packet of it.
    pub(super) fn show_counters(&mut self) -> Result<()> {
        self.report.stage("Every drop has a reason, and is counted");
        let denied = self.denied_by_policy()?;
        let mut asked: BTreeMap<Place, u64> = BTreeMap::new();
        for question in &denied {
            *asked.entry(entrance(&self.lab, &self.lab.endpoints[question.asker])?).or_default() += 1;
        }
        let before = denials(&self.lab)?;
        ask(&self.lab.endpoints, &denied, Patience::default(), |_| false)?;
        let after = denials(&self.lab)?;
        let printed = self.lab.cli_ok(&["counters"])?;
        self.report.command("ringfence counters", &printed.answer);

        let of = |counts: &BTreeMap<Place, u64>, place: &Place| counts.get(place).copied().unwrap_or_default();
        let short: Vec<String> = asked
            .iter()
            .map(|(place, asked)| (place, *asked, of(&after, place).saturating_sub(of(&before, place))))
            .filter(|(_, asked, counted)| counted < asked)
            .map(|((host, device), asked, counted)| format!("{device} of {host}: {asked} denied, {counted} counted"))
            .collect();
        let fact = format!(
            "{} more probes that policy denies: each of the {} devices they came in by counted its own as {REASON}",
            denied.len(),
            asked.len()
        );
        self.report.check(!asked.is_empty() && short.is_empty(), &fact, || short.join("\n"));
        Ok(())
    }
}

/// Where packets of an endpoint come in: its own device, or from outside the uplink.
fn entrance(lab: &Lab, endpoint: &Endpoint) -> Result<Place> {
    let layout = lab.layout();
    let own = |link: &&Attachment| link.domain == endpoint.domain && link.workload == endpoint.name;
    if let Some(link) = layout.attachments.iter().find(own) {
        return Ok((link.host.clone(), link.device.clone()));
    }
    let uplink = layout.uplinks.iter().find(|uplink| uplink.domain == endpoint.domain);
    let uplink = uplink.with_context(|| format!("{} of {} has no way in", endpoint.name, endpoint.domain))?;
    Ok((uplink.host.clone(), uplink.device.clone()))
}

/// The packets that policy denied so far, by where they came in.
fn denials(lab: &Lab) -> Result<BTreeMap<Place, u64>> {
    let printed = lab.cli_ok(&["counters", "-o", "json"])?;
    let readings: serde_json::Value = serde_json::from_str(&printed.answer).context("the counters are not JSON")?;
    let interfaces = readings["interfaces"].as_array().context("the counters name no interfaces")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut denials = BTreeMap::new();
    for it in interfaces {
        let packets = it["drops"][REASON].as_u64().unwrap_or_default();
        *denials.entry((text(&it["host"]), text(&it["device"]))).or_default() += packets;
    }
    Ok(denials)
}
