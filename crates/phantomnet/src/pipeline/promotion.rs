//! The gate between challenger and champion: both on the same events, which neither has learned from.

use std::path::Path;
use std::time::Duration;

use phantomnet_features::{EventSchema, Place, ReadProgress, read_rows};
use phantomnet_learn::intervals::IntervalOptions;
use phantomnet_learn::metrics::{MetricMap, higher_is_better};
use phantomnet_learn::paired::{Gain, Predictions, paired_gains};
use phantomnet_model::Probabilities;
use phantomnet_score::Scorer;
use phantomnet_track::history::Evidence;
use serde::Serialize;

use super::data::source_failure;
use super::evaluation::{LabelledEvents, judge_model, judged_bounds, probabilities, read_labelled};
use super::judge::{metric_failure, metric_options};
use super::latency::{Effort, Latency, columns_of, measure, raw_lines, score_failure};
use super::{Judgement, gate};
use crate::config::Config;
use crate::failure::{Failure, nearest};

/// Events whose latency is measured at most.
const LATENCY_ROWS: usize = 500;
const LATENCY_EFFORT: Effort = Effort { samples: 10_000, time: Duration::from_millis(500) };

/// What was asked of the challenger, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// `golden`, `signature`, `unseen_data`, `labels`, `gain`, `latency_p99_ms`, `latency_ratio`, `false_positive_rate` or `gate.METRIC`.
    pub name: String,
    /// Whether it is met.
    pub passed: bool,
    /// What was found, where that is a number.
    pub value: Option<f64>,
    /// What it must reach, or must not exceed.
    pub bound: Option<f64>,
    /// The figures in words.
    pub figures: String,
}

impl Condition {
    fn new(name: &str, passed: bool, figures: impl Into<String>) -> Self {
        Self { name: name.to_owned(), passed, value: None, bound: None, figures: figures.into() }
    }

    fn of(name: &str, passed: bool, value: f64, bound: f64, figures: impl Into<String>) -> Self {
        Self { value: Some(value), bound: Some(bound), ..Self::new(name, passed, figures) }
    }

    /// As the history keeps it.
    pub fn evidence(&self) -> Evidence {
        Evidence { name: self.name.clone(), passed: self.passed, figures: self.figures.clone() }
    }
}

