//! The hyperparameters of forests.

use std::fmt;

use phantomnet_model::MAX_TREES;

use super::binning::MAX_BINS;
use super::criterion::Criterion;
use super::max_features::MaxFeatures;
use crate::{ClassWeight, LearnError};

/// Bins of a number by default: between them are 253 thresholds.
const DEFAULT_BINS: usize = 254;

/// Which forest of the literature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForestKind {
    /// Each tree learns from a bootstrap sample, each node from a random choice of features (Breiman, *Random Forests*,
    /// 2001). scikit-learn: `RandomForestClassifier`.
    RandomForest,
    /// Each tree learns from all rows, and the features that a node chooses from are cut at random (Geurts, Ernst and
    /// Wehenkel, *Extremely randomized trees*, 2006). scikit-learn: `ExtraTreesClassifier`.
    ExtraTrees,
    /// One tree on all rows and features (Breiman et al., *Classification and Regression Trees*, 1984). scikit-learn:
    /// `DecisionTreeClassifier`.
    DecisionTree,
}

/// In which order the codes of a category are cut.
///
/// The target order sorts codes by the share of a class among all training rows, with more than two classes by the shares'
/// first principal component, so that the best cut of two classes is the best of all subsets of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CategoryOrder {
    /// The target order, the same in all trees.
    Target,
    /// Some orders that the trees take in turn (48 by the number of categories, at least 4): places in the target order, moved at
    /// random by up to twice their number. Trees differ more, and lean less on codes whose share of attacks may be another
    /// tomorrow.
    Blurred,
}

/// How many rows a bootstrap draws.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum MaxSamples {
    /// As many as there are.
    #[default]
    All,
    /// So many, from 1 to their number.
    Count(usize),
    /// This share of them, above 0 and at most 1, rounded, at least 1.
    Fraction(f64),
}

impl MaxSamples {
    fn check(self) -> Result<(), LearnError> {
        let (expected, got) = match self {
            Self::Count(0) => ("at least 1", "0".to_owned()),
            Self::Fraction(share) if !(share > 0.0 && share <= 1.0) => ("above 0 and at most 1", share.to_string()),
            _ => return Ok(()),
        };
        Err(LearnError::Param { name: "max_samples", expected: expected.to_owned(), got })
    }

    /// The number for so many training rows.
    fn resolve(self, n_rows: usize) -> Result<usize, LearnError> {
        match self {
            Self::All => Ok(n_rows),
            Self::Fraction(share) => Ok(((share * n_rows as f64).round() as usize).max(1)),
            Self::Count(n) if n <= n_rows => Ok(n),
            Self::Count(n) => {
                let expected = format!("at most the number of training rows, {n_rows}");
                Err(LearnError::Param { name: "max_samples", expected, got: n.to_string() })
            }
        }
    }
}

impl fmt::Display for ForestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RandomForest => "random_forest",
            Self::ExtraTrees => "extra_trees",
            Self::DecisionTree => "decision_tree",
        })
    }
}

impl fmt::Display for CategoryOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "target",
            Self::Blurred => "blurred",
        })
    }
}

impl fmt::Display for MaxSamples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(n) => write!(f, "{n}"),
            // As Debug, so that 1.0 is not taken for one row.
            Self::Fraction(share) => write!(f, "{share:?}"),
        }
    }
}

/// Learns forests of classification trees.
///
/// A class probability is the mean of the trees' leaf shares. Numbers are split between bins (`x <= threshold` goes left),
/// categories between places of their codes in an order ([`CategoryOrder`]). A number with no more distinct values than
/// `max_bins` is split exactly, half-way between two neighbouring values of the training rows. A code that training met and a node
/// did not falls where its place says, half of those between two neighbours on either side.
///
/// Missing values are tried on either side of each split, and by themselves against all others. Of equally good splits the
/// lower feature is taken, then the lower threshold. Missing values, where a node did not meet any in training, go to its
/// heavier child; so do category codes, the unseen one included, that no training row has.
///
/// Names and defaults are those of scikit-learn; differences are told at the fields. Unlike there, a tree's leaves and
/// impurities know `class_weight` (in scikit-learn 1.9 it changes what the bootstrap draws).
#[derive(Debug, Clone, PartialEq)]
pub struct ForestLearner {
    /// Which forest; decides the defaults.
    pub kind: ForestKind,
    /// Trees. More make probabilities finer and results steadier, at proportional cost. 1 to 10,000; default 100. Of a
    /// decision tree 1.
    pub n_estimators: usize,
    /// What makes a node pure. Default [`Criterion::Gini`].
    pub criterion: Criterion,
    /// Most splits between root and leaf. Fewer give smaller, smoother trees. At least 1; default `None`, no limit.
    pub max_depth: Option<usize>,
    /// Features that a node chooses from. Fewer make trees more different and each one worse. Default
    /// [`MaxFeatures::Sqrt`], of a decision tree [`MaxFeatures::All`].
    pub max_features: MaxFeatures,
    /// Rows a node needs to be split; rows drawn more than once count once. At least 2; default 2.
    pub min_samples_split: usize,
    /// Rows each child of a split needs; rows drawn more than once count once. Larger values smooth probabilities. At
    /// least 1; default 1.
    pub min_samples_leaf: usize,
    /// Most leaves of a tree, which is then grown where most impurity is taken away first. At least 2; default `None`, no
    /// limit.
    pub max_leaf_nodes: Option<usize>,
    /// Impurity that a split takes away at least, in parts of the tree's rows: 0.01 is a drop of 0.01 at the root. Not
    /// negative; default 0.
    pub min_impurity_decrease: f64,
    /// What a row of each class weighs in impurities and leaves. Default [`ClassWeight::None`].
    pub class_weight: ClassWeight,
    /// Whether each tree learns from rows drawn with replacement, or from all. Default true for a random forest only.
    pub bootstrap: bool,
    /// Rows that a bootstrap draws. Default [`MaxSamples::All`], as many as there are.
    pub max_samples: MaxSamples,
    /// Whether to judge each row by the trees that have not seen it, which needs `bootstrap`. Default false.
    pub oob_score: bool,
    /// Bins of a number with more distinct values. 2 to 255; default 254, which makes as many thresholds as a fitted forest
    /// keeps in one byte. scikit-learn: of `HistGradientBoostingClassifier`.
    pub max_bins: usize,
    /// In which order codes are cut. Default [`CategoryOrder::Blurred`], of a decision tree [`CategoryOrder::Target`].
    /// scikit-learn has no categories here.
    pub category_order: CategoryOrder,
    /// Where the random choices start. scikit-learn: `random_state`. Default 0.
    pub seed: u64,
}

