//! The store seen from outside of requests: the step of background work, its settings, reports, the audit.

pub(crate) mod audit;
pub(crate) mod control;
pub(crate) mod moving;
pub(crate) mod populate;
pub(crate) mod report;
pub(crate) mod step;
