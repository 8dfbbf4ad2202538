//! Predictions of the held-out events as a run keeps them, and two runs compared by them.

use phantomnet_learn::intervals::IntervalOptions;
use phantomnet_learn::metrics::MetricOptions;
use phantomnet_learn::paired::{Gain, Predictions, paired_gains};
use phantomnet_track::{Error, Run, Store};

use super::learner::zero_division;
use super::store::track_failure;
use crate::config::Config;
use crate::failure::Failure;

/// The artifact.
const FILE: &str = "predictions.csv";
/// Most bytes of it.
const MAX_BYTES: u64 = 1 << 30;
/// What the columns of probabilities begin with; the class follows.
const PROBABILITY: &str = "prob_";

/// What a run said of its held-out events.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPredictions {
    /// File and line of each event.
    places: Vec<(String, String)>,
    labels: Vec<u32>,
    classes: Vec<String>,
    probabilities: Vec<f32>,
    positive: Option<usize>,
    decision_threshold: f64,
    dataset: Option<(String, String)>,
}

/// Reads the predictions of a run; or says why there are none to compare.
///
/// # Errors
/// Of kind environment, when the store fails.
pub fn read_predictions(store: &mut dyn Store, run: &Run) -> Result<Result<StoredPredictions, String>, Failure> {
    let bytes = match store.read_artifact(&run.info.id, FILE, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error @ (Error::ArtifactNotFound { .. } | Error::ArtifactTooLarge { .. })) => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(track_failure(error)),
    };
    let param = |key: &str| run.params.get(key).map(String::as_str);
    let threshold = param("evaluate.decision_threshold").and_then(|text| text.parse().ok()).unwrap_or(0.5);
    let dataset = run.inputs.first().map(|input| (input.name.clone(), input.digest.clone()));
    let parsed = parse(&bytes, param("label.positive"), threshold, dataset);
    Ok(parsed.map_err(|why| format!("`{FILE}` of run `{}`: {why}", run.info.name)))
}

fn parse(
    bytes: &[u8],
    positive: Option<&str>,
    decision_threshold: f64,
    dataset: Option<(String, String)>,
) -> Result<StoredPredictions, String> {
    let mut reader = csv::Reader::from_reader(bytes);
    let headers = reader.headers().map_err(|e| e.to_string())?.clone();
    let column = |name: &str| headers.iter().position(|h| h == name).ok_or(format!("it has no column `{name}`"));
    let (file, line, label) = (column("file")?, column("line")?, column("label")?);
    let (columns, classes): (Vec<usize>, Vec<String>) = headers
        .iter()
        .enumerate()
        .filter_map(|(i, name)| Some((i, name.strip_prefix(PROBABILITY)?.to_owned())))
        .unzip();
    // With two classes, the later one unless the run says otherwise; with more, none.
    let positive = (classes.len() == 2)
        .then(|| positive.and_then(|name| classes.iter().position(|class| class == name)).unwrap_or(1));
    let mut stored = StoredPredictions {
        places: Vec::new(),
        labels: Vec::new(),
        classes,
        probabilities: Vec::new(),
        positive,
        decision_threshold,
        dataset,
    };
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|e| e.to_string())?;
        let unusable = || format!("record {} cannot be used", i + 1);
        let cell = |column: usize| record.get(column).ok_or_else(unusable);
        let class = cell(label)?;
        let class = stored.classes.iter().position(|name| name == class).ok_or_else(unusable)?;
        stored.labels.push(class as u32);
        stored.places.push((cell(file)?.to_owned(), cell(line)?.to_owned()));
        for &column in &columns {
            stored.probabilities.push(cell(column)?.parse().map_err(|_| unusable())?);
        }
    }
    Ok(stored)
}

/// By every metric, how much better the second run is on the events that both held out; or why that cannot be said.
///
/// # Errors
/// In words: other data, other held-out events, other classes.
pub fn gains(config: &Config, first: &StoredPredictions, second: &StoredPredictions) -> Result<Vec<Gain>, String> {
    if first.dataset != second.dataset {
        return Err("they read other data".into());
    }
    if first.classes != second.classes || first.positive != second.positive {
        return Err("they tell other classes apart".into());
    }
    if first.places != second.places {
        return Err("they hold out other events".into());
    }
    if first.labels != second.labels {
        return Err("they label the events otherwise".into());
    }
    let zero_division = zero_division(&config.evaluate.zero_division).map_err(|failure| failure.to_string())?;
    let of = |stored: &StoredPredictions| MetricOptions {
        zero_division,
        decision_threshold: stored.positive.map(|_| stored.decision_threshold),
    };
    paired_gains(
        &first.labels,
        Predictions { probs: &first.probabilities, opts: of(first) },
        Predictions { probs: &second.probabilities, opts: of(second) },
        &first.classes,
        first.positive,
        IntervalOptions { n_resamples: config.promotion.n_bootstrap, seed: config.holdout.seed },
    )
    .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "file,line,label,predicted,prob_benign,prob_attack,feature.x\na.csv,2,attack,attack,0.25,0.75,1\n\
                       \"a,b.csv\",3,benign,benign,0.9,0.1,\n";

    #[test]
    fn what_a_run_writes_is_read() {
        let stored = parse(CSV.as_bytes(), None, 0.5, None).unwrap();
        assert_eq!(stored.labels, [1, 0]);
        assert_eq!(stored.probabilities, [0.25, 0.75, 0.9, 0.1]);
        assert_eq!((stored.positive, stored.places[1].0.as_str()), (Some(1), "a,b.csv"));
        assert_eq!(parse(CSV.as_bytes(), Some("benign"), 0.5, None).unwrap().positive, Some(0));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let why = |text: &str| parse(text.as_bytes(), None, 0.5, None).unwrap_err();
        assert_eq!(why("file,line\n"), "it has no column `label`");
        assert_eq!(why(&CSV.replace("0.25", "x")), "record 1 cannot be used");
        assert_eq!(why(&CSV.replace("3,benign", "3,other")), "record 2 cannot be used");
        assert!(why(&CSV.replace(",0.1,", ",")).contains("record 2"));
    }

    #[test]
    fn only_the_same_events_are_compared() {
        let config = Config::resolve(
            crate::config::layers::Layer::environment(|_| None),
            None,
            crate::config::layers::Layer::flags(Vec::new()).unwrap(),
        )
        .unwrap();
        let first = parse(CSV.as_bytes(), None, 0.5, None).unwrap();
        assert!(gains(&config, &first, &first).unwrap().iter().all(|gain| gain.gain == 0.0 || gain.gain.is_nan()));
        let other = |from: &str, to: &str| parse(CSV.replace(from, to).as_bytes(), None, 0.5, None).unwrap();
        assert_eq!(gains(&config, &first, &other("csv,2", "csv,9")).unwrap_err(), "they hold out other events");
        assert_eq!(
            gains(&config, &first, &other("2,attack", "2,benign")).unwrap_err(),
            "they label the events otherwise"
        );
        assert_eq!(gains(&config, &first, &other("benign", "bot")).unwrap_err(), "they tell other classes apart");
        let dataset = Some(("b".to_owned(), "1".to_owned()));
        assert_eq!(
            gains(&config, &first, &StoredPredictions { dataset, ..first.clone() }).unwrap_err(),
            "they read other data"
        );
    }
}
