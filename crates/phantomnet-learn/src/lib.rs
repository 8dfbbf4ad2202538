//! How a classifier is learned and judged: folds, learners, metrics, cross-validation.
//!
//! A [`Learner`] makes a [`Model`](phantomnet_model::Model) of the rows of a [`Dataset`](phantomnet_model::Dataset);
//! [`cross_validate`] judges a learner. Everything here is a function of data, params and seed: the same bits for any
//! number of threads, no file, no clock, no printing.

mod class_weight;
mod cross_validate;
mod error;
pub mod folds;
mod forest;
pub mod intervals;
mod learner;
mod logistic;
mod majority;
pub mod metrics;
pub mod paired;
pub mod rng;

pub use class_weight::ClassWeight;
pub use cross_validate::{CrossValidation, CvOptions, FoldResult, cross_validate};
pub use error::LearnError;
pub use forest::{CategoryOrder, Criterion, ForestKind, ForestLearner, MaxFeatures, MaxSamples, OutOfBag};
pub use learner::{Fit, FitContext, Learner, Progress};
pub use logistic::LogisticRegression;
pub use majority::Majority;
