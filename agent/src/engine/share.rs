//! What one of several hosts is given of a bundle, asked in memory: not every row, but all that its own ends need.

use ringfence_policy::{
    bundle::Bundle,
    evaluate::{Flow, Verdict},
};

use super::stage::Stage;
use crate::lower::{Full, Site, assign, image::Image, lower};

/// The maps of one host, written from empty.
#[derive(Debug)]
pub struct Share {
    stage: Stage,
    image: Image,
}

impl Share {
    /// Of a host by name, at a moment in seconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// A bundle that is larger than a host.
    pub fn new(bundle: &Bundle, host: &str, at: u64) -> Result<Self, Full> {
        let site = Site { host: host.to_owned(), ..Site::default() };
        let image = assign(&lower([bundle], &site, at), &Image::default())?;
        Ok(Self { stage: Stage::over(bundle.clone(), site), image })
    }

    /// What the maps say of a flow; `None`: neither end is here, so its packets never are.
    pub fn judge(&self, flow: &Flow) -> Option<Verdict> {
        let here = [flow.source, flow.destination].map(|end| self.stage.has(end)) != [false; 2];
        here.then(|| self.stage.judge(&self.image, flow))
    }
}
