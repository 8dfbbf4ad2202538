//! `phantomnet latency`

use std::process::ExitCode;
use std::time::Duration;

use arrow_array::RecordBatch;
use phantomnet_features::{Layout, read_events_as};
use phantomnet_score::Scorer;
use serde_json::json;

use super::predict::no_column;
use crate::cli::LatencyArgs;
use crate::config::Config;
use crate::failure::Failure;
use crate::pipeline::data::{read_options, source_failure, take};
use crate::pipeline::latency::{Effort, RawLines, columns_of, measure, raw_lines, score_failure};
use crate::pipeline::slow_expressions;
use crate::terminal;

/// Events measured one by one at most; each is measured several times.
const MAX_ROWS: usize = 2_000;
const EFFORT: Effort = Effort { samples: 20_000, time: Duration::from_secs(2) };

pub(crate) fn run(args: &LatencyArgs) -> Result<ExitCode, Failure> {
    let (config, source) = args.model.open(&args.common.config)?;
    let scorer = Scorer::load(source.path()).map_err(score_failure)?;
    let (raw, batch) = lines_to_score(&config, &scorer, &args.data)?;
    for warning in slow_expressions(&scorer) {
        terminal::warn(&warning);
    }
    let n_events: usize = raw.iter().map(|p| p.lines.len()).sum();
    let latency = measure(&scorer, &raw, batch.as_ref(), EFFORT)?;
    if args.common.json {
        let mut document = serde_json::to_value(latency.metrics()).unwrap_or_default();
        document["n_events"] = json!(n_events);
        document["n_measurements"] = json!(latency.micros.len());
        terminal::print_json(&document)?;
    } else {
        let mut rows = vec![vec!["raw line to verdict".to_owned(), "us".to_owned()]];
        for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            rows.push(vec![name.to_owned(), format!("{:.1}", latency.percentile(q))]);
        }
        rows.push(vec!["mean".to_owned(), format!("{:.1}", latency.mean())]);
        terminal::say(terminal::table(&rows).trim_end());
        if let Some(rate) = latency.rows_per_second {
            terminal::say(&format!("  batches (features and model): {rate:.0} events/s"));
        }
        terminal::say(&format!("  {} measurements of {n_events} events, one thread", latency.micros.len()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Raw lines of the first events of some data, and the columns that the model reads of them; of the model's golden events, the lines
/// alone.
pub(super) fn lines_to_score(
    config: &Config,
    scorer: &Scorer,
    data: &[String],
) -> Result<(Vec<RawLines>, Option<RecordBatch>), Failure> {
    if data.is_empty() {
        return Ok((golden_lines(scorer), None));
    }
    let events = read_events_as(data, &read_options(config)?, &scorer.event_schema()).map_err(source_failure)?;
    if events.origin.absent.len() == scorer.event_schema().columns().len() {
        return Err(no_column(&data.join(" ")));
    }
    let rows: Vec<u32> = (0..events.batch.num_rows().min(MAX_ROWS) as u32).collect();
    let batch = columns_of(&take(&events.batch, &rows)?, scorer)?;
    Ok((raw_lines(&events.origin, &rows)?, Some(batch)))
}

/// The model's own golden events as JSON lines.
fn golden_lines(scorer: &Scorer) -> Vec<RawLines> {
    let line = |g: &phantomnet_model::Golden| serde_json::Value::Object(g.event.clone()).to_string().into_bytes();
    vec![RawLines { layout: Layout::JsonLines, lines: scorer.bundle().golden.iter().map(line).collect() }]
}
