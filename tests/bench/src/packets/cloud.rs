//! One domain as large as asked for, and the few of its workloads that speak.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::Context;
use ringfence_agent::lower::{LinkRef, Site};
use ringfence_policy::{
    bundle::Bundle,
    compile::Compilation,
    object::{InterfaceSpec, Object, RuleSpec, Spec, WorkloadSpec},
};

use crate::world;

const DOMAIN: &str = "t/d";
/// Who speaks is of the first app, and so is who is spoken to.
const APPS: u32 = 100;
/// Rules of one pair of apps; each allows a port of its own.
const RULES_OF_PAIR: u32 = 10;
/// Ports of the rules of a pair: apart from each other, so that each is a run of its profile.
const FIRST_PORT: u32 = 1000;
/// Workloads of a host other than the first.
const WORKLOADS_OF_HOST: u32 = 100;

/// Size of a domain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) rules: u32,
    pub(crate) workloads: u32,
}

/// Who speaks, and to whom. Their numbers are those of workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Here.
    Client = 0,
    /// Here, in the same network.
    Local = 1,
    /// On another host, in the same network.
    Remote = 2,
    /// Here, in another network.
    Routed = 3,
}

impl Who {
    const ALL: [Self; 4] = [Self::Client, Self::Local, Self::Remote, Self::Routed];

    pub(crate) fn address(self, v6: bool) -> IpAddr {
        address(self as u32, v6)
    }

    pub(crate) fn mac(self) -> [u8; 6] {
        mac(self as u32)
    }

    /// The name of its device on its host.
    pub(crate) fn device(self) -> String {
        format!("d{}", self as u32)
    }
}

/// A port that the first app may ask of itself.
pub(crate) const ALLOWED_PORT: u16 = 1008;
/// One that it may not.
pub(crate) const DENIED_PORT: u16 = 1009;

/// The domain, compiled; its rules are between many pairs of apps.
pub(crate) fn bundle(scale: Scale) -> anyhow::Result<Bundle> {
    compiled(scale, &objects(scale))
}

/// A domain of one group, all of whose members any member may ask at as many ports as there are rules, by TCP, and at
/// [`ALLOWED_PORT`] by UDP.
pub(crate) fn group(scale: Scale) -> anyhow::Result<Bundle> {
    let mut objects = basis();
    let of_group = |number| workload(number, &app(0));
    objects.extend((0..scale.workloads).map(of_group));
    let peer = || world::peer(&app(0));
    let mut rules: Vec<RuleSpec> =
        (0..scale.rules).map(|number| world::rule(peer(), peer(), &format!("tcp/{}", port(number)))).collect();
    rules.push(world::rule(peer(), peer(), &format!("udp/{ALLOWED_PORT}")));
    objects.push(world::policy(DOMAIN, "p", rules));
    compiled(scale, &objects)
}

fn compiled(scale: Scale, objects: &[Object]) -> anyhow::Result<Bundle> {
    let model = world::model(objects)?;
    let domain = model.domains().get(DOMAIN).context("the domain is not in its model")?;
    let hosts = (0..=scale.workloads / WORKLOADS_OF_HOST + 1).map(|host| (host_name(host), vec![underlay(host)]));
    let compilation = Compilation::new(domain, &world::ids(domain, 1), &hosts.collect::<BTreeMap<_, _>>(), 1)?;
    Ok(compilation.bundle().clone())
}

/// A host by its number, given the devices that it has; [`Who::Client`] is on 0, [`Who::Remote`] on 1.
pub(crate) fn site(host: u32, links: BTreeMap<String, LinkRef>, overlay_ifindex: u32) -> Site {
    let underlay = vec![underlay(host)];
    Site { host: host_name(host), underlay, overlay_mtu: 1450, overlay_ifindex, links, ..Site::default() }
}

/// The underlay address of the host that runs [`Who::Remote`].
pub(crate) fn remote_underlay() -> IpAddr {
    underlay(1)
}

/// The underlay address of the first host.
pub(crate) fn local_underlay() -> IpAddr {
    underlay(0)
}

