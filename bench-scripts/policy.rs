//! Miss ratios of the store alone over traces: no server, no socket, a clock of its own.
//!
//! Usage: policy [-m MB,MB,...] [--rate REQUESTS_PER_SECOND] [--paced] [--classes] [--curve] TRACE.tr ...
//!
//! A trace is played look-aside in this process, in the order of the file, at a given rate (`--paced`: at the trace's
//! own times), while the store's background steps take their share of that time. What it prints agrees with a
//! server's miss ratio within half a point and takes seconds: for trials of the eviction policy and of the page mover.
//!
//! `--curve` shows the store's own estimate of its hit ratio with half, twice and four times the memory beside what
//! replays with that much memory come to.

#[path = "../tests/hits/simulator.rs"]
mod simulator;
#[path = "../tests/hits/trace.rs"]
mod trace;

use simulator::Simulator;
use trace::Trace;

type Failure = Box<dyn std::error::Error>;

struct Plan {
    memory_mb: Vec<u64>,
    /// Requests a second; 0: the trace's own times.
    rate: u64,
    shows_classes: bool,
    shows_curve: bool,
    traces: Vec<String>,
}

impl Plan {
    fn from_arguments() -> Result<Self, Failure> {
        let mut plan =
            Self { memory_mb: vec![64], rate: 300_000, shows_classes: false, shows_curve: false, traces: Vec::new() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "-m" => {
                    let sizes = words.next().ok_or("-m wants numbers")?;
                    plan.memory_mb = sizes.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "--rate" => plan.rate = words.next().ok_or("--rate wants a number")?.parse()?,
                "--paced" => plan.rate = 0,
                "--classes" => plan.shows_classes = true,
                "--curve" => plan.shows_curve = true,
                _ => plan.traces.push(word),
            }
        }
        Ok(plan)
    }
}

fn main() -> Result<(), Failure> {
    let plan = Plan::from_arguments()?;
    for path in &plan.traces {
        let trace = Trace::read(path)?;
        for &memory_mb in &plan.memory_mb {
            let run = replay(&trace, memory_mb << 20, plan.rate);
            report(&trace.name, memory_mb, &run);
            if plan.shows_classes {
                print_classes(&run);
            }
            if plan.shows_curve {
                print_curve(&trace, memory_mb << 20, plan.rate, &run);
            }
        }
    }
    Ok(())
}

fn replay(trace: &Trace, memory_bytes: u64, rate: u64) -> Simulator {
    let mut run = Simulator::new(memory_bytes, 1);
    run.play(trace.requests(rate));
    run
}

fn report(name: &str, memory_mb: u64, run: &Simulator) {
    let (outcome, memory) = (run.outcome(), run.memory());
    let totals = &outcome.totals;
    println!(
        "{name} {memory_mb} miss={:.4} refused={} items={} index={} eviction={} evictions={} ghost_hits={} pages_moved={} \
         rescued={} lost={}",
        outcome.miss_ratio(),
        outcome.refused,
        totals.curr_items,
        memory.index_bytes,
        memory.eviction_bytes,
        totals.evictions,
        totals.ghost_hits,
        totals.pages_moved,
        totals.page_move_rescues,
        totals.page_move_evictions,
    );
}

fn print_classes(run: &Simulator) {
    for class in run.classes() {
        println!(
            "  chunk={} pages={} items={} free={} hits={} sets={} evicted={}",
            class.chunk_size,
            class.total_pages,
            class.counts.number,
            class.free_chunks,
            class.counts.get_hits,
            class.counts.cmd_set,
            class.counts.evicted
        );
    }
}

/// The estimate with other memory limits, and what replays with those come to.
fn print_curve(trace: &Trace, memory_bytes: u64, rate: u64, run: &Simulator) {
    let (curve, ratios) = run.curve();
    print!("  one_in={} keys={} gets={}", curve.sampled_one_in, curve.sampled_keys, curve.sampled_gets);
    let Some(ratios) = ratios else { return println!(": too few") };
    let sizes = [
        ("0.5", memory_bytes / 2, ratios.half),
        ("2", memory_bytes * 2, ratios.double),
        ("4", memory_bytes * 4, ratios.quadruple),
    ];
    for (times, memory_bytes, estimate) in sizes {
        let replayed = 1.0 - replay(trace, memory_bytes, rate).outcome().miss_ratio();
        print!(" {times}x={replayed:.4} estimated={estimate:.4} ({:+.1})", (estimate - replayed) * 100.0);
    }
    println!();
}
