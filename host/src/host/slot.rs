//! A module of a host, and what it is doing there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::deploy::Deployed;
use super::prepare::Loaded;
use crate::commit::record::Record;
use crate::event::Sequence;
use crate::ownership::Rhythm;
use crate::ownership::claims::Claims;

/// A module and what it is doing.
pub(super) struct Slot {
    pub(super) loaded: Loaded,
    pub(super) phase: Phase,
    /// It was not compared with its record since the host started.
    pub(super) is_new: bool,
    /// The input stream that it reads.
    pub(super) stream: String,
    /// Ends its lanes.
    pub(super) stop: CancellationToken,
    /// What it was deployed as when it last started.
    pub(super) deployed: Option<Arc<Deployed>>,
    /// Which of its lanes are this host's.
    pub(super) claims: Claims,
    /// What ends each of its lanes that run.
    pub(super) lanes: BTreeMap<u16, CancellationToken>,
    /// When its record last changed in a way that this host has to follow.
    pub(super) changed: Option<Instant>,
    /// Why it halted, until that is in its record.
    pub(super) unnoted: Option<String>,
    /// Where its record stands that this host took in last: older ones are no news.
    pub(super) record: Sequence,
    /// Where this host wrote its record and has not heard of it yet. Others may have written before, which is news.
    pub(super) own: BTreeSet<Sequence>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// It runs those of its lanes that are this host's; or they end, and it will be started again.
    Running,
    /// Other hosts run it as something else than this one would.
    Differs,
    /// An operator paused it.
    Paused,
    /// It was stopped for a reason that needs an operator.
    Halted,
}

impl Slot {
    /// A module that was loaded and not started.
    pub(super) fn new(loaded: Loaded, stop: CancellationToken, rhythm: Rhythm) -> Self {
        let (stream, claims) = (loaded.module.input.stream.clone(), Claims::new(loaded.module.lanes.get(), rhythm.ttl));
        let (phase, lanes) = (Phase::Running, BTreeMap::new());
        let (deployed, changed, unnoted) = (None, None, None);
        let (record, own) = (Sequence(0), BTreeSet::new());
        Self { phase, is_new: true, stream, stop, deployed, claims, lanes, changed, unnoted, record, own, loaded }
    }

    /// Whether it may own lanes.
    pub(super) fn is_able(&self) -> bool {
        self.phase == Phase::Running && self.deployed.is_some() && !self.stop.is_cancelled()
    }

    /// Whether what runs is what `record` says: at once, or with the plugin that is ready to be gone over to.
    pub(super) fn fits(&mut self, record: &Record) -> bool {
        let Some(deployed) = &self.deployed else { return false };
        let known = &deployed.record.value;
        known.generation == record.generation
            && known.lanes == record.lanes
            && known.scaled == record.scaled
            && self.loaded.adopt(&record.edition.plugin)
            && self.loaded.edition() == record.edition
    }

    /// Notes how many lanes the module has. None of them runs when that changes.
    pub(super) fn has_lanes(&mut self, lanes: u16) {
        if self.claims.lanes() != usize::from(lanes) {
            self.claims = self.claims.anew(lanes);
        }
    }

    /// Has its lanes end, and the module be in `phase` from now on.
    pub(super) fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.stop.cancel();
    }
}
