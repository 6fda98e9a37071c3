//! The words in which the store is asked and answers.

pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod refusal;
pub(crate) mod restart;
pub(crate) mod sizes;