impl ForestLearner {
    /// A random forest with the default hyperparameters.
    #[must_use]
    pub fn random_forest() -> Self {
        Self {
            kind: ForestKind::RandomForest,
            n_estimators: 100,
            criterion: Criterion::Gini,
            max_depth: None,
            max_features: MaxFeatures::Sqrt,
            min_samples_split: 2,
            min_samples_leaf: 1,
            max_leaf_nodes: None,
            min_impurity_decrease: 0.0,
            class_weight: ClassWeight::None,
            bootstrap: true,
            max_samples: MaxSamples::All,
            oob_score: false,
            max_bins: DEFAULT_BINS,
            category_order: CategoryOrder::Blurred,
            seed: 0,
        }
    }

    /// Extremely randomized trees with the default hyperparameters.
    #[must_use]
    pub fn extra_trees() -> Self {
        Self { kind: ForestKind::ExtraTrees, bootstrap: false, ..Self::random_forest() }
    }

    /// A decision tree with the default hyperparameters.
    #[must_use]
    pub fn decision_tree() -> Self {
        Self {
            kind: ForestKind::DecisionTree,
            n_estimators: 1,
            max_features: MaxFeatures::All,
            bootstrap: false,
            category_order: CategoryOrder::Target,
            ..Self::random_forest()
        }
    }

    /// All hyperparameters that mean something for this kind, with their values.
    pub(super) fn entries(&self) -> Vec<(String, String)> {
        let or_none = |value: Option<usize>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        let mut entries = vec![
            ("n_estimators", self.n_estimators.to_string()),
            ("criterion", self.criterion.to_string()),
            ("max_depth", or_none(self.max_depth)),
            ("max_features", self.max_features.to_string()),
            ("min_samples_split", self.min_samples_split.to_string()),
            ("min_samples_leaf", self.min_samples_leaf.to_string()),
            ("max_leaf_nodes", or_none(self.max_leaf_nodes)),
            ("min_impurity_decrease", self.min_impurity_decrease.to_string()),
            ("class_weight", self.class_weight.to_string()),
            ("bootstrap", self.bootstrap.to_string()),
            ("max_samples", self.max_samples.to_string()),
            ("oob_score", self.oob_score.to_string()),
            ("max_bins", self.max_bins.to_string()),
            ("category_order", self.category_order.to_string()),
            ("seed", self.seed.to_string()),
        ];
        if self.kind == ForestKind::DecisionTree {
            entries.retain(|(name, _)| !["n_estimators", "bootstrap", "max_samples", "oob_score"].contains(name));
        }
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Checks each hyperparameter, as far as that can be done without data.
    pub(super) fn check_ranges(&self) -> Result<(), LearnError> {
        let wrong =
            |name, expected: &str, got: String| Err(LearnError::Param { name, expected: expected.to_owned(), got });
        if self.kind == ForestKind::DecisionTree && self.n_estimators != 1 {
            return wrong("n_estimators", "1 for a decision tree", self.n_estimators.to_string());
        }
        if !(1..=MAX_TREES).contains(&self.n_estimators) {
            return wrong("n_estimators", &format!("in 1..={MAX_TREES}"), self.n_estimators.to_string());
        }
        if self.max_depth == Some(0) {
            return wrong("max_depth", "at least 1", "0".to_owned());
        }
        if self.min_samples_split < 2 {
            return wrong("min_samples_split", "at least 2", self.min_samples_split.to_string());
        }
        if self.min_samples_leaf < 1 {
            return wrong("min_samples_leaf", "at least 1", self.min_samples_leaf.to_string());
        }
        if let Some(max @ 0..=1) = self.max_leaf_nodes {
            return wrong("max_leaf_nodes", "at least 2", max.to_string());
        }
        if !(self.min_impurity_decrease >= 0.0 && self.min_impurity_decrease.is_finite()) {
            return wrong("min_impurity_decrease", "a number not below 0", self.min_impurity_decrease.to_string());
        }
        if !(2..=MAX_BINS).contains(&self.max_bins) {
            return wrong("max_bins", &format!("in 2..={MAX_BINS}"), self.max_bins.to_string());
        }
        if self.oob_score && !self.bootstrap {
            return wrong("oob_score", "false without `bootstrap`, when every tree sees every row", "true".to_owned());
        }
        if self.max_samples != MaxSamples::All && !self.bootstrap {
            return wrong("max_samples", "all without `bootstrap`", self.max_samples.to_string());
        }
        self.max_samples.check()?;
        self.max_features.check()?;
        self.class_weight.check()
    }

    /// Rows that a bootstrap draws from so many; `None` without one.
    pub(super) fn n_drawn(&self, n_rows: usize) -> Result<Option<usize>, LearnError> {
        if self.bootstrap { self.max_samples.resolve(n_rows).map(Some) } else { Ok(None) }
    }
}