/// What every domain has.
fn basis() -> Vec<Object> {
    let mut objects = vec![world::tenant(), world::domain(DOMAIN)[0].clone()];
    let front = world::network(&[("10.0.0.0/9", "10.127.255.254"), ("fd00::/48", "fd00::ffff:1")]);
    let back = world::network(&[("10.128.0.0/9", "10.255.255.254"), ("fd00:0:1::/48", "fd00:0:1::ffff:1")]);
    objects.push(world::object(DOMAIN, "front", Spec::Network(front)));
    objects.push(world::object(DOMAIN, "back", Spec::Network(back)));
    objects.extend((0..APPS).map(|number| world::segment(DOMAIN, &app(number))));
    objects
}

fn objects(scale: Scale) -> Vec<Object> {
    let mut objects = basis();
    let speaks = |number: u32| Who::ALL.iter().any(|who| *who as u32 == number);
    let of_app = |number| workload(number, &app(if speaks(number) { 0 } else { number }));
    objects.extend((0..scale.workloads).map(of_app));
    objects.extend((0..scale.rules.div_ceil(RULES_OF_PAIR)).map(policy));
    objects
}

/// The port of a rule.
pub(crate) fn port(number: u32) -> u32 {
    FIRST_PORT + 2 * number
}

/// The rules of one ordered pair of apps; the first pair is that of who speaks.
fn policy(pair: u32) -> Object {
    let (from, to) = (app(pair / APPS), app(pair % APPS));
    let rule = |number| world::rule(world::peer(&from), world::peer(&to), &format!("tcp/{}", port(number)));
    let rules: Vec<RuleSpec> = (0..RULES_OF_PAIR).map(rule).collect();
    world::policy(DOMAIN, &format!("p{pair}"), rules)
}

fn workload(number: u32, app: &str) -> Object {
    let speaks = Who::ALL.iter().any(|who| *who as u32 == number);
    let is = |who: Who| who as u32 == number;
    let host = match number {
        _ if is(Who::Remote) => 1,
        _ if speaks => 0,
        // One of each app here, so that all rows are.
        _ if number < APPS + 4 => 0,
        _ => 2 + number / WORKLOADS_OF_HOST,
    };
    let [_, a, b, c] = mac_number(number);
    let interface = InterfaceSpec {
        name: "eth0".to_owned(),
        network: if is(Who::Routed) { "back" } else { "front" }.to_owned(),
        mac: format!("02:00:00:{a:02x}:{b:02x}:{c:02x}"),
        addresses: vec![address(number, false).to_string(), address(number, true).to_string()],
        host: host_name(host),
        device: Some(format!("d{number}")),
        ..InterfaceSpec::default()
    };
    let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
    let spec = WorkloadSpec { labels, interfaces: vec![interface], ..WorkloadSpec::default() };
    world::object(DOMAIN, &format!("w{number}"), Spec::Workload(spec))
}

fn app(number: u32) -> String {
    format!("a{}", number % APPS)
}

fn host_name(number: u32) -> String {
    format!("h{number}")
}

/// The underlay address of a host.
pub(crate) fn underlay(host: u32) -> IpAddr {
    IpAddr::from(Ipv4Addr::from(0xac10_0001 + host))
}

fn mac_number(number: u32) -> [u8; 4] {
    (number + 1).to_be_bytes()
}

fn mac(number: u32) -> [u8; 6] {
    let [_, a, b, c] = mac_number(number);
    [2, 0, 0, a, b, c]
}

/// The address of a workload. Who is routed to is in the upper half of 10/8, and in another prefix of fd00::/8.
pub(crate) fn address(number: u32, v6: bool) -> IpAddr {
    let routed = number == Who::Routed as u32;
    if v6 {
        let [_, a, b, c] = (number + 1).to_be_bytes().map(u16::from);
        return IpAddr::from(Ipv6Addr::new(0xfd00, 0, u16::from(routed), 0, 0, a, b, c));
    }
    IpAddr::from(Ipv4Addr::from((if routed { 0x0a80_0000 } else { 0x0a00_0000 }) + number + 1))
}
