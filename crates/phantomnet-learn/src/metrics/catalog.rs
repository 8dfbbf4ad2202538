//! What each metric means, by its key.

/// What a metric says and how to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    /// Key without class and without suffix.
    pub key: &'static str,
    /// What it says, in one line.
    pub description: &'static str,
    /// Which direction is good; `None` for plain counts of rows.
    pub higher_is_better: Option<bool>,
    /// How its 95 % interval is found.
    pub interval: IntervalMethod,
}

/// How the interval of a metric is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalMethod {
    /// It has none.
    None,
    /// Wilson's score interval: the metric is a share of independent rows.
    Wilson,
    /// Percentiles over resampled rows.
    Bootstrap,
    /// Wilson's for one class (two-class problems, `recall.attack`), bootstrap for the mean over many classes.
    ByClassCount,
}

/// Every metric, in the order in which an evaluation lists them.
pub const METRICS: &[MetricInfo] = {
    use IntervalMethod::{Bootstrap, ByClassCount, None as NoInterval, Wilson};
    const fn info(
        key: &'static str,
        higher_is_better: Option<bool>,
        interval: IntervalMethod,
        description: &'static str,
    ) -> MetricInfo {
        MetricInfo { key, description, higher_is_better, interval }
    }
    const MORE: Option<bool> = Some(true);
    const LESS: Option<bool> = Some(false);
    &[
        info("n_rows", None, NoInterval, "rows judged"),
        info("accuracy", MORE, Wilson, "share of the rows that are predicted right"),
        info("balanced_accuracy", MORE, Bootstrap, "mean recall over the classes that occur"),
        info("precision", MORE, ByClassCount, "share of the alarms that are attacks"),
        info("recall", MORE, ByClassCount, "share of the attacks that raise an alarm"),
        info("f1", MORE, Bootstrap, "harmonic mean of precision and recall"),
        info("roc_auc", MORE, Bootstrap, "chance that a random attack scores higher than a random harmless event"),
        info(
            "roc_auc_weighted",
            MORE,
            Bootstrap,
            "ROC AUC of each class against the rest, weighted by the class's rows",
        ),
        info("pr_auc", MORE, Bootstrap, "average precision: mean precision at the score of each attack"),
        info("log_loss", LESS, Bootstrap, "mean cost −ln p of the probability p given to the true class"),
        info("brier", LESS, Bootstrap, "mean squared error of the probabilities"),
        info("mcc", MORE, Bootstrap, "Matthews correlation of truth and prediction"),
        info("false_positive_rate", LESS, Wilson, "share of the harmless events that raise an alarm"),
        info("false_alarms_per_1000", LESS, Wilson, "false alarms in 1,000 events like those judged"),
        info("missed_per_1000", LESS, Wilson, "missed attacks in 1,000 events like those judged"),
        info("tp", None, NoInterval, "attacks that raise an alarm"),
        info("fp", None, NoInterval, "harmless events that raise an alarm"),
        info("tn", None, NoInterval, "harmless events that pass"),
        info("fn", None, NoInterval, "attacks that pass"),
        info("precision_macro", MORE, Bootstrap, "mean precision over the classes"),
        info("recall_macro", MORE, Bootstrap, "mean recall over the classes"),
        info("f1_macro", MORE, Bootstrap, "mean F1 over the classes"),
        info("precision_weighted", MORE, Bootstrap, "mean precision over the classes, weighted by their rows"),
        info("recall_weighted", MORE, Wilson, "mean recall over the classes, weighted by their rows; equals accuracy"),
        info("f1_weighted", MORE, Bootstrap, "mean F1 over the classes, weighted by their rows"),
        info("precision_micro", MORE, Wilson, "precision over all classes' rows together; equals accuracy"),
        info("recall_micro", MORE, Wilson, "recall over all classes' rows together; equals accuracy"),
        info("f1_micro", MORE, Wilson, "F1 over all classes' rows together; equals accuracy"),
        info("support", None, NoInterval, "rows of a class"),
    ]
};

impl MetricInfo {
    /// What is known of a key, whether plain or with class (`recall.attack`), interval end (`accuracy.lo`) or
    /// cross-validation mean (`cv_accuracy_mean`); `None` for keys that are not metrics of judgement.
    #[must_use]
    pub fn of(key: &str) -> Option<&'static Self> {
        let key = key.strip_prefix("cv_").and_then(|key| key.strip_suffix("_mean")).unwrap_or(key);
        let base = key.split('.').next()?;
        METRICS.iter().find(|info| info.key == base)
    }
}

/// Whether larger values of a metric are better; `None` for counts of rows and for keys unknown here.
///
/// Takes every form of key that [`MetricInfo::of`] takes.
#[must_use]
pub fn higher_is_better(key: &str) -> Option<bool> {
    MetricInfo::of(key)?.higher_is_better
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("accuracy", Some(true))]
    #[case("accuracy.lo", Some(true))]
    #[case("recall.sqli 2.0", Some(true))]
    #[case("cv_log_loss_mean", Some(false))]
    #[case("cv_log_loss_std", None)]
    #[case("false_alarms_per_1000", Some(false))]
    #[case("n_rows", None)]
    #[case("latency_p99_us", None)]
    #[case("", None)]
    fn directions(#[case] key: &str, #[case] expected: Option<bool>) {
        assert_eq!(higher_is_better(key), expected);
    }
}
