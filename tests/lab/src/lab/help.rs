//! What a person may do with a lab, as commands to paste.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::{CONTROLLER_NUMBER, CONTROLLER_PORT, Lab};
use crate::{daemon::find_program, layout::machine, netns, registry};

/// How a person enters the namespaces of a lab and talks to its controller, and where it keeps what.
pub fn enter_help(id: &str) -> Result<String> {
    // `ip netns exec` mounts a /sys of its own, without the bpf file system.
    let mut help = String::from("\nEnter a namespace:\n");
    for name in registry::namespaces(id)? {
        help += &format!("  {}\n", enter(&name));
    }
    help += &format!(
        "Talk to the controller:\n  \
         alias rf='{} env RINGFENCE_ADDRESS=http://{} {}'\n  \
         rf status\n  \
         rf counters\n\
         Look behind it:\n  \
         the daemons' logs   {}/*.log\n  \
         what agents pinned  {}/HOST\n",
        enter(&format!("{}controller", registry::prefix_of(id))),
        SocketAddr::new(machine("controller", CONTROLLER_NUMBER).addresses[0].addr(), CONTROLLER_PORT),
        find_program("ringfence")?.display(),
        registry::directory_of(id).display(),
        registry::pins_of(id).display(),
    );
    Ok(help)
}

impl Lab {
    /// Probes to paste once examples/shop.yaml is applied: one that its rule `to-app` allows, and one that no rule does.
    pub fn probe_help(&self) -> Result<String> {
        let [web, app] = ["web-1", "app-1"].map(|name| self.endpoint("acme/prod", name));
        let (web, app) = (web?, app?);
        let target = app.address(true).context("app-1 has no IPv4 address")?;
        let probe = |port| {
            let connect = format!("</dev/tcp/{target}/{port}");
            format!("{} timeout 2 bash -c '{connect}' && echo reached || echo silence", enter(web.namespace.name()))
        };
        Ok(format!(
            "Ask as web-1 of acme:\n  # app-1, tcp/8080: policy allows it\n  {}\n  # app-1, tcp/22: policy denies it\n  {}\n",
            probe(8080),
            probe(22)
        ))
    }
}

fn enter(name: &str) -> String {
    format!("nsenter --net={}/{name}", netns::NAMED)
}
