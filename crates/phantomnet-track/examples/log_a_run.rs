//! Logs a run of a program that has nothing to do with ours: here, one that estimates π by throwing darts.
//!
//! ```sh
//! cargo run -p phantomnet-track --example log_a_run                           # to mlflow.db, for `mlflow ui`
//! cargo run -p phantomnet-track --example log_a_run -- http://127.0.0.1:5000  # to a server
//! ```
//!
//! A server's credentials come from MLflow's environment variables. When it is away, the run is kept in the folder `outbox`, from which
//! the next one sends it.

#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::error::Error;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use phantomnet_track::{
    ActiveRun, Metric, NewRun, OutboxStore, Param, ServerOptions, Store, Tag, is_server, open, push_outbox,
    random_run_name,
};

const OUTBOX: &str = "outbox";

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn variables(uri: &str) -> phantomnet_track::Result<ServerOptions> {
    ServerOptions::from_variables(uri, |name| std::env::var(name).ok())
}

/// Throws `n` darts at a square, from a number that follows from the last one; gives the share that hits the circle, by 4.
fn throw(n: u32, state: &mut u64) -> f64 {
    let mut coordinate = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let n_hits = (0..n).filter(|_| coordinate().powi(2) + coordinate().powi(2) < 1.0).count();
    4.0 * n_hits as f64 / f64::from(n)
}

fn main() -> Result<(), Box<dyn Error>> {
    let uri = std::env::args().nth(1).unwrap_or_else(|| "sqlite:///mlflow.db".to_owned());
    let mut store: Box<dyn Store> = if is_server(&uri) {
        for entry in push_outbox(Path::new(OUTBOX), Some(&uri), &variables)? {
            println!("kept by an earlier run: {:?}", entry.runs.map(|runs| runs.len()));
        }
        let on_away = |error: &phantomnet_track::Error, folder: &Path| {
            println!("{error}; the run is kept in {}", folder.display());
        };
        Box::new(OutboxStore::new(&uri, variables(&uri)?, Path::new(OUTBOX), Box::new(on_away))?)
    } else {
        open(&uri)?
    };

    let experiment = store.experiment("darts")?;
    let start_time_ms = now_ms();
    let new = NewRun {
        name: random_run_name(&u128::from(start_time_ms as u64).to_le_bytes()),
        user: "ana".to_owned(),
        start_time_ms,
        tags: vec![Tag::new("mlflow.source.name", "log_a_run")],
    };
    // From here on the run ends FINISHED, or FAILED where a `?` leaves this function.
    let mut run = ActiveRun::start(store, &experiment.id, new, now_ms)?;
    let id = run.info().id.clone();
    run.store().log_batch(&id, &[], &[Param::new("n_darts", "100000"), Param::new("n_throws", "20")], &[])?;

    let (mut state, mut sum) = (42, 0.0);
    for step in 0..20 {
        sum += throw(100_000, &mut state);
        let estimate = sum / f64::from(step + 1);
        let metrics = [
            Metric::new("pi", estimate, now_ms(), step.into()),
            Metric::new("error", (estimate - std::f64::consts::PI).abs(), now_ms(), step.into()),
        ];
        run.store().log_batch(&id, &metrics, &[], &[])?;
    }
    run.store().log_artifact_bytes(&id, "estimate.txt", format!("{}\n", sum / 20.0).as_bytes())?;
    println!("run {} of experiment {} in {uri}", run.info().name, experiment.name);
    run.finish()?;
    Ok(())
}
