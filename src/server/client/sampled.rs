//! A turn that is measured. What it measures is told by its input, looked at again when the replies are written: who
//! waits for them does not wait for that.

use super::{Client, FULL_OUTPUTS_MAX, TurnContext, Verdict};
use crate::command::Commands;
use crate::conn::{Mark, Next};
use crate::server::clock::Clock;
use crate::telemetry::KindCounts;

/// Requests of a sampled read that are not all answered yet.
#[derive(Debug)]
pub(super) struct Sample {
    /// When they were read, by [`Clock::exact_nanos`].
    read_at: u64,
    /// Those that are served and whose replies wait for the socket.
    counts: KindCounts,
}

impl Sample {
    fn count(&self, until: u64, commands: &Commands) {
        // The clock does not run back, but what a sample began with may have been noted by another processor.
        commands.count_latency(&self.counts, until.saturating_sub(self.read_at));
    }
}

impl Client {
    /// Serves input that was read, the first bytes of the scratch buffer, and measures it: the rest of the turn.
    #[cold]
    #[inline(never)]
    pub(super) fn serve_sampled(&mut self, received: usize, context: &mut TurnContext<'_>) -> Verdict {
        let read_at = context.turn.commands.take_read_early().unwrap_or_else(Clock::exact_nanos);
        let mark = self.connection.mark();
        self.next = self.connection.receive(&context.scratch[..received], &mut context.turn);
        let served = received - self.connection.kept().len();
        let verdict = self.hand_out(context);
        let mut sample = Sample { read_at, counts: KindCounts::default() };
        if !self.measure(mark, &mut sample, Input::Scratch(served), context) {
            self.sample = Some(Box::new(sample));
        }
        verdict.unwrap_or_else(|| self.go_on(FULL_OUTPUTS_MAX - 1, context))
    }

    /// Goes on with what was kept of a sampled read, and measures it.
    #[cold]
    #[inline(never)]
    pub(super) fn go_on_sampled(&mut self, context: &mut TurnContext<'_>) -> Option<Verdict> {
        let mark = self.connection.mark();
        let mut input = self.connection.kept().to_vec();
        self.next = self.connection.resume(&mut context.turn);
        input.truncate(input.len() - self.connection.kept().len());
        let verdict = self.hand_out(context);
        if let Some(mut sample) = self.sample.take()
            && !self.measure(mark, &mut sample, Input::Kept(&input), context)
        {
            self.sample = Some(sample);
        }
        verdict
    }

    /// Replies that had waited for the socket are written.
    #[cold]
    pub(super) fn count_unsent(&mut self, commands: &Commands) {
        if let Some(sample) = &mut self.sample {
            sample.count(Clock::exact_nanos(), commands);
            sample.counts = KindCounts::default();
        }
        if self.has_served_all() {
            self.sample = None;
        }
    }

    /// Counts what was served, if it is written, or else leaves it in the sample; true: the sample is over.
    fn measure(
        &self,
        mark: Option<Mark>,
        sample: &mut Sample,
        input: Input<'_>,
        context: &mut TurnContext<'_>,
    ) -> bool {
        let written_at = Clock::exact_nanos();
        let served = match input {
            Input::Scratch(len) => &context.scratch[..len],
            Input::Kept(bytes) => bytes,
        };
        if let Some(mark) = mark {
            sample.counts = self.connection.tally(mark, served, context.turn.commands);
        }
        if self.connection.is_unsent() {
            return false;
        }
        sample.count(written_at, context.turn.commands);
        sample.counts = KindCounts::default();
        self.has_served_all()
    }

    /// Whether nothing is left of what was read but half a request, which another read completes.
    fn has_served_all(&self) -> bool {
        matches!(self.next, Next::Read | Next::Watch | Next::Close | Next::Shutdown | Next::GracefulShutdown)
    }
}

/// Where input lies that was served.
enum Input<'i> {
    /// So many bytes at the front of the scratch buffer.
    Scratch(usize),
    /// In a copy.
    Kept(&'i [u8]),
}
