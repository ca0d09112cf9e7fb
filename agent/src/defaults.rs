//! What devices that are yet to come are born with, on a host that is given over: set, remembered, undone.
//!
//! New devices come up closed (`conf/default`). Those that turn out to be the host's own get what they would have had
//! without us, and so does the default once the host is ours no longer.

use crate::{
    netlink::sysctl::{self, Setting},
    persist::Store,
};

/// What the defaults were before they were ours.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    before: Vec<Setting>,
}

impl Defaults {
    /// Sets the defaults; what they were before is kept on disk first.
    pub(crate) fn claim(store: &Store) -> Self {
        let ours: Vec<Setting> = sysctl::of_devices_to_come().into_iter().filter(|ours| !ours.holds()).collect();
        let mut before = load(store);
        // What was ours already is known from the agent that set it.
        before.retain(|was| ours.iter().all(|ours| ours.path() != was.path()));
        before.extend(ours.iter().filter_map(Setting::as_it_is));
        if let Err(error) = store.save_defaults(&before) {
            tracing::error!(%error, "what the defaults of new devices were cannot be kept; teardown will not restore them");
        }
        ours.iter().for_each(write);
        Self { before }
    }

    /// Gives a device of the host's own what it would have been born with. What somebody has set since stays.
    pub(crate) fn undo_on(&self, device: &str) {
        let ours: Vec<Setting> = sysctl::of_workload(device).into_iter().filter(Setting::holds).collect();
        let before = self.before.iter().map(|was| was.on(device));
        before
            .filter(|was| ours.iter().any(|ours| ours.path() == was.path()) && !was.holds())
            .for_each(|was| write(&was));
    }

    /// Makes the defaults what they were, if they ever were ours.
    pub(crate) fn give_back(store: &Store) {
        load(store).iter().for_each(write);
        if let Err(error) = store.forget_defaults() {
            tracing::error!(%error, "the defaults of new devices are restored, and their note stays");
        }
    }
}

fn load(store: &Store) -> Vec<Setting> {
    store.load_defaults().unwrap_or_else(|error| {
        tracing::error!(%error, "what the defaults of new devices were is unknown");
        Vec::new()
    })
}

fn write(setting: &Setting) {
    match setting.write() {
        Ok(()) => tracing::info!(setting = %setting.path().display(), "a kernel setting is written"),
        Err(error) => {
            tracing::warn!(setting = %setting.path().display(), %error, "a kernel setting cannot be written");
        }
    }
}
