//! Which packets may: the compiled policy of a bundle. What the agent relies on is checked here: tables
//! cover their whole space in order, every index points to something, no pair of classes comes twice.

use std::collections::HashSet;

use ringfence_proto::v1;

use super::{
    bundle::{class, prefix, prefix_to_wire},
    error::{InvalidMessage, each},
};
use crate::bundle::{CLASS_HOST, ClassedPrefix, CompiledPolicy, Outcome, Profile, Row, RuleName, Run};

pub(super) fn policy_from_wire(message: v1::CompiledPolicy) -> Result<CompiledPolicy, InvalidMessage> {
    let v1::CompiledPolicy { prefixes, rows, profiles, rules, default_allows } = message;
    let policy = CompiledPolicy {
        default_allows,
        prefixes: each("prefixes", prefixes, |v1::ClassedPrefix { prefix: cidr, class_id, votes }| {
            Ok(ClassedPrefix { prefix: prefix("prefix", cidr)?, class_id: class(class_id)?, votes })
        })?,
        rows: each("rows", rows, row_from_wire(profiles.len()))?,
        profiles: each("profiles", profiles, |profile| profile_from_wire(profile, rules.len()))?,
        rules: each("rules", rules, |v1::RuleName { id, name, stateless, log }| {
            Ok(RuleName { id, name, stateless, log })
        })?,
    };
    let mut seen = HashSet::new();
    if let Some(index) = policy.prefixes.iter().position(|classed| !seen.insert(classed.prefix)) {
        return Err(InvalidMessage::new(format!("prefixes[{index}]"), "comes twice"));
    }
    let pair = |row: &Row| (row.from_class, row.to_class);
    if let Some(index) = policy.rows.windows(2).position(|two| pair(&two[0]) >= pair(&two[1])) {
        let field = format!("rows[{}]", index + 1);
        return Err(InvalidMessage::new(field, "is out of order or comes twice"));
    }
    Ok(policy)
}

pub(super) fn policy_to_wire(policy: &CompiledPolicy) -> v1::CompiledPolicy {
    let CompiledPolicy { default_allows, prefixes, rows, profiles, rules } = policy;
    let prefixes = prefixes.iter().map(|ClassedPrefix { prefix, class_id, votes }| v1::ClassedPrefix {
        prefix: Some(prefix_to_wire(prefix)),
        class_id: *class_id,
        votes: *votes,
    });
    let row = |Row { from_class, to_class, profile, later }: &Row| v1::Row {
        from_class: *from_class,
        to_class: *to_class,
        profile: *profile,
        later: later.iter().map(|(since, profile)| v1::TimedProfile { since: *since, profile: *profile }).collect(),
    };
    let rule = |RuleName { id, name, stateless, log }: &RuleName| v1::RuleName {
        id: *id,
        name: name.clone(),
        stateless: *stateless,
        log: *log,
    };
    v1::CompiledPolicy {
        prefixes: prefixes.collect(),
        rows: rows.iter().map(row).collect(),
        profiles: profiles.iter().map(profile_to_wire).collect(),
        rules: rules.iter().map(rule).collect(),
        default_allows: *default_allows,
    }
}

fn row_from_wire(profiles: usize) -> impl Fn(v1::Row) -> Result<Row, InvalidMessage> {
    move |message| {
        let v1::Row { from_class, to_class, profile, later } = message;
        within_list("profile", profile, profiles)?;
        let mut before = 0;
        let later = each("later", later, |v1::TimedProfile { since, profile }| {
            if since <= before {
                return Err(InvalidMessage::new("since", format!("{since} does not follow: moments ascend from 1")));
            }
            before = since;
            within_list("profile", profile, profiles)?;
            Ok((since, profile))
        })?;
        let end = |field, class| match class {
            CLASS_HOST => Ok(CLASS_HOST),
            other => self::class(other).map_err(|_| no_class(field)),
        };
        Ok(Row { from_class: end("from_class", from_class)?, to_class: end("to_class", to_class)?, profile, later })
    }
}

fn no_class(field: &str) -> InvalidMessage {
    InvalidMessage::new(field, "is 0, which stands for no class")
}

fn within_list(field: &str, index: u32, length: usize) -> Result<(), InvalidMessage> {
    match usize::try_from(index) {
        Ok(place) if place < length => Ok(()),
        _ => Err(InvalidMessage::new(field, format!("{index} points to nothing: there are {length}"))),
    }
}

fn profile_from_wire(message: v1::Profile, rules: usize) -> Result<Profile, InvalidMessage> {
    let v1::Profile { tcp, udp, sctp, icmp, icmp6, other } = message;
    let table = |field: &str, runs, last| table_from_wire(field, runs, last, rules);
    Ok(Profile {
        tcp: table("tcp", tcp, u16::MAX)?,
        udp: table("udp", udp, u16::MAX)?,
        sctp: table("sctp", sctp, u16::MAX)?,
        icmp: table("icmp", icmp, u16::MAX)?,
        icmp6: table("icmp6", icmp6, u16::MAX)?,
        other: table("other", other, u8::MAX.into())?,
    })
}

/// A table whose numbers end at `last`.
fn table_from_wire(field: &str, runs: Vec<v1::Run>, last: u16, rules: usize) -> Result<Vec<Run>, InvalidMessage> {
    let mut before = None;
    let runs = each(field, runs, |message| {
        let v1::Run { first, from_allows, to_allows, from_rule, to_rule, shadow } = message;
        let number = u16::try_from(first).ok().filter(|first| *first <= last);
        let first = number.ok_or_else(|| InvalidMessage::new("first", format!("{first} is beyond {last}")))?;
        let follows = before.map_or(first == 0, |before| before < first);
        if !follows {
            let message = format!("{first} does not follow: a table starts at 0 and ascends");
            return Err(InvalidMessage::new("first", message));
        }
        before = Some(first);
        let outcome = |from_allows, to_allows, from_rule, to_rule| {
            within_list("from_rule", from_rule, rules)?;
            within_list("to_rule", to_rule, rules)?;
            Ok(Outcome { from_allows, to_allows, from_rule, to_rule })
        };
        let enforced = outcome(from_allows, to_allows, from_rule, to_rule)?;
        let shadow = match shadow {
            None => enforced,
            Some(v1::Shadow { from_allows, to_allows, from_rule, to_rule }) => {
                outcome(from_allows, to_allows, from_rule, to_rule)
                    .map_err(|error: InvalidMessage| error.within("shadow"))?
            }
        };
        Ok(Run { first, enforced, shadow })
    })?;
    if runs.is_empty() {
        return Err(InvalidMessage::new(field, "is empty: a table covers every number"));
    }
    Ok(runs)
}

fn profile_to_wire(profile: &Profile) -> v1::Profile {
    let Profile { tcp, udp, sctp, icmp, icmp6, other } = profile;
    let table = |runs: &Vec<Run>| runs.iter().map(run_to_wire).collect();
    v1::Profile {
        tcp: table(tcp),
        udp: table(udp),
        sctp: table(sctp),
        icmp: table(icmp),
        icmp6: table(icmp6),
        other: table(other),
    }
}

fn run_to_wire(run: &Run) -> v1::Run {
    let Run { first, enforced: Outcome { from_allows, to_allows, from_rule, to_rule }, shadow } = *run;
    let shadow = (shadow != run.enforced).then_some(v1::Shadow {
        from_allows: shadow.from_allows,
        to_allows: shadow.to_allows,
        from_rule: shadow.from_rule,
        to_rule: shadow.to_rule,
    });
    v1::Run { first: first.into(), from_allows, to_allows, from_rule, to_rule, shadow }
}
