//! A forest of an earlier run, of which more is grown.
//!
//! The kept trees have learned from rows, of which none may be held out now. Of the same data that can be told: the
//! hold-out must be the same too. Of other data it cannot, and the run says so. The folds are judged without the kept trees.

use phantomnet_features::{Expression, FeatureSet, Origin};
use phantomnet_learn::{Fit, FitContext, ForestLearner, LearnError, Learner};
use phantomnet_model::{Bundle, Classes, Dataset, FeatureSchema, Forest, Limits, Pipeline};
use toml::Value;

use super::latency::score_failure;
use super::learner::forest;
use super::model_source::model_source;
use crate::config::Config;
use crate::failure::Failure;

/// The forest in a model folder.
const FOREST: &str = "forest.bin";

/// A forest that is kept, and how it came to be.
#[derive(Debug)]
pub(super) struct WarmStart {
    learner: ForestLearner,
    forest: Forest,
    pipeline: Pipeline,
    data_fingerprint: String,
    config: serde_json::Value,
}

impl WarmStart {
    /// The forest that `model.warm_start` names; none if it names none.
    ///
    /// # Errors
    /// Of kind data for a folder that is no valid model, of kind config for a model of which `learner` cannot grow more.
    pub(super) fn load(config: &Config, learner: &dyn Learner) -> Result<Option<Self>, Failure> {
        let Some(model) = config.model.get("warm_start").and_then(Value::as_str) else {
            return Ok(None);
        };
        let source = model_source(model, &config.tracking)?;
        let folder = source.path();
        let Bundle { pipeline, data_fingerprint, config: kept_config, .. } =
            Bundle::load(folder, Limits::default()).map_err(|e| score_failure(e.into()))?;
        if pipeline.model.kind != learner.name() || learner.name() != config.model_kind() {
            let (kept, wanted) = (&pipeline.model.kind, learner.name());
            return Err(refusal(format!("is of `{kept}`, of which `{wanted}` cannot grow more"))
                .hint("set `model.kind` to the learner of the kept forest, or leave `model.warm_start` out"));
        }
        let path = folder.join(FOREST);
        let bytes = std::fs::read(&path)
            .map_err(|e| Failure::data(format!("cannot read `{}`", path.display())).caused_by(e))?;
        let kept = Forest::from_bytes(&bytes)
            .map_err(|reason| Failure::data(format!("`{}` holds no forest: {reason}", path.display())))?;
        let learner = forest(config)?;
        if learner.n_estimators <= kept.n_trees() {
            let (n_kept, n) = (kept.n_trees(), learner.n_estimators);
            return Err(Failure::config(format!(
                "`model.n_estimators` must be above the {n_kept} trees that `model.warm_start` keeps, got {n}"
            ))
            .hint("it is the number of trees in all, the kept ones among them"));
        }
        Ok(Some(Self { learner, forest: kept, pipeline, data_fingerprint, config: kept_config }))
    }

    /// Checks that the forest was learned from the same label, and says what of the hold-out cannot be told.
    ///
    /// # Errors
    /// Of kind config for another label or classes, and for another hold-out of the same data.
    pub(super) fn check_events(
        &self,
        config: &Config,
        origin: &Origin,
        label: &Expression,
        classes: &Classes,
    ) -> Result<Option<String>, Failure> {
        let kept = &self.pipeline.label;
        if kept.expr != label.sql {
            return Err(refusal(format!("was learned with the label `{}`, here it is `{}`", kept.expr, label.sql)));
        }
        if kept.classes != *classes {
            let (kept, here) = (kept.classes.names.join("`, `"), classes.names.join("`, `"));
            return Err(refusal(format!("tells the classes `{kept}` apart in this order, the events are of `{here}`")));
        }
        if origin.fingerprint != self.data_fingerprint {
            return Ok(Some(
                "the kept trees learned from other data: if events of this hold-out were among them, the metrics flatter"
                    .into(),
            ));
        }
        let holdout = |config: &serde_json::Value| config.get("holdout").cloned();
        let (then, now) = (holdout(&self.config), holdout(&config.model_part()));
        if then != now {
            let shown = |h: Option<serde_json::Value>| h.map_or_else(|| "unknown".to_owned(), |h| h.to_string());
            return Err(refusal(format!(
                "has learned from events that are held out here: its hold-out was {}, here it is {}",
                shown(then),
                shown(now)
            ))
            .hint("set `[holdout]` as in the kept run"));
        }
        Ok(None)
    }

    /// The feature schema of the kept forest, with its dictionaries, for features whose own would be `learned`.
    ///
    /// # Errors
    /// Of kind config when the features are not the same, in the same order.
    pub(super) fn schema(&self, features: &FeatureSet, learned: &FeatureSchema) -> Result<FeatureSchema, Failure> {
        let kept = &self.pipeline.features;
        let (n_kept, n) = (kept.len(), learned.len());
        if n_kept != n {
            return Err(refusal(format!("has {n_kept} features, here there are {n}")));
        }
        for ((kept, here), expression) in kept.iter().zip(learned.features()).zip(features.expressions()) {
            let shown = |name: &str, sql: &str, kind: &str| format!("`{name} = {sql}` ({kind})");
            let then = shown(&kept.feature.name, &kept.expr, kept.feature.kind.name());
            let now = shown(&here.name, &expression.sql, here.kind.name());
            if then != now {
                return Err(refusal(format!("was learned with the feature {then}, here it is {now}")));
            }
        }
        Ok(self.pipeline.schema())
    }

    /// Grows the trees that are missing.
    ///
    /// # Errors
    /// As [`ForestLearner::fit_more`].
    pub(super) fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        self.learner.fit_more(&self.forest, data, rows, cx)
    }
}

fn refusal(what: String) -> Failure {
    Failure::config(format!("the forest of `model.warm_start` {what}"))
        .hint("only more of the same can be grown; leave `model.warm_start` out to learn anew")
}
