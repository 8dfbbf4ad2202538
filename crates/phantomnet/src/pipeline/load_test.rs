//! A scorer under load: threads that each score raw lines one after the other, as fast as they can or at a rate.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use phantomnet_learn::metrics::MetricMap;
use phantomnet_score::{LineScorer, Scorer};
use serde::Serialize;

use super::latency::RawLines;
use crate::failure::Failure;

/// How hard, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Threads, each with a scorer of its own.
    pub n_threads: usize,
    /// How long it takes.
    pub time: Duration,
    /// Events a second over all threads, at even distances; none for as fast as it goes.
    pub rate: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// Threads.
    pub n_threads: usize,
    /// Seconds.
    pub seconds: f64,
    /// Events scored.
    pub n_events: u64,
    /// Lines that were no events.
    pub n_errors: u64,
    /// Events a second.
    pub events_per_second: f64,
    /// Microseconds by percentile: with a rate, from the moment an event was due, so that waiting for those before it counts.
    pub latency: MetricMap,
}

/// Scores lines under load.
///
/// # Errors
/// Of kind data when no line can be scored.
pub fn load_test(scorer: &Scorer, raw: &[RawLines], load: Load) -> Result<LoadReport, Failure> {
    let begin = Instant::now();
    let workers: Vec<Worker> = thread::scope(|scope| {
        let handles: Vec<_> =
            (0..load.n_threads).map(|i| scope.spawn(move || Worker::run(scorer, raw, load, i as u64, begin))).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
    });
    let seconds = begin.elapsed().as_secs_f64();
    let mut times = Histogram::new();
    let (mut n_events, mut n_errors) = (0, 0);
    for worker in workers {
        times.add(&worker.times);
        n_events += worker.n_events;
        n_errors += worker.n_errors;
    }
    if n_events == 0 {
        return Err(Failure::data("there is no event to measure with"));
    }
    let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999), ("max", 1.0)];
    let latency = quantiles.map(|(name, q)| (format!("latency_{name}_us"), times.quantile(q) as f64 / 1000.0));
    Ok(LoadReport {
        n_threads: load.n_threads,
        seconds,
        n_events,
        n_errors,
        events_per_second: n_events as f64 / seconds,
        latency: latency.into_iter().collect(),
    })
}

struct Worker {
    times: Histogram,
    n_events: u64,
    n_errors: u64,
}

impl Worker {
    fn run(scorer: &Scorer, raw: &[RawLines], load: Load, i: u64, begin: Instant) -> Self {
        let mut parts: Vec<(LineScorer<'_>, &[Vec<u8>])> =
            raw.iter().map(|part| (scorer.lines(&part.layout), part.lines.as_slice())).collect();
        let mut worker = Self { times: Histogram::new(), n_events: 0, n_errors: 0 };
        // The threads take turns: event k of thread i is the (k n + i)-th of all.
        let due = |k: u64| {
            let nth = k * load.n_threads as u64 + i;
            load.rate
                .map(|rate| begin + Duration::from_nanos((u128::from(nth) * 1_000_000_000 / u128::from(rate)) as u64))
        };
        let mut k = 0;
        if parts.iter().all(|(_, lines)| lines.is_empty()) {
            return worker;
        }
        loop {
            for (scorer, lines) in &mut parts {
                for line in *lines {
                    let start = match due(k) {
                        Some(due) => {
                            wait_until(due);
                            due
                        }
                        None => Instant::now(),
                    };
                    k += 1;
                    match black_box(scorer.score(black_box(line))) {
                        Ok(_) => {
                            let end = Instant::now();
                            worker.times.record(end.saturating_duration_since(start).as_nanos() as u64);
                            worker.n_events += 1;
                        }
                        Err(_) => worker.n_errors += 1,
                    }
                    if begin.elapsed() >= load.time {
                        return worker;
                    }
                }
            }
        }
    }
}

/// Sleeps until shortly before, for sleep wakes late, and then looks at the clock.
fn wait_until(due: Instant) {
    const SPIN: Duration = Duration::from_micros(200);
    loop {
        let left = due.saturating_duration_since(Instant::now());
        match left {
            Duration::ZERO => return,
            left if left > SPIN => thread::sleep(left - SPIN),
            _ => std::hint::spin_loop(),
        }
    }
}

/// Bits of a value that a bucket keeps: values are exact to one part in 128.
const PRECISION: u32 = 7;

/// Counts of nanoseconds in buckets that grow with the value, so that any number of measurements take the same room.
struct Histogram {
    counts: Vec<u64>,
    max: u64,
}

impl Histogram {
    fn new() -> Self {
        Self { counts: vec![0; ((64 - PRECISION + 1) << PRECISION) as usize], max: 0 }
    }

    fn bucket(value: u64) -> usize {
        let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PRECISION + 1);
        ((u64::from(shift) << PRECISION) + (value >> shift)) as usize
    }

    /// The largest value of a bucket.
    fn upper(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        let shift = (bucket >> PRECISION).saturating_sub(1);
        let base = bucket - (shift << PRECISION);
        (base << shift) + ((1 << shift) - 1)
    }

    fn record(&mut self, value: u64) {
        self.counts[Self::bucket(value)] += 1;
        self.max = self.max.max(value);
    }

    fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.max = self.max.max(other.max);
    }

    /// The smallest value that a share `q` of the values do not exceed, to the precision of the buckets.
    fn quantile(&self, q: f64) -> u64 {
        let total: u64 = self.counts.iter().sum();
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Self::upper(bucket).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_a_part_in_128() {
        let mut histogram = Histogram::new();
        let values: Vec<u64> = (0..20_000).map(|i| i * i + i).collect();
        values.iter().for_each(|&value| histogram.record(value));
        for q in [0.0, 0.001, 0.25, 0.5, 0.9, 0.999, 1.0] {
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (exact, found) = (values[rank - 1], histogram.quantile(q));
            assert!(found >= exact && found <= exact + exact / 128, "{q}: {exact}, {found}");
        }
    }

    #[test]
    fn every_value_has_a_bucket_and_lies_in_it() {
        for value in
            (0..4096).chain((12..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])).chain([u64::MAX])
        {
            let bucket = Histogram::bucket(value);
            assert!(bucket < Histogram::new().counts.len(), "{value}");
            assert!(value <= Histogram::upper(bucket), "{value}");
            assert!(bucket == 0 || value > Histogram::upper(bucket - 1), "{value}");
        }
    }
}
