//! Time from one raw line to its verdict, and events per second in a batch. One thread, no thread pool.

use std::hint::black_box;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use phantomnet_features::{Layout, Origin};
use phantomnet_learn::metrics::MetricMap;
use phantomnet_score::{ScoreError, Scorer};

use super::data::source_failure;
use crate::failure::{Failure, Kind};

/// How long to measure: every line once at least, then again until enough is enough.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Measurements wanted.
    pub samples: usize,
    /// Time after which no further round is begun.
    pub time: Duration,
}

/// Raw lines of one layout.
#[derive(Debug, Clone)]
pub struct RawLines {
    /// How to read them.
    pub layout: Layout,
    /// The lines, without line ends.
    pub lines: Vec<Vec<u8>>,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Latency {
    /// Microseconds of each measured line, ascending.
    pub micros: Vec<f64>,
    /// Events a second when a batch is scored at once, decoding not included.
    pub rows_per_second: Option<f64>,
}

/// A scorer's error as the program reports it.
pub fn score_failure(error: ScoreError) -> Failure {
    let hint = error.hint();
    Failure::of(Kind::Data, error).maybe_hint(hint)
}

/// The raw lines of some events, by the layout of their files.
///
/// # Errors
/// When the files cannot be read again.
pub fn raw_lines(origin: &Origin, rows: &[u32]) -> Result<Vec<RawLines>, Failure> {
    let rows: Vec<usize> = rows.iter().map(|&r| r as usize).collect();
    let lines = phantomnet_features::raw_lines(origin, &rows).map_err(source_failure)?;
    let mut parts: Vec<RawLines> =
        origin.files.iter().map(|f| RawLines { layout: f.layout.clone(), lines: Vec::new() }).collect();
    for (row, line) in rows.into_iter().zip(lines) {
        parts[origin.places.get(row).file as usize].lines.push(line.into_bytes());
    }
    parts.retain(|p| !p.lines.is_empty());
    Ok(parts)
}

/// The columns of a batch that scoring reads, in its order.
///
/// # Errors
/// When one is not there.
pub fn columns_of(batch: &RecordBatch, scorer: &Scorer) -> Result<RecordBatch, Failure> {
    let wanted = scorer.event_schema();
    let index: Option<Vec<usize>> = wanted.names().map(|n| batch.schema().index_of(n).ok()).collect();
    let projected = index.map(|i| batch.project(&i)).transpose().map_err(|e| Failure::of(Kind::Data, e))?;
    projected.ok_or_else(|| Failure::data("the events lack a column that the model reads"))
}

/// Measures line by line, and on a batch of the same events if one is given. Lines that are no events are left out.
///
/// # Errors
/// When no line can be scored.
pub fn measure(
    scorer: &Scorer,
    raw: &[RawLines],
    batch: Option<&RecordBatch>,
    effort: Effort,
) -> Result<Latency, Failure> {
    let mut micros = Vec::with_capacity(effort.samples);
    let mut last_error = None;
    let begin = Instant::now();
    // The first round warms caches and branch predictors and does not count.
    for round in 0.. {
        let before = micros.len();
        for part in raw {
            let mut scorer = scorer.lines(&part.layout);
            for line in &part.lines {
                let start = Instant::now();
                let verdict = black_box(scorer.score(black_box(line)));
                let elapsed = start.elapsed();
                match verdict {
                    Ok(_) if round > 0 => micros.push(elapsed.as_secs_f64() * 1e6),
                    Ok(_) => {}
                    Err(error) => last_error = Some(error),
                }
            }
        }
        let nothing = round > 0 && micros.len() == before;
        if nothing || (round > 0 && (micros.len() >= effort.samples || begin.elapsed() >= effort.time)) {
            break;
        }
    }
    if micros.is_empty() {
        return Err(last_error.map_or_else(|| Failure::data("there is no event to measure with"), score_failure));
    }
    micros.sort_by(f64::total_cmp);
    let rows_per_second = batch.map(|b| batch_rate(scorer, b, effort)).transpose()?;
    Ok(Latency { micros, rows_per_second })
}

fn batch_rate(scorer: &Scorer, batch: &RecordBatch, effort: Effort) -> Result<f64, Failure> {
    scorer.score(batch).map_err(score_failure)?;
    let (begin, mut n_rows) = (Instant::now(), 0);
    loop {
        black_box(scorer.score(black_box(batch)).map_err(score_failure)?);
        n_rows += batch.num_rows();
        let elapsed = begin.elapsed();
        if n_rows >= effort.samples || elapsed >= effort.time {
            return Ok(n_rows as f64 / elapsed.as_secs_f64().max(1e-9));
        }
    }
}

impl Latency {
    /// The smallest measured time that at least a share `q` of the lines do not exceed, in microseconds.
    pub fn percentile(&self, q: f64) -> f64 {
        let rank = (q * self.micros.len() as f64).ceil() as usize;
        self.micros[rank.clamp(1, self.micros.len()) - 1]
    }

    /// Mean in microseconds.
    pub fn mean(&self) -> f64 {
        self.micros.iter().sum::<f64>() / self.micros.len() as f64
    }

    /// The figures that a run records.
    pub fn metrics(&self) -> MetricMap {
        let mut metrics: MetricMap = [
            ("latency_p50_us", self.percentile(0.5)),
            ("latency_p90_us", self.percentile(0.9)),
            ("latency_p99_us", self.percentile(0.99)),
            ("latency_p999_us", self.percentile(0.999)),
            ("latency_mean_ms", self.mean() / 1000.0),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect();
        if let Some(rate) = self.rows_per_second {
            metrics.insert("rows_per_second", rate);
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let latency = Latency { micros: (1..=200).map(f64::from).collect(), rows_per_second: None };
        for (q, expected) in [(0.5, 100.0), (0.9, 180.0), (0.99, 198.0), (0.999, 200.0), (0.0, 1.0), (1.0, 200.0)] {
            assert_eq!(latency.percentile(q), expected, "{q}");
        }
        assert_eq!(latency.mean(), 100.5);
    }
}
