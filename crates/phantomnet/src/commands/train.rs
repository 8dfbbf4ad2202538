//! `phantomnet train`

use std::process::ExitCode;

use phantomnet_track::is_server;

use super::bar::Bar;
use super::runs::say_pushed;
use super::{SHOWN, figure, say_gate, with_interval};
use crate::cli::TrainArgs;
use crate::config::Tracking;
use crate::failure::{Failure, visible};
use crate::pipeline::{self, Outcome, Registered};
use crate::signals::StopSignal;
use crate::terminal;

pub(crate) fn run(args: &TrainArgs) -> Result<ExitCode, Failure> {
    let config = args.resolve()?;
    config.label_expr()?;
    let learner = pipeline::learner(&config)?;
    let config = config.with_standard_input()?;
    let stop = StopSignal::of_user();
    // The bootstrap runs on the global pool, which is made here and nowhere else; fits have pools of their own.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(config.n_threads().get()).build_global();
    let mut bar = Bar::new(config.cv.n_folds * config.cv.n_repeats);
    let outcome = pipeline::train(&config, learner.as_ref(), &stop, &mut |event| bar.show(event));
    bar.finish();
    let outcome = outcome?;
    for warning in &outcome.warnings {
        terminal::warn(warning);
    }
    if args.common.json {
        let document = serde_json::to_value(&outcome)
            .map_err(|e| Failure::environment("cannot write the outcome as JSON").caused_by(e))?;
        terminal::print_json(&document)?;
    } else {
        summarize(&outcome);
    }
    if is_server(&outcome.tracking_uri) && outcome.kept_in.is_none() {
        send_earlier(&config.tracking);
    }
    Ok(if outcome.gate.passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Sends what earlier runs could not: the server is there again. That it fails is not this run's failure.
fn send_earlier(tracking: &Tracking) {
    match pipeline::push(&tracking.outbox, Some(&tracking.uri)) {
        Ok(pushed) => pushed.iter().for_each(say_pushed),
        Err(failure) => terminal::warn(&failure.to_string()),
    }
}

fn summarize(outcome: &Outcome) {
    let metrics = &outcome.metrics;
    let synthetic = if outcome.synthetic_data { " SYNTHETIC" } else { "" };
    terminal::say(&format!(
        "\n{} on {}{synthetic} events ({} to learn from, {} held out), {} lines rejected",
        outcome.params.get("model.kind").and_then(|v| v.as_str()).unwrap_or_default(),
        outcome.n_rows,
        outcome.n_train,
        outcome.n_holdout,
        outcome.n_rejected
    ));
    let mut rows = vec![["", "hold-out [95 % interval]", "cross-validation", "majority"].map(String::from).to_vec()];
    let has_oob = metrics.get("oob_accuracy").is_some();
    if has_oob {
        rows[0].insert(2, "out of bag".into());
    }
    for key in SHOWN.iter().filter(|k| metrics.get(k).is_some()) {
        let folds = metrics.get(&format!("cv_{key}_mean")).zip(metrics.get(&format!("cv_{key}_std")));
        let mut row = vec![
            (*key).to_owned(),
            with_interval(metrics, key),
            folds.map_or_else(String::new, |(mean, std)| format!("{} ± {}", figure(mean), figure(std))),
            metrics.get(&format!("baseline_{key}")).map_or_else(String::new, figure),
        ];
        if has_oob {
            row.insert(2, metrics.get(&format!("oob_{key}")).map_or_else(String::new, figure));
        }
        rows.push(row);
    }
    terminal::say(terminal::table(&rows).trim_end());
    if let (Some(p50), Some(p99)) = (metrics.get("latency_p50_us"), metrics.get("latency_p99_us")) {
        let rate = metrics
            .get("rows_per_second")
            .map_or_else(String::new, |r| format!("; batches (features and model): {r:.0} events/s"));
        terminal::say(&format!("  latency, raw line to verdict: p50 {p50:.1} us, p99 {p99:.1} us{rate}"));
    }
    say_gate(&outcome.gate);
    terminal::say("");
    let seconds = outcome.timings.get("total").and_then(serde_json::Value::as_f64).unwrap_or_default();
    terminal::say(&format!("  run      {} ({}) in {seconds:.2} s", visible(&outcome.run_name), outcome.run_id));
    if let Some(model) = &outcome.model {
        terminal::say(&format!("  model    {}", visible(&model.display().to_string())));
    }
    if let Some(Registered { name, version, alias }) = &outcome.registered {
        let version =
            version.map_or_else(|| "next version, once it is sent,".into(), |version| format!("version {version}"));
        let alias = if alias.is_empty() { String::new() } else { format!(", {alias}") };
        terminal::say(&format!("  registry {version} of {}{}", visible(name), visible(&alias)));
    }
    terminal::say(&format!("  report   {}", visible(&outcome.output.join("report.html").display().to_string())));
    let page = format!("#/experiments/{}/runs/{}?workflowType=machine_learning", outcome.experiment_id, outcome.run_id);
    let uri = visible(&outcome.tracking_uri);
    if let Some(folder) = &outcome.kept_in {
        terminal::say(&format!("  runs     kept in {}", visible(&folder.display().to_string())));
        terminal::say("           send it with `phantomnet runs push`; the next run does so, too");
    } else if is_server(&outcome.tracking_uri) {
        terminal::say(&format!("  runs     {}/{page}", uri.trim_end_matches('/')));
    } else {
        terminal::say(&format!("  runs     mlflow ui --backend-store-uri {uri}"));
        terminal::say(&format!("           then http://127.0.0.1:5000/{page}"));
    }
}
