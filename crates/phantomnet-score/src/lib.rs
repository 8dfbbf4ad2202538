//! Apply a saved model to raw events.
//!
//! [`Scorer::load`] reads a model folder, compiles the very expressions of training and checks that they and the model
//! reproduce the folder's golden events; from then on [`Scorer::score`] scores batches and a [`LineScorer`] one raw line at a
//! time. No thread is started and nothing of training is linked.

mod error;
mod line;
mod scorer;

pub use error::ScoreError;
pub use line::LineScorer;
pub use scorer::{Scorer, Scores, Verdict};