/// The challenger, judged.
#[derive(Debug, Clone, Serialize)]
pub struct Promotion {
    /// Whether all conditions are met.
    pub passed: bool,
    /// All of them, in the order they were looked at.
    pub conditions: Vec<Condition>,
    /// Fingerprint of the events judged on.
    pub data_fingerprint: String,
    /// How many they are.
    pub n_rows: u64,
    /// Metrics of the challenger.
    pub challenger: MetricMap,
    /// Metrics of the champion, if there is one that could be compared.
    pub champion: Option<MetricMap>,
    /// By every metric, how much better the challenger is.
    #[serde(serialize_with = "as_objects")]
    pub gains: Vec<Gain>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

fn as_objects<S: serde::Serializer>(gains: &[Gain], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(gains.iter().map(|gain| {
        serde_json::json!({
            "metric": gain.key,
            "champion": gain.first,
            "challenger": gain.second,
            "gain": gain.gain,
            "lo": gain.lo,
            "hi": gain.hi,
            "p_not_better": gain.p_not_better,
        })
    }))
}

/// Judges the model in the folder `challenger` beside `champion`, on the labelled events of `data.paths`; `tell` is told how far they
/// have been read.
///
/// What the events or the configuration make impossible is an error; what is wrong with the challenger is a condition that is not
/// met.
///
/// # Errors
/// Of kind data for events that cannot be read or have no label, and for a champion that cannot be loaded; of kind config.
pub fn judge_promotion(
    config: &Config,
    champion: Option<&Path>,
    challenger: &Path,
    tell: &mut dyn FnMut(ReadProgress),
) -> Result<Promotion, Failure> {
    let champion = champion.map(Scorer::load).transpose().map_err(|error| {
        let failure = score_failure(error);
        Failure::data(format!("the champion cannot be loaded: {failure}"))
            .hint("`phantomnet models rollback` restores the one before it; `--force` promotes without a comparison")
    })?;
    let mut promotion = Promotion {
        passed: false,
        conditions: Vec::new(),
        data_fingerprint: String::new(),
        n_rows: 0,
        challenger: MetricMap::new(),
        champion: None,
        gains: Vec::new(),
        warnings: Vec::new(),
    };
    let scorer = match Scorer::load(challenger) {
        Ok(scorer) => scorer,
        Err(error) => {
            promotion.conditions.push(Condition::new("golden", false, score_failure(error).to_string()));
            return Ok(promotion);
        }
    };
    let n_golden = scorer.bundle().golden.len();
    let golden = format!("{n_golden} golden events give the features and scores of training, bit for bit");
    promotion.conditions.push(Condition::new("golden", true, golden));
    let signature = champion.as_ref().map(|champion| signature(champion, &scorer));
    let is_comparable = signature.as_ref().is_none_or(|condition| condition.passed);
    promotion.conditions.extend(signature);

    let challenged = read_labelled(config, &scorer, tell)?;
    promotion.warnings.extend(challenged.warnings.iter().cloned());
    promotion.data_fingerprint = challenged.origin.fingerprint.clone();
    promotion.n_rows = challenged.labels.len() as u64;
    promotion.conditions.push(unseen(&promotion.data_fingerprint, champion.as_ref(), &scorer));
    let scores = probabilities(&scorer, &challenged);
    let judgement = judge_model(config, &scorer, &challenged.labels, scores.clone())?;
    if let Some(champion) = champion.as_ref().filter(|_| is_comparable) {
        let pair = Pair { config, champion, challenger: &scorer };
        pair.compare(&challenged, &scores, tell, &mut promotion)?;
    }
    promotion.conditions.extend(absolute(config, &judgement)?);
    promotion.conditions.extend(latency(config, champion.as_ref(), &scorer, &challenged)?);
    promotion.challenger = judgement.metrics;
    promotion.passed = promotion.conditions.iter().all(|condition| condition.passed);
    Ok(promotion)
}

/// Whether what is fed to the champion can be fed to the challenger, and means the same when it comes out.
fn signature(champion: &Scorer, challenger: &Scorer) -> Condition {
    let columns = |schema: &EventSchema| schema.columns().to_vec();
    let fed = columns(&champion.event_schema());
    let mut problems = Vec::new();
    for (name, wanted) in columns(&challenger.event_schema()) {
        match fed.iter().find(|(fed, _)| *fed == name) {
            Some((_, given)) if *given == wanted => {}
            Some((_, given)) => {
                problems.push(format!("column `{name}` is {} to it, and was {}", wanted.name(), given.name()));
            }
            None => problems.push(format!("it reads column `{name}`, which the champion does not")),
        }
    }
    let classes = |scorer: &Scorer| scorer.bundle().pipeline.label.classes.clone();
    let (old, new) = (classes(champion), classes(challenger));
    if old != new {
        problems.push(format!("it tells `{}` apart, and not `{}`", new.names.join("`, `"), old.names.join("`, `")));
    }
    if problems.is_empty() {
        let n_columns = challenger.event_schema().columns().len();
        return Condition::new("signature", true, format!("{n_columns} columns and {} classes, as before", new.len()));
    }
    Condition::new("signature", false, problems.join("; "))
}

/// Whether neither model has learned from these very files. Of parts of them this cannot tell.
fn unseen(fingerprint: &str, champion: Option<&Scorer>, challenger: &Scorer) -> Condition {
    let models = [("challenger", Some(challenger)), ("champion", champion)];
    let seen: Vec<&str> = models
        .into_iter()
        .filter(|(_, scorer)| scorer.is_some_and(|scorer| scorer.bundle().data_fingerprint == fingerprint))
        .map(|(name, _)| name)
        .collect();
    if seen.is_empty() {
        return Condition::new("unseen_data", true, "the events are not those of either model's training");
    }
    let figures = format!("{} was trained on part of these very events", seen.join(" and "));
    Condition::new("unseen_data", false, figures)
}

struct Pair<'a> {
    config: &'a Config,
    champion: &'a Scorer,
    challenger: &'a Scorer,
}

