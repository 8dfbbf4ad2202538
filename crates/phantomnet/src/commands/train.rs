//! `phantomnet train`

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use phantomnet_learn::Progress;

use super::{SHOWN, figure, say_gate, with_interval};
use crate::cli::TrainArgs;
use crate::failure::{Failure, visible};
use crate::pipeline::{self, Event, Outcome, Stage};
use crate::signals::StopSignal;
use crate::terminal;

pub(crate) fn run(args: &TrainArgs) -> Result<ExitCode, Failure> {
    let config = args.resolve()?;
    config.label_expr()?;
    let learner = pipeline::learner(&config)?;
    let stop = StopSignal::of_user();
    // The bootstrap runs on the global pool, which is made here and nowhere else; fits have pools of their own.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(config.n_threads().get()).build_global();
    let bar = bar();
    let outcome = pipeline::train(&config, learner.as_ref(), &stop, &mut |event| show(&bar, event));
    bar.finish_and_clear();
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
    Ok(if outcome.gate.passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn bar() -> ProgressBar {
    if !terminal::is_interactive() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{msg:16} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, event: Event) {
    match event {
        Event::Stage(stage) => {
            bar.set_message(match stage {
                Stage::Read => "reading events",
                Stage::Features => "features",
                Stage::CrossValidate => "cross-validation",
                Stage::Fit => "final fit",
                Stage::Evaluate => "evaluation",
                Stage::Track => "recording",
            });
            bar.set_length(0);
            bar.set_position(0);
        }
        Event::Progress(Progress::Trees { done, total } | Progress::Folds { done, total }) => {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
        Event::Progress(_) => {}
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
    for key in SHOWN.iter().filter(|k| metrics.get(k).is_some()) {
        let folds = metrics.get(&format!("cv_{key}_mean")).zip(metrics.get(&format!("cv_{key}_std")));
        rows.push(vec![
            (*key).to_owned(),
            with_interval(metrics, key),
            folds.map_or_else(String::new, |(mean, std)| format!("{} ± {}", figure(mean), figure(std))),
            metrics.get(&format!("baseline_{key}")).map_or_else(String::new, figure),
        ]);
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
    terminal::say(&format!("  report   {}", visible(&outcome.output.join("report.html").display().to_string())));
    terminal::say(&format!("  runs     mlflow ui --backend-store-uri {}", visible(&outcome.tracking_uri)));
    terminal::say(&format!(
        "           then http://127.0.0.1:5000/#/experiments/{}/runs/{}?workflowType=machine_learning",
        outcome.experiment_id, outcome.run_id
    ));
}
