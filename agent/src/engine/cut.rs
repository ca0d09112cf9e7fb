//! Plans that are cut off, as by an agent that dies at some step of one, and taken up by the agent after it, which knows
//! nothing but what the maps hold.

use ringfence_policy::{bundle::Bundle, evaluate::Flow};

use super::{Answer, Engine, EngineError, LOOPBACK, TC_ACT_SHOT, frame::Packet, stage::Stage};
use crate::{
    lower::{Site, assign, image::Image, lower},
    reconcile::{
        action::Action,
        apply::apply,
        observe::observe,
        plan::{Start, plan},
    },
};

/// A flow that was opened and has a connection.
#[derive(Clone, Debug)]
pub struct UnderWay {
    flow: Flow,
    opener: Packet,
    answer: Option<Packet>,
}

impl UnderWay {
    /// The flow.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What answers it, as the first packet of a flow of its own.
    pub fn reverse(&self) -> Option<Flow> {
        self.answer.as_ref().map(Packet::flow)
    }
}

impl Engine {
    /// Brings the maps toward a bundle (`None`: toward none at all) at a moment, by the first `most` steps of the agent's
    /// plan; whether the plan has more. Who asks stands where the bundle before stood, or as [`Engine::ask_as`] says.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load_cut_off(&mut self, bundle: Option<&Bundle>, at: u64, most: usize) -> Result<bool, EngineError> {
        self.play_nobody()?;
        let steps = self.steps_to(bundle, at, Start::Settled)?;
        apply(self.datapath.maps(), &mut self.image, steps.get(..most).unwrap_or(&steps))?;
        Ok(most < steps.len())
    }

    /// Brings the maps to a bundle as an agent does that finds a plan cut off.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn take_up(&mut self, bundle: Option<&Bundle>, at: u64) -> Result<(), EngineError> {
        self.play_nobody()?;
        self.image = observe(self.datapath.maps())?;
        let steps = self.steps_to(bundle, at, Start::Interrupted)?;
        apply(self.datapath.maps(), &mut self.image, &steps)?;
        Ok(())
    }

    /// Flows come by the devices that this bundle gives their ends, whatever is in force.
    pub fn ask_as(&mut self, bundle: &Bundle) {
        self.stage = Some(Stage::new(bundle));
    }

    /// Sends the first packet of a flow and what answers it, and leaves the connection there; `None`: policy lets the flow
    /// not pass.
    ///
    /// # Errors
    /// As [`Engine::ask`].
    pub fn begin(&mut self, flow: &Flow, source_port: u16) -> Result<Option<UnderWay>, EngineError> {
        let (Answer::Judged { passes: true, .. }, opener) = self.open_flow(flow, source_port)? else {
            return Ok(None);
        };
        let under_way = UnderWay { flow: *flow, opener, answer: opener.reply() };
        self.goes_on(&under_way)?;
        Ok(Some(under_way))
    }

    /// Sends a packet each way; whether they pass. One that nothing answers counts as answered.
    ///
    /// # Errors
    /// As [`Engine::ask`].
    pub fn goes_on(&mut self, under_way: &UnderWay) -> Result<[bool; 2], EngineError> {
        let UnderWay { flow, opener, answer } = under_way;
        let forth = self.send(flow, opener)? != TC_ACT_SHOT;
        let back = match answer {
            Some(answer) => self.send(flow, answer)? != TC_ACT_SHOT,
            None => true,
        };
        Ok([forth, back])
    }

    /// The loopback device is what the maps say, as on a host.
    fn play_nobody(&mut self) -> Result<(), EngineError> {
        self.plays = None;
        Ok(self.datapath.maps().devices.delete(LOOPBACK)?)
    }

    fn steps_to(&self, bundle: Option<&Bundle>, at: u64, start: Start) -> Result<Vec<Action>, EngineError> {
        let stage = bundle.map(Stage::new);
        let nowhere = Site::default();
        let site = stage.as_ref().map_or(&nowhere, Stage::site);
        let target: Image = assign(&lower(stage.iter().map(Stage::bundle), site, at), &self.image)?;
        let mut steps = plan(&self.image, &target, start);
        // Nobody sends while a step is carried out, so no program is to be waited for.
        steps.retain(|step| *step != Action::Grace);
        Ok(steps)
    }
}