impl Pair<'_> {
    /// The gain on the events that both models can read, with the challenger's labels.
    fn compare(
        &self,
        challenged: &LabelledEvents,
        scores: &Probabilities,
        tell: &mut dyn FnMut(ReadProgress),
        promotion: &mut Promotion,
    ) -> Result<(), Failure> {
        let championed = read_labelled(self.config, self.champion, tell)?;
        let places = |of: &LabelledEvents| of.origin.places.iter().collect::<Vec<_>>();
        let pairs = aligned(&places(&championed), &places(challenged));
        let n_apart = (challenged.labels.len() + championed.labels.len()) - 2 * pairs.len();
        let differs =
            |&&(first, second): &&(u32, u32)| championed.labels[first as usize] != challenged.labels[second as usize];
        let n_other = pairs.iter().filter(differs).count();
        if n_apart + n_other > 0 {
            promotion.conditions.push(Condition::new(
                "labels",
                false,
                format!("the two models do not read or label {} events alike", n_apart + n_other),
            ));
            return Ok(());
        }
        let of_champion = probabilities(self.champion, &championed);
        let judgement = judge_model(self.config, self.champion, &challenged.labels, of_champion.clone())?;
        promotion.champion = Some(judgement.metrics);

        let classes = &self.challenger.bundle().pipeline.label.classes;
        let opts = |scorer: &Scorer| {
            let mut config = self.config.clone();
            config.evaluate.decision_threshold = scorer.bundle().pipeline.decision_threshold;
            metric_options(&config, classes)
        };
        let settings = &self.config.promotion;
        let gains = paired_gains(
            &challenged.labels,
            Predictions { probs: of_champion.values(), opts: opts(self.champion)? },
            Predictions { probs: scores.values(), opts: opts(self.challenger)? },
            &classes.names,
            classes.positive,
            IntervalOptions { n_resamples: settings.n_bootstrap, seed: self.config.holdout.seed },
        )
        .map_err(metric_failure)?;
        promotion.conditions.push(gain_condition(&settings.metric, settings.min_gain, &gains)?);
        promotion.gains = gains;
        Ok(())
    }
}

/// Rows of both that come from the same place; places ascend.
fn aligned(first: &[Place], second: &[Place]) -> Vec<(u32, u32)> {
    let (mut pairs, mut i, mut j) = (Vec::new(), 0, 0);
    while let (Some(a), Some(b)) = (first.get(i), second.get(j)) {
        if a == b {
            pairs.push((i as u32, j as u32));
        }
        let (is_first, is_second) = (a <= b, b <= a);
        i += usize::from(is_first);
        j += usize::from(is_second);
    }
    pairs
}

fn gain_condition(metric: &str, min_gain: f64, gains: &[Gain]) -> Result<Condition, Failure> {
    let Some(gain) = gains.iter().find(|gain| gain.key == metric) else {
        let failure = Failure::config(format!("`promotion.metric`: `{metric}` is no metric of these models"));
        return Err(match nearest(metric, gains.iter().map(|gain| gain.key.as_str())) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("any of `phantomnet evaluate` of which it is known which direction is good"),
        });
    };
    let Gain { first, second, lo, hi, p_not_better, .. } = gain;
    let better = if higher_is_better(metric) == Some(false) { "less" } else { "more" };
    let figures = format!(
        "{metric} {first:.4} -> {second:.4}, gain {:+.4} [{lo:+.4}, {hi:+.4}] where {better} is better, p {p_not_better:.3}; \
         lower end at least {min_gain:+.4}",
        gain.gain
    );
    // NaN is no evidence.
    Ok(Condition::of("gain", *lo >= min_gain, *lo, min_gain, figures))
}

