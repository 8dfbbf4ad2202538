//! `phantomnet runs compare`

use std::collections::BTreeSet;

use phantomnet_learn::metrics::MetricMap;
use phantomnet_learn::paired::Gain;
use phantomnet_track::Run;
use serde_json::{Value, json};

use super::runs::open;
use super::{figure, print_data, with_interval};
use crate::cli::StoreArgs;
use crate::failure::{Failure, visible};
use crate::pipeline::predictions::{StoredPredictions, gains, read_predictions};
use crate::pipeline::track_failure;
use crate::terminal;

pub(super) fn run(names: &[String], args: &StoreArgs) -> Result<(), Failure> {
    let config = args.resolve()?;
    let mut store = open(args)?;
    let runs: Vec<Run> = names.iter().map(|n| store.run(n).map_err(track_failure)).collect::<Result<_, _>>()?;
    let stored: Vec<Result<StoredPredictions, String>> =
        runs.iter().map(|run| read_predictions(store.as_mut(), run)).collect::<Result<_, _>>()?;
    let compared: Vec<Result<Vec<Gain>, String>> = stored
        .iter()
        .skip(1)
        .map(|other| match (&stored[0], other) {
            (Ok(first), Ok(other)) => gains(&config, first, other),
            (Err(why), _) | (_, Err(why)) => Err(why.clone()),
        })
        .collect();
    let keys: BTreeSet<&String> = runs.iter().flat_map(|r| r.params.keys()).collect();
    let differs = |key: &&String| runs.iter().any(|r| r.params.get(*key) != runs[0].params.get(*key));
    let params: Vec<&String> = keys.into_iter().filter(differs).collect();
    let metrics: BTreeSet<&String> = runs.iter().flat_map(|r| r.metrics.keys()).collect();
    if args.common.json {
        let none = std::iter::once(None).chain(compared.iter().map(Some));
        let columns = runs.iter().zip(none).map(|(run, gains)| column(run, &params, &metrics, gains));
        return terminal::print_json(&Value::Array(columns.collect()));
    }
    let head = |title: &str| {
        std::iter::once(title.to_owned()).chain(runs.iter().map(|r| visible(&r.info.name))).collect::<Vec<_>>()
    };
    let mut rows = vec![head("params that differ")];
    for key in params {
        let cell = |r: &Run| r.params.get(key).map_or_else(String::new, |v| visible(v));
        rows.push(std::iter::once(visible(key)).chain(runs.iter().map(cell)).collect());
    }
    rows.push(head("metrics"));
    let values: Vec<MetricMap> =
        runs.iter().map(|r| r.metrics.iter().map(|(key, point)| (key.clone(), point.value)).collect()).collect();
    for key in metrics.iter().filter(|k| !k.ends_with(".lo") && !k.ends_with(".hi")) {
        rows.push(std::iter::once(visible(key)).chain(values.iter().map(|map| with_interval(map, key))).collect());
    }
    print_data(terminal::table(&rows).trim_end())?;
    for (run, gains) in runs.iter().skip(1).zip(&compared) {
        let (first, other) = (visible(&runs[0].info.name), visible(&run.info.name));
        match gains {
            Ok(gains) => {
                print_data(&format!("\n{other} over {first}, on the same held-out events; above 0 is better"))?;
                print_data(terminal::table(&gain_rows(gains)).trim_end())?;
            }
            Err(why) => terminal::say(&format!("\n{other} and {first} cannot be tested against each other: {why}")),
        }
    }
    Ok(())
}

fn gain_rows(gains: &[Gain]) -> Vec<Vec<String>> {
    let mut rows = vec![["", "gain [95 % interval]", "p, not better"].map(String::from).to_vec()];
    // A class's own metrics would be most of the table.
    for gain in gains.iter().filter(|gain| !gain.key.contains('.') && !gain.gain.is_nan()) {
        let signed = |value: f64| if value.is_nan() { "not defined".to_owned() } else { format!("{value:+.4}") };
        let interval = format!("{} [{}, {}]", signed(gain.gain), signed(gain.lo), signed(gain.hi));
        rows.push(vec![visible(&gain.key), interval, figure(gain.p_not_better)]);
    }
    rows
}

fn column(
    run: &Run,
    params: &[&String],
    metrics: &BTreeSet<&String>,
    gains: Option<&Result<Vec<Gain>, String>>,
) -> Value {
    let of = |keys: &mut dyn Iterator<Item = &String>, get: &dyn Fn(&str) -> Value| -> Value {
        Value::Object(keys.map(|k| (k.clone(), get(k))).collect())
    };
    let gain = |gain: &Gain| {
        let figures = json!({"gain": gain.gain, "lo": gain.lo, "hi": gain.hi, "p_not_better": gain.p_not_better});
        (gain.key.clone(), figures)
    };
    json!({
        "run_id": run.info.id,
        "run_name": run.info.name,
        "params": of(&mut params.iter().copied(), &|k| run.params.get(k).map_or(Value::Null, |v| json!(v))),
        "metrics": of(&mut metrics.iter().copied(), &|k| run.metrics.get(k).map_or(Value::Null, |m| json!(m.value))),
        "gains": gains.and_then(|gains| gains.as_ref().ok()).map(|gains| gains.iter().map(gain).collect::<serde_json::Map<_, _>>()),
        "not_tested": gains.and_then(|gains| gains.as_ref().err()),
    })
}
