//! What was learned, and the contract of its input.
//!
//! [`FeatureSchema`], [`Matrix`] and [`Dataset`] say what learners read and models score; [`Forest`] and
//! [`Linear`] are the models; [`onnx`] writes and reads them as ONNX; [`Bundle`] is a model on disk, with
//! everything scoring needs. No dependency of ours, no printing, no clock, no randomness.

mod bundle;
mod dataset;
mod error;
mod forest;
mod linear;
mod mlflow;
mod model;
pub mod onnx;
mod schema;

pub use bundle::{Bundle, Column, FORMAT, FeatureSpec, Golden, LabelSpec, Limits, Manifest, ModelSpec, Pipeline};
pub use dataset::{Dataset, Matrix};
pub use error::ModelError;
pub use forest::{CategorySet, Forest, MAX_TREES, Node, PROBABILITY_UNITS, Test, Tree, leaf_probabilities, tree_units};
pub use linear::{Encoding, Linear};
pub use model::{Model, Probabilities, argmax};
pub use schema::{Classes, Dictionary, Feature, FeatureKind, FeatureSchema, MAX_CATEGORIES, UNSEEN};