/// Conditions on the challenger alone.
fn absolute(config: &Config, judgement: &Judgement) -> Result<Vec<Condition>, Failure> {
    let metrics = &judgement.metrics;
    let mut conditions: Vec<Condition> = gate::judge(&judged_bounds(config), metrics)?
        .conditions
        .into_iter()
        .map(|c| {
            let figures = format!("{:.4}, {} {}", c.value, if c.at_least { "at least" } else { "at most" }, c.bound);
            Condition::of(&format!("gate.{}", c.metric), c.passed, c.value, c.bound, figures)
        })
        .collect();
    if let Some(bound) = config.promotion.max_false_positive_rate {
        let rate = metrics.get("false_positive_rate").ok_or_else(|| {
            Failure::config("`promotion.max_false_positive_rate` is for two classes")
                .hint("set conditions on metrics of many classes under [gate]")
        })?;
        let end = |end: &str| metrics.get(&format!("false_positive_rate.{end}")).unwrap_or(f64::NAN);
        let figures = format!("{rate:.5} [{:.5}, {:.5}], at most {bound}", end("lo"), end("hi"));
        conditions.push(Condition::of("false_positive_rate", rate <= bound, rate, bound, figures));
    }
    Ok(conditions)
}

fn latency(
    config: &Config,
    champion: Option<&Scorer>,
    challenger: &Scorer,
    events: &LabelledEvents,
) -> Result<Vec<Condition>, Failure> {
    let rows: Vec<u32> = (0..events.labels.len().min(LATENCY_ROWS) as u32).collect();
    let raw = raw_lines(&events.origin, &rows)?;
    let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
    let batch = read_rows(&events.origin, &rows).map_err(source_failure)?;
    let measured = |scorer: &Scorer, batch: Option<&_>| measure(scorer, &raw, batch, LATENCY_EFFORT);
    let own = measured(challenger, Some(&columns_of(&batch, challenger)?))?;
    let mut conditions = Vec::new();
    if let Some(bound) = config.promotion.max_latency_p99_ms {
        let p99 = own.percentile(0.99) / 1000.0;
        conditions.push(Condition::of(
            "latency_p99_ms",
            p99 <= bound,
            p99,
            bound,
            format!("{p99:.4} ms, at most {bound}"),
        ));
    }
    if let Some(champion) = champion {
        let bound = config.promotion.max_latency_ratio;
        let median = |latency: &Latency| latency.percentile(0.5);
        let (old, new) = (median(&measured(champion, None)?), median(&own));
        let ratio = new / old;
        let figures = format!("median {old:.1} us -> {new:.1} us, {ratio:.2} times, at most {bound}");
        conditions.push(Condition::of("latency_ratio", ratio <= bound, ratio, bound, figures));
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_by_their_places() {
        let places = |lines: &[u64]| lines.iter().map(|&line| Place { file: 0, line, offset: 0 }).collect::<Vec<_>>();
        let pairs = aligned(&places(&[1, 2, 4, 7]), &places(&[2, 3, 4, 4, 7]));
        assert_eq!(pairs, [(1, 0), (2, 2), (3, 4)]);
        assert!(aligned(&[], &places(&[1])).is_empty());
    }

    #[test]
    fn a_gain_must_be_shown() {
        let gain = |lo| Gain { key: "f1".into(), first: 0.8, second: 0.9, gain: 0.1, lo, hi: 0.2, p_not_better: 0.01 };
        let passed = |lo, min_gain| gain_condition("f1", min_gain, &[gain(lo)]).unwrap().passed;
        assert!(passed(0.0, 0.0) && passed(-0.01, -0.01) && !passed(-0.01, 0.0) && !passed(f64::NAN, -1.0));
        let figures = gain_condition("f1", 0.0, &[gain(0.05)]).unwrap().figures;
        assert!(
            figures.starts_with("f1 0.8000 -> 0.9000, gain +0.1000 [+0.0500, +0.2000] where more is better"),
            "{figures}"
        );
        assert!(gain_condition("f2", 0.0, &[gain(0.0)]).unwrap_err().to_string().contains("`f2` is no metric"));
    }
}
