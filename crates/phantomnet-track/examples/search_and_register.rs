//! A search: a run with a run below it for each trial, of which the best becomes the champion of a registered model.
//!
//! ```sh
//! cargo run -p phantomnet-track --example search_and_register                           # to mlflow.db, for `mlflow ui`
//! cargo run -p phantomnet-track --example search_and_register -- http://127.0.0.1:5000  # to a server
//! ```
//!
//! What is searched for is the bias of a coin: each trial guesses it, and is scored on the same hundred throws.

#![allow(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use phantomnet_track::history::{self, Action, CHAMPION, Decision, Evidence};
use phantomnet_track::{
    Metric, ModelStatus, ModelUri, NewLoggedModel, NewModelVersion, NewRun, PARENT_RUN_TAG, Param, RunStatus,
    ServerOptions, Store, Tag, find_model, open_with,
};

const MODEL: &str = "coin";

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn new_run(name: String, parent: Option<&str>) -> NewRun {
    let tags = parent.map(|id| Tag::new(PARENT_RUN_TAG, id)).into_iter().collect();
    NewRun { name, user: "ana".to_owned(), start_time_ms: now_ms(), tags }
}

/// Mean log-likelihood of the throws.
fn score(bias: f64, throws: &[bool]) -> f64 {
    let sum: f64 = throws.iter().map(|&heads| if heads { bias.ln() } else { (1.0 - bias).ln() }).sum();
    sum / throws.len() as f64
}

/// Logs a trial below its search; gives the id of its model.
fn trial(
    store: &mut dyn Store,
    experiment_id: &str,
    search: &str,
    bias: f64,
    value: f64,
) -> Result<String, Box<dyn Error>> {
    let run = store.create_run(experiment_id, new_run(format!("bias {bias}"), Some(search)))?;
    let metric = Metric::new("log_likelihood", value, now_ms(), 0);
    store.log_batch(&run.id, &[metric], &[Param::new("bias", bias.to_string())], &[])?;
    let files = std::env::temp_dir().join(format!("coin-{}", run.id));
    std::fs::create_dir(&files)?;
    std::fs::write(files.join("coin.txt"), bias.to_string())?;
    let model = store.create_logged_model(NewLoggedModel {
        name: "coin".to_owned(),
        model_type: None,
        source_run_id: run.id.clone(),
        step: 0,
        params: Vec::new(),
        tags: Vec::new(),
    })?;
    store.log_model_artifacts(&model.id, &files)?;
    store.finalize_logged_model(&model.id, ModelStatus::Ready)?;
    store.end_run(&run.id, RunStatus::Finished, now_ms())?;
    std::fs::remove_dir_all(&files)?;
    Ok(model.id)
}

fn main() -> Result<(), Box<dyn Error>> {
    let uri = std::env::args().nth(1).unwrap_or_else(|| "sqlite:///mlflow.db".to_owned());
    let options = ServerOptions::from_variables(&uri, |name| std::env::var(name).ok())?;
    let mut store = open_with(&uri, options)?;
    let experiment = store.experiment("coins")?;
    let throws: Vec<bool> = (0..100).map(|i| i * 7 % 10 < 3).collect();

    let search = store.create_run(&experiment.id, new_run("search".to_owned(), None))?;
    let mut trials = Vec::new();
    for bias in [0.1, 0.3, 0.5, 0.9] {
        let value = score(bias, &throws);
        trials.push((value, trial(store.as_mut(), &experiment.id, &search.id, bias, value)?));
    }
    store.end_run(&search.id, RunStatus::Finished, now_ms())?;

    let (value, model_id) = trials.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).ok_or("no trial")?;
    let version = store.create_model_version(NewModelVersion {
        name: MODEL.to_owned(),
        model_id,
        description: "best of a search".to_owned(),
        tags: Vec::new(),
    })?;
    let previous = store.registered_model(MODEL)?.aliases.get(CHAMPION).copied();
    let decision = Decision {
        action: Action::Promote,
        version: version.version,
        previous,
        champion: Some(version.version),
        model_id: version.model_id().map(str::to_owned),
        manifest_sha256: None,
        user: "ana".to_owned(),
        host: "example".to_owned(),
        reason: String::new(),
        forced: false,
        data: None,
        evidence: vec![Evidence { name: "best".to_owned(), passed: true, figures: format!("{value:.4} of 4 trials") }],
    };
    let entry = history::record(store.as_mut(), MODEL, decision, now_ms())?;
    println!("version {} is the champion; entry {} of its history is {}", version.version, entry.number, entry.hash);

    let champion = find_model(store.as_mut(), &ModelUri::Alias(MODEL.to_owned(), CHAMPION.to_owned()))?;
    let copy = std::env::temp_dir().join(format!("champion-{}", search.id));
    store.download_folder(&champion.location, &copy, 1 << 20)?;
    println!("its bias is {}", std::fs::read_to_string(copy.join("coin.txt"))?);
    std::fs::remove_dir_all(copy)?;
    Ok(())
}
