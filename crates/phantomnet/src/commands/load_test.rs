//! `phantomnet models load-test`

use std::time::Duration;

use phantomnet_score::Scorer;

use super::latency::lines_to_score;
use crate::cli::LoadTestArgs;
use crate::failure::Failure;
use crate::pipeline::latency::score_failure;
use crate::pipeline::load_test::{Load, load_test};
use crate::terminal;

pub(crate) fn run(args: &LoadTestArgs) -> Result<(), Failure> {
    let (config, source) = args.model.open(&args.common.config)?;
    let scorer = Scorer::load(source.path()).map_err(score_failure)?;
    let (raw, _) = lines_to_score(&config, &scorer, &args.data)?;
    let n_threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n as usize,
    };
    let load = Load { n_threads, time: Duration::from_secs(args.seconds), rate: args.rate };
    let report = load_test(&scorer, &raw, load)?;
    if args.common.json {
        let mut document = serde_json::to_value(&report).unwrap_or_default();
        document["rate"] = serde_json::json!(args.rate);
        return terminal::print_json(&document);
    }
    let mut rows = vec![vec!["raw line to verdict".to_owned(), "us".to_owned()]];
    for (name, key) in
        [("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99.9", "p999"), ("p99.99", "p9999"), ("slowest", "max")]
    {
        let value = report.latency.get(&format!("latency_{key}_us")).unwrap_or(f64::NAN);
        rows.push(vec![name.to_owned(), format!("{value:.1}")]);
    }
    terminal::say(terminal::table(&rows).trim_end());
    terminal::say(&format!(
        "  {} events in {:.1} s on {} threads: {:.0} events/s, {} lines were no events",
        report.n_events, report.seconds, report.n_threads, report.events_per_second, report.n_errors
    ));
    Ok(())
}
